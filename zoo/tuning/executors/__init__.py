"""Executors, which run trials: each has a name for `--engine`.

engine.py       which executor a user asked for
prepared.py     a trial whose process starts before its turn
capacity.py     how many trials run at once on this machine
local.py        worker processes of this machine
ray.py          trials in a Ray cluster
ray_nodes.py    its nodes: starting agents, losing a node, sending datasets
ray_cluster.py  connecting to the cluster; how many trials each node can run
ray_agent.py    the agent, which runs on each node
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from zoo.events import Answer, Event
from zoo.study import StudyDefinition
from zoo.trial import TrialConfig
from zoo.tuning.display import Display
from zoo.tuning.executors.capacity import AUTO, Jobs, local_jobs, measures_latency, useful_jobs
from zoo.tuning.executors.engine import Engine
from zoo.tuning.executors.local import LocalExecutor


class Executor(Protocol):
    """Runs several trials at once, and passes their events to the supervisor."""

    @property
    def running(self) -> list[int]: ...  # numbers of the running trials
    @property
    def free_slots(self) -> int: ...  # number of trials that can be started now
    def start(  # `num_left`: number of trials that start after this one; None if unknown
        self, number: int, config: TrialConfig, cache_dir: Path, folder: Path, num_left: int | None = None
    ) -> None: ...
    @property
    def can_prepare(self) -> bool: ...  # the next trial can be prepared before there is a free slot for it
    def prepare(  # arguments of `start`, which lets the trial begin; before that, it sends no event
        self, number: int, config: TrialConfig, cache_dir: Path, folder: Path, num_left: int | None = None
    ) -> None: ...
    def wait(self, timeout: float) -> list[int]: ...  # trials with an event, after at most `timeout` seconds
    def read(self, number: int) -> Event | None: ...  # the next event of a trial, if any; `Finished` is last
    def answer(self, number: int, answer: Answer) -> None: ...  # the answer to `EpochEnd`
    def stop_all(self) -> list[int]: ...  # ends all processes; returns the numbers of the running trials


def open_executor(
    stack: ExitStack,
    engine: Engine,
    jobs: Jobs,
    definition: StudyDefinition,
    display: Display,
) -> Executor:
    """Return the executor that a study asked for; leaving `stack` ends its trials and closes it.

    Args:
        jobs: number of trials at the same time, or `auto` for the engine's own number.
        display: gets a line about each problem that does not stop the study.
    """
    executor: Executor
    if engine.name == "ray":
        from zoo.tuning.executors.ray import open_ray

        most = 1 if measures_latency(definition) else useful_jobs(definition)
        of_all_nodes = most if jobs == AUTO else int(jobs)
        executor = open_ray(stack, engine, of_all_nodes, definition, display.problem)
    else:
        number, most = local_jobs(jobs, definition), useful_jobs(definition)
        ahead = not measures_latency(definition)
        executor = LocalExecutor(number, display.note, display.problem, most, ahead)
    stack.callback(executor.stop_all)
    return executor
