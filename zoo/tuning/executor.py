"""Where trials run: processes of this machine, forked from one that has Keras loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.process import WorkerProcess, wait_for_any
from zoo.training import backend
from zoo.training.worker import fork_server, run_trial_process
from zoo.trial import TrialConfig

Event = dict[str, Any]


class LocalExecutor:
    """Runs up to `jobs` trials at once, each in a process of its own that ends with this one.

    A trial that dies without a word still ends with an event: `finished`, `failed`, and how it died.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self._server = fork_server()
        self._gpus = backend.visible_gpus()
        self._leaving: list[WorkerProcess] = []
        self._running: dict[int, tuple[WorkerProcess, int]] = {}  # trial number -> its process and its slot

    def warm_up(self) -> None:
        """Begin to load Keras; returns at once. The first trial waits for what is left of it."""
        self._server.start()

    @property
    def running(self) -> list[int]:
        return list(self._running)

    @property
    def free(self) -> int:
        return self.jobs - len(self._running)

    def start(self, number: int, config: TrialConfig, cache: Path, folder: Path) -> None:
        slot = min(set(range(self.jobs)) - {slot for _, slot in self._running.values()})
        child = self._server.start_worker(
            run_trial_process, (config.as_json(), cache, folder, self._environment(slot))
        )
        self._running[number] = (child, slot)
        self._see_off()

    def wait(self, timeout: float) -> list[int]:
        """The trials that have something to say, after `timeout` seconds at most."""
        numbers = {id(child): number for number, (child, _) in self._running.items()}
        return [
            numbers[id(child)]
            for child in wait_for_any([child for child, _ in self._running.values()], timeout)
        ]

    def read(self, number: int) -> Event:
        """The next event of a trial that `wait` named."""
        child, _ = self._running[number]
        event: Event | None = child.receive() if child.has_message() else None
        if event is None:  # its end of the pipe is closed, or it is gone
            event = ended("failed", child.finish())
        elif event["event"] == "finished":
            self._leaving.append(child)  # the kernel takes a while to clear it away
        if event["event"] == "finished":
            del self._running[number]
        return event

    def _see_off(self) -> None:
        """Have nothing left of the trials that said they were finished."""
        while self._leaving:
            self._leaving.pop().finish()

    def answer(self, number: int, go_on: bool) -> None:
        """Answer an epoch: whether the trial goes on."""
        if number in self._running:
            self._running[number][0].send(go_on)

    def stop_all(self) -> list[int]:
        """Kill every running trial and say which those were."""
        stopped = list(self._running)
        for child, _ in self._running.values():
            child.kill()
        for child, _ in self._running.values():
            child.join()
        self._running.clear()
        self._see_off()
        return stopped

    def _environment(self, slot: int) -> Mapping[str, str]:
        return backend.child_environment(jobs=self.jobs, slot=slot, gpus=self._gpus)


def ended(state: str, reason: str, *, interrupted: bool = False) -> Event:
    """The event of a trial that did not say itself that it ended.

    `interrupted` marks one that was stopped for no fault of its own and is to be run again.
    """
    event = {"event": "finished", "time": time.time(), "state": state, "reason": reason, "summary": {}}
    return {**event, "interrupted": True} if interrupted else event
