"""Trials in worker processes of this machine, forked from a process that has Keras loaded."""

from __future__ import annotations

import time
from pathlib import Path

from zoo.events import Event, Finished
from zoo.process import WorkerProcess, oom_kills, wait_for_any
from zoo.record import study_and_trial
from zoo.training import backend
from zoo.training.worker import fork_server, run_trial_process
from zoo.trial import TrialConfig


class LocalExecutor:
    """Runs up to `jobs` trials at once, each in its own process; the first one waits until Keras is loaded.

    If this process ends, those processes end too.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self._server = fork_server()
        self._gpus = backend.visible_gpus()
        self._running: dict[int, tuple[WorkerProcess, int]] = {}  # trial number -> process, slot
        self._exiting: list[WorkerProcess] = []
        self._oom_kills: dict[int, int] = {}  # of this machine, when a trial was started

    @property
    def running(self) -> list[int]:
        return list(self._running)

    @property
    def free_slots(self) -> int:
        return self.jobs - len(self._running)

    def start(self, number: int, config: TrialConfig, cache_dir: Path, folder: Path) -> None:
        slot = min(set(range(self.jobs)) - {slot for _, slot in self._running.values()})
        environment = backend.worker_environment(jobs=self.jobs, slot=slot, gpus=self._gpus)
        arguments = (config.as_json(), cache_dir, folder, environment, *study_and_trial(folder))
        self._oom_kills[number] = oom_kills()
        self._running[number] = (self._server.start_worker(run_trial_process, arguments), slot)
        self._join_finished()

    def wait(self, timeout: float) -> list[int]:
        numbers = {id(worker): number for number, (worker, _) in self._running.items()}
        workers = [worker for worker, _ in self._running.values()]
        return [numbers[id(worker)] for worker in wait_for_any(workers, timeout)]

    def read(self, number: int) -> Event:
        worker, _ = self._running[number]
        event: Event | None = worker.receive() if worker.has_message() else None
        if event is None:  # the process has closed its end of the pipe, or died
            event = self._died(worker, self._oom_kills.get(number, 0))
        elif isinstance(event, Finished):
            self._exiting.append(worker)  # joined later: the kernel takes a while to free its memory
        if isinstance(event, Finished):
            del self._running[number]
        return event

    def _died(self, worker: WorkerProcess, oom_kills_before: int) -> Finished:
        """Return the final event of a trial whose process ended without one."""
        reason = worker.finish()
        is_killed = worker.was_killed
        if is_killed and oom_kills() > oom_kills_before:
            # The same trial alone would run out of memory again; beside others it may fit next time.
            is_killed = len(self._running) > 1
            fix = "use fewer --jobs" if is_killed else "use a smaller batch_size or a smaller network"
            reason = f"{reason} because the memory of this machine ran out; {fix}"
        return Finished(time.time(), "failed", reason, is_killed=is_killed)

    def answer(self, number: int, should_continue: bool) -> None:
        if number in self._running:
            self._running[number][0].send(should_continue)

    def stop_all(self) -> list[int]:
        stopped = list(self._running)
        for worker, _ in self._running.values():
            worker.kill()
        for worker, _ in self._running.values():
            worker.finish()
        self._running.clear()
        self._join_finished()
        return stopped

    def _join_finished(self) -> None:
        """Wait for the processes of finished trials, so that none of them remains."""
        while self._exiting:
            self._exiting.pop().finish()
