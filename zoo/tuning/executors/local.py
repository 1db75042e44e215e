"""Trials in worker processes of this machine, forked from a process that has Keras loaded."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import one_line
from zoo.events import Answer, EpochEnd, Event, Finished
from zoo.files import temporary_path
from zoo.guard import children_of
from zoo.logs import cap_log, crash_location
from zoo.machine import available_memory, oom_kills, private_memory
from zoo.process import WorkerProcess, wait_for_any
from zoo.record import TrialDirectory, study_and_trial
from zoo.registry import given_files
from zoo.stalls import StallLimit, Watch, end_stalled
from zoo.training import backend
from zoo.training.cores import VARIABLE, CoresTimed
from zoo.training.saved import check_loadable
from zoo.training.worker import call_process, fork_server, run_trial_process
from zoo.trial import TrialConfig
from zoo.tuning.executors.capacity import Capacity, Jobs
from zoo.tuning.executors.prepared import PreparedTrial

_LOADING_TIMEOUT_S = 120.0  # for loading a model, which takes less than a second unless the machine is busy
# For the checkpoints of all trials when the study is stopped. A scheduler kills after 10 s or more.
_CHECKPOINT_TIMEOUT_S = 8.0
_GROWING_EPOCHS = 2  # the memory of a trial stays constant after them


@dataclass
class _RunningTrial:
    """A trial with a running process: its worker process, then the one that loads its model."""

    directory: TrialDirectory
    worker: WorkerProcess
    watch: Watch
    slot: int  # decides which GPU it uses
    oom_kills: int  # number on this machine before the trial started
    unchecked: Finished | None = None  # its final event, while its model is being loaded

    @property
    def is_hanging(self) -> bool:
        return self.watch.total_s > _LOADING_TIMEOUT_S if self.unchecked else self.watch.is_stalled


class LocalExecutor:
    """Runs trials at once, each in its own process; the first one waits until Keras is loaded.

    A trial is complete when a second, fresh process has loaded its model. That process is killed if it hangs.

    If this process ends, the processes of the trials end too.
    """

    def __init__(
        self,
        jobs: Jobs = 1,
        note: Callable[[str], None] = lambda text: None,
        warn: Callable[[str], None] = lambda text: None,
        most: float = math.inf,
        ahead: bool = True,
    ) -> None:
        """Start nothing.

        Args:
            jobs: number of trials at once, or `auto`: as many as the machine allows.
            note: gets the chosen number, with the reason.
            warn: gets a line if the memory for `jobs` trials may be too small.
            most: the largest number that is chosen.
            ahead: the process of a trial may be started before there is a free slot.
        """
        self._server = fork_server()
        self._gpus = backend.visible_gpus()
        self._capacity = Capacity(jobs, backend.available_cores(), self._gpus, note, warn, most)
        self._running: dict[int, _RunningTrial] = {}  # by number
        self._has_others = False  # a started trial has others beside or after it
        self._exiting: list[WorkerProcess] = []
        self._stall_limit = StallLimit()
        self._ahead = ahead and not self._gpus  # the memory of a GPU is for the running trials
        self._prepared: PreparedTrial | None = None

    @property
    def running(self) -> list[int]:
        return list(self._running)

    @property
    def free_slots(self) -> int:
        # A prepared trial can begin while the model of the previous trial is being loaded.
        num_ended = len(self._unchecked) if self._prepared else 0
        return max(0, self._capacity.jobs - len(self._running) + num_ended)

    @property
    def can_prepare(self) -> bool:
        """True if the next trial can be prepared now: a core is idle, and there is memory for it."""
        can_wait = self._ahead and self._prepared is None and bool(self._running)
        return can_wait and self._capacity.has_idle_cores and self._capacity.has_room_for_another

    @property
    def handles(self) -> list[Any]:
        """Objects for `multiprocessing.connection.wait`: one is ready when a running trial has an event."""
        workers = [trial.worker for trial in self._running.values()]
        return [handle for worker in workers for handle in (worker.connection, worker.process.sentinel)]

    def prepare(
        self, number: int, config: TrialConfig, cache_dir: Path, folder: Path, num_left: int | None = None
    ) -> None:
        if TrialDirectory(folder).checkpoints_dir.exists():  # the trial continues from checkpoints
            return
        log_path = temporary_path(folder.parent)
        worker = self._start_worker(config, cache_dir, folder, self._environment(0, num_left), log_path)
        self._prepared = PreparedTrial(number, config, worker, log_path)

    def start(
        self, number: int, config: TrialConfig, cache_dir: Path, folder: Path, num_left: int | None = None
    ) -> None:
        self._has_others = bool(self._running or num_left != 0)
        used = {trial.slot for trial in self._running.values()}
        slot = next(slot for slot in itertools.count() if slot not in used)
        directory, kills_before = TrialDirectory(folder), oom_kills()
        worker = self._prepared.begin(number, config, folder) if self._prepared else None
        if worker is None:
            worker = self._start_worker(config, cache_dir, folder, self._environment(slot, num_left))
        watch = self._watch(worker, directory)
        self._running[number] = _RunningTrial(directory, worker, watch, slot, kills_before)
        self._prepared = None  # not earlier: after an interrupt, `stop_all` ends its process
        self._join_finished()

    def _start_worker(
        self,
        config: TrialConfig,
        cache_dir: Path,
        folder: Path,
        environment: Mapping[str, str],
        log_path: Path | None = None,
    ) -> WorkerProcess:
        """Start the process of a trial; one with a `log_path` waits before it trains."""
        origin = study_and_trial(folder)
        arguments = (config.as_json(), cache_dir, folder, environment, *origin, given_files(), log_path)
        return self._server.start_worker(run_trial_process, arguments)

    def _environment(self, slot: int, num_left: int | None) -> dict[str, str]:
        """Return the environment variables of a trial; the last trials get the cores that become free."""
        jobs, cores = self._capacity.jobs, backend.available_cores()
        shares = jobs if num_left is None else min(jobs, num_left + 1)
        threads = max(1, cores // shares)
        variables = backend.worker_environment(jobs=jobs, slot=slot, gpus=self._gpus, threads=threads)
        is_measured = self._capacity.needs_speedup and self._has_others
        return {**variables, VARIABLE: "1"} if is_measured else {**variables}

    def _watch(self, worker: WorkerProcess, directory: TrialDirectory) -> Watch:
        worker.log_path = directory.output_path
        return Watch(worker, self._stall_limit)

    def wait(self, timeout: float) -> list[int]:
        ready = self._wait(timeout)
        while self._unchecked and not ready:  # do not lose a complete trial if the study stops now
            ready = self._wait(1.0)
        return ready

    @property
    def _unchecked(self) -> list[_RunningTrial]:
        return [trial for trial in self._running.values() if trial.unchecked]

    def _wait(self, timeout: float) -> list[int]:
        """Return the trials with an event, and those that are stalled, after at most `timeout` seconds."""
        ready = wait_for_any([trial.worker for trial in self._running.values()], timeout)
        for trial in self._running.values():
            trial.watch.update()
            cap_log(trial.directory.output_path)
        if self._prepared is not None:
            cap_log(self._prepared.log_path)
        trials = self._running.items()
        return [number for number, trial in trials if trial.worker in ready or trial.is_hanging]

    def read(self, number: int) -> Event | None:
        trial = self._running[number]
        worker = trial.worker
        message = worker.receive() if worker.has_message() else None
        if message is not None:
            trial.watch.restart()
        is_hanging = message is None and worker.process.exitcode is None and trial.is_hanging
        if trial.unchecked is not None:
            checked = self._checked(trial, trial.unchecked, message)
            del self._running[number]
            return checked
        if isinstance(message, CoresTimed):
            self._capacity.use_speedup(message.speedup)
            self._observe_memory(number)
            return None
        event: Event | None = message
        if is_hanging:
            reason = end_stalled(worker, trial.watch.silent_s)
            event = Finished(time.time(), "failed", reason, is_killed=True)
        elif event is None:  # the process has closed its end of the pipe, or died
            event = self._died(trial)
            event = replace(event, reason=event.reason + crash_location(trial.directory.output_path))
        elif isinstance(event, EpochEnd) and event.epoch <= _GROWING_EPOCHS:
            self._observe_memory(number)
        elif isinstance(event, Finished):
            if self._capacity.needs_speedup and "best_epoch" in event.summary:  # too short to measure
                self._capacity.use_speedup(None)
            self._exiting.append(worker)  # joined later: freeing its memory takes the kernel a while
            if event.state == "complete":
                trial.unchecked = event
                trial.worker = self._start_loading(trial.directory)
                trial.watch = self._watch(trial.worker, trial.directory)
                return None
        if isinstance(event, Finished):
            del self._running[number]
        return event

    def _observe_memory(self, number: int) -> None:
        """Adapt the number of trials at once to the memory of a trial that trains."""
        if self._has_others:
            used = {one: _memory_of(trial.worker) for one, trial in self._running.items()}
            of_all = sum(used.values()) + (_memory_of(self._prepared.worker) if self._prepared else 0)
            self._capacity.use_memory(used[number], of_all, available_memory())
            if not self._capacity.has_room_for_another:
                self._drop_prepared()

    def _start_loading(self, directory: TrialDirectory) -> WorkerProcess:
        """Start a process that loads the model of a trial."""
        variables = backend.worker_environment(jobs=self._capacity.jobs, slot=0, gpus=[])
        environment, files = backend.without_gpus(variables), given_files()
        arguments = (check_loadable, (directory.model_path,), directory.output_path, environment, files)
        return self._server.start_worker(call_process, arguments)

    def _checked(self, trial: _RunningTrial, event: Finished, answer: Any) -> Finished:
        """Return the final event of a trial, given the answer of the process that loaded its model."""
        if answer is None:
            if is_late := trial.is_hanging:
                trial.worker.kill()
            died = self._died(trial)
            reason = f"the process that loads its model again ended: {died.reason}"
            if is_late:
                reason = f"loading its model again took longer than {_LOADING_TIMEOUT_S:g} s"
            return replace(died, reason=reason)
        self._exiting.append(trial.worker)
        if answer[1] is not None:
            return replace(event, state="failed", reason=one_line(answer[1]), is_plugin_error=True)
        return event

    def _died(self, trial: _RunningTrial) -> Finished:
        """Return the final event of a trial whose process ended without one."""
        reason = trial.worker.finish()
        is_killed = trial.worker.was_killed
        if is_killed and oom_kills() > trial.oom_kills:
            # Alone, the trial would run out of memory again; beside others, it may fit next time.
            is_killed = len(self._running) > 1 or self._prepared is not None
            self._drop_prepared()
            fix = "use fewer --jobs" if is_killed else "use a smaller batch_size or a smaller network"
            reason = f"{reason} because the memory of this machine ran out; {fix}"
        return Finished(time.time(), "failed", reason, is_killed=is_killed)

    def answer(self, number: int, answer: Answer) -> None:
        if number in self._running:
            self._running[number].worker.send(answer)
            self._running[number].watch.restart()

    def _drop_prepared(self) -> None:
        if self._prepared is not None:
            self._prepared.drop()
            self._prepared = None

    def stop_all(self) -> list[int]:
        stopped = list(self._running)
        if self._prepared is not None:
            self._prepared.worker.kill()
        for trial in self._running.values():
            trial.worker.kill() if trial.unchecked else trial.worker.terminate()
        deadline = time.monotonic() + _CHECKPOINT_TIMEOUT_S
        for trial in self._running.values():
            trial.worker.finish(max(0.0, deadline - time.monotonic()))
        self._running.clear()
        self._drop_prepared()
        self._join_finished()
        return stopped

    def _join_finished(self) -> None:
        """Wait for the processes of finished trials, so that none of them remains."""
        while self._exiting:
            self._exiting.pop().finish()


def _memory_of(worker: WorkerProcess) -> int:
    """Return the memory of a worker process in bytes, without its guard; 0 if unknown."""
    return sum(private_memory(pid) or 0 for pid in children_of(worker.process.pid))
