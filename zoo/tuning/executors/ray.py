"""Trials on the nodes of a Ray cluster.

Each node has one agent, a Ray actor with a fork server and the worker processes of the node's trials
(`ray_agent`). The agents belong to this process: when it ends, Ray ends the agents, and they end their
trials. Prepared datasets, trial files and events travel through Ray's object store.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from zoo.disk_space import keep_trying
from zoo.errors import ZooError
from zoo.events import Answer, Event, Finished
from zoo.registry import IN_MEMORY, given_files
from zoo.stalls import current_stall_timeout
from zoo.study import StudyDefinition
from zoo.trial import TrialConfig
from zoo.tuning.executors.engine import Engine
from zoo.tuning.executors.ray_agent import (
    CHECKPOINTS,
    Arrival,
    Files,
    Settings,
    copied_variables,
    read_files,
    write_files,
)
from zoo.tuning.executors.ray_cluster import connected, gpus_per_trial
from zoo.tuning.executors.ray_nodes import Node, Nodes, agent_error

_FLUSH_TIMEOUT_S = 5.0
_STOP_TIMEOUT_S = 20.0  # trials have 8 s to write checkpoints, which are then sent
_NUM_CHECKPOINTS = 2


class NodesLost(ZooError):
    """No node of the cluster is left."""

    exit_status = 1


def open_ray(
    stack: ExitStack,
    engine: Engine,
    jobs: float,
    definition: StudyDefinition,
    report: Callable[[str], None],
) -> RayExecutor:
    """Connect to the cluster and start an agent on each node; leaving `stack` ends both.

    Raises ZooError if the cluster does not answer, has no room, or has a node with other versions.
    """
    stack.enter_context(connected(engine.address))
    used = [(component.kind, component.name) for component in definition.components()]
    settings = Settings(
        components=[one for one in used if one != ("dataset", IN_MEMORY)],
        plugin_files=given_files(),
        stall_timeout=current_stall_timeout(),
        variables=copied_variables(),
        has_gpus=gpus_per_trial(engine) > 0,
    )
    executor = RayExecutor(engine, jobs, settings, report)
    stack.callback(executor.nodes.close)
    executor.nodes.open()
    return executor


class RayExecutor:
    """Runs trials on every node of a cluster; the trials of a lost node count as killed from outside.

    A signal may raise an exception anywhere in `wait` and `start`, which would lose events, so only the other
    methods collect the events that have arrived.
    """

    def __init__(
        self, engine: Engine, jobs: float, settings: Settings, report: Callable[[str], None]
    ) -> None:
        self.nodes = Nodes(engine, jobs, settings, report, self._fail_trials)
        self._report = report
        self._folders: dict[int, Path] = {}  # directories of the running trials
        self._arrived: dict[int, deque[Arrival]] = {}  # events not read yet

    @property
    def running(self) -> list[int]:
        return list(self._folders)

    @property
    def free_slots(self) -> int:
        self.nodes.look_for_others()
        self._take_over()
        if not self.nodes and not self._folders:
            return 1  # so that the supervisor calls `start`, which raises NodesLost
        return sum(node.free_slots for node in self.nodes)

    @property
    def can_prepare(self) -> bool:
        return False  # an agent does not know how many trials are left for its node

    def prepare(
        self, number: int, config: TrialConfig, cache_dir: Path, folder: Path, num_left: int | None = None
    ) -> None:
        """Do nothing."""

    def start(
        self, number: int, config: TrialConfig, cache_dir: Path, folder: Path, num_left: int | None = None
    ) -> None:
        if not self.nodes.wait_for_one():
            raise NodesLost(
                "no node of the Ray cluster is left. The trials that ran are recorded; run the same command "
                "again when the cluster is back, or with --engine local"
            )
        self.nodes.share_dataset(cache_dir / config.digest)
        files = read_files(folder, sorted((folder / CHECKPOINTS).glob("*.ckpt")))
        free = [node for node in self.nodes if node.free_slots]
        self._arrived[number] = deque()
        self._folders[number] = folder
        if not free:  # the node with the free slot was lost a moment ago
            self._fail(number, "the node on which it should run was lost")
            return
        node = max(free, key=lambda one: one.free_slots)
        node.running.add(number)
        place = str(Path(*folder.parts[-3:]))  # the worker process reads study and number from this path
        node.post("start", number, config.as_json(), place, files, num_left)

    def wait(self, timeout: float) -> list[int]:
        import ray

        if timeout == 0:
            self._flush()
            self._take_over()
        if arrived := [number for number, arrivals in self._arrived.items() if arrivals]:
            return arrived
        nodes = {node.events: node for node in self.nodes}
        if not nodes or timeout == 0:
            return []
        ready, _ = ray.wait([*nodes], timeout=timeout)
        return [number for reference in ready for number in nodes[reference].running]

    def _flush(self) -> None:
        """Wait until the agents have sent the events of their trials."""
        import ray

        for node in self.nodes:
            node.post("flush")
        if references := [node.events for node in self.nodes]:
            ray.wait(references, num_returns=len(references), timeout=_FLUSH_TIMEOUT_S)

    def _take_over(self) -> None:
        """Collect the events that have arrived, and notice lost nodes."""
        import ray

        nodes = {node.events: node for node in self.nodes}
        ready, _ = ray.wait([*nodes], num_returns=len(nodes), timeout=0) if nodes else ([], [])
        for node in map(nodes.__getitem__, ready):
            try:
                arrivals: Sequence[Arrival] = ray.get(node.events)
            except ray.exceptions.RayTaskError as error:
                raise agent_error(node, error) from error
            except ray.exceptions.RayError:
                self.nodes.lose(node)
                continue
            node.listen()
            for arrival in arrivals:
                self._arrived[arrival.number].append(arrival)
                if arrival.event is None or isinstance(arrival.event, Finished):
                    node.running.discard(arrival.number)

    def _fail_trials(self, node: Node, reason: str) -> None:
        for number in node.running:
            self._fail(number, reason)

    def _fail(self, number: int, reason: str) -> None:
        event = Finished(time.time(), "failed", reason, is_killed=True)
        self._arrived[number].append(Arrival(number, event, {}))

    def read(self, number: int) -> Event | None:
        if not self._arrived[number]:
            self._take_over()
        if not self._arrived[number]:
            return None
        arrival, folder = self._arrived[number].popleft(), self._folders[number]
        if isinstance(arrival.event, Finished):
            keep_trying(partial(_write, folder, arrival.files), folder, self._report)
            del self._folders[number], self._arrived[number]
        else:
            with suppress(OSError):  # with a full disk, the trial continues without this checkpoint
                _write(folder, arrival.files)
        return arrival.event

    def answer(self, number: int, answer: Answer) -> None:
        for node in self.nodes:
            if number in node.running:
                node.post("answer", number, answer)

    def stop_all(self) -> list[int]:
        import ray

        for node in self.nodes:
            if node.running:
                node.post("stop")
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while busy := [node.events for node in self.nodes if node.running]:
            left = deadline - time.monotonic()
            if left < 0 or not ray.wait(busy, timeout=left)[0]:
                break
            self._take_over()
        stopped = self.running
        for number in stopped:
            for arrival in self._arrived[number]:
                with suppress(OSError):
                    _write(self._folders[number], arrival.files)
        self._folders.clear()
        self._arrived.clear()
        return stopped


def _write(folder: Path, files: Files) -> None:
    """Write files of a trial into its directory, and keep only the newest checkpoints."""
    write_files(folder, files)
    for path in sorted((folder / CHECKPOINTS).glob("*.ckpt"))[:-_NUM_CHECKPOINTS]:
        path.unlink()
