"""The supervisor: starts trials, handles their events, decides every final state.

It is the only writer of a study. An event goes to the trial's event log first, then to Optuna. Then the
trial gets its answer, and the event goes to MLflow. A slow MLflow never delays a trial.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from zoo.disk_space import DiskFull, Result, keep_trying
from zoo.errors import ZooError
from zoo.events import Answer, EpochEnd, Event, Finished, Progress, Started
from zoo.failpoints import failpoint
from zoo.garbage import imports_are_over
from zoo.logs import finish_log
from zoo.record import TrialDirectory
from zoo.study import Objective
from zoo.trial import TrialConfig
from zoo.tuning.continuing import PendingTrial, create_directory
from zoo.tuning.interrupts import Interrupted
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy

MAX_FAILURES_IN_A_ROW = 3
MAX_ATTEMPTS = 2  # attempts of a trial whose process is killed from outside
_STOP_REASONS: Mapping[int | None, str] = {
    signal.SIGTERM: "preempted: SIGTERM stopped the study",  # such as a scheduler's
    signal.SIGHUP: "interrupted: the terminal was closed",
}


class TrialSource(Protocol):
    """Proposes trials and learns from their results: an Optuna study, or a list of configurations."""

    @property
    def objectives(self) -> Sequence[Objective]: ...  # the first one decides which trial is best
    def total(self) -> int: ...  # number of trials to run
    def done(self) -> int: ...  # number of finished trials, without those that are retried
    def ask(self) -> PendingTrial: ...
    def ask_ahead(self) -> PendingTrial | None: ...  # what `ask` returns next; None if it is not known
    def report(self, number: int, event: EpochEnd) -> bool: ...  # False stops the trial as pruned
    def can_retry(self, number: int) -> bool: ...  # a trial that was killed from outside
    def tell(self, number: int, event: Finished) -> None: ...
    def retry_later(self, numbers: Sequence[int]) -> None: ...  # failed trials, when the study is resumed
    def best(self) -> tuple[int, float] | None: ...  # number and first objective; None if none is complete
    def has_reached_target(self) -> bool: ...  # the objective is good enough, so that no trial is needed


class TooManyFailures(ZooError):
    """Several trials in a row failed, so the study was stopped."""

    exit_status = 1


class Supervisor:
    """Runs the trials of a source; `directory_of` returns the directory of a trial by its number."""

    def __init__(
        self,
        study: OpenStudy,
        source: TrialSource,
        record: MLflowRecord,
        directory_of: Callable[[int], TrialDirectory] | None = None,
        deadline: float = math.inf,
    ) -> None:
        """Open nothing. The search ends at `deadline`, a time of `time.monotonic`."""
        self.stopped = ""  # why the search ended early, before all trials or epochs: `timeout` or `target`
        self._deadline = deadline
        self._has_started = False  # a trial has started
        self._may_prepare = True  # since the last start or end of a trial, no next trial was asked for
        self._study = study
        self._source = source
        self._record = record
        self._executor = study.executor
        self._display = study.display
        self._interrupts = study.interrupts
        self._directory_of = directory_of or study.directory.trial
        self._is_search = directory_of is None  # False for standalone runs, which cannot start a new study
        self._configs: dict[int, TrialConfig] = {}  # configurations of the running trials
        self._finished: list[tuple[int, TrialConfig, Finished]] = []  # not recorded in MLflow yet
        self._failures: list[tuple[int, Finished]] = []  # failed trials, without another state in between

    def run(self) -> None:
        """Run trials until none is left or a signal comes; raise TooManyFailures after three in a row."""
        source, name = self._source, self._study.definition.name
        self._display.begin(name, source.objectives, source.done(), source.total())
        self._display.time_limit(self._deadline)
        try:
            self._loop()
            self._record_finished()
            self._executor.stop_all()  # if the search ended early, a trial may be prepared
        except Interrupted:
            self._stop_running(_STOP_REASONS.get(self._interrupts.signum, "interrupted"))
        except BaseException:
            self._stop_running("interrupted: the study was stopped")
            raise
        finally:
            self._record_finished()

    def _loop(self) -> None:
        source = self._source
        while True:
            while self._executor.free_slots and source.done() + len(self._executor.running) < source.total():
                if self._must_stop():
                    break
                self._start_next()
            self._record_finished()
            if not self._executor.running:
                return
            self._prepare_next()
            with self._interrupts.interruptible():
                ready = self._executor.wait(timeout=1.0)
            self._handle_events(ready)

    def _handle_events(self, ready: Sequence[int]) -> None:
        for number in ready:
            event = self._executor.read(number)
            if event is not None:
                self._handle(number, event)

    def _start_next(self) -> None:
        trial, self._has_started, self._may_prepare = self._source.ask(), True, True
        failpoint("trial.asked")
        config = self._with_room(
            self._directory_of(trial.number).path,
            lambda: create_directory(trial, self._directory_of, self._display.problem),
        )
        directory = self._directory_of(trial.number)
        failpoint("trial.created")
        self._configs[trial.number] = config
        self._display.started(trial.number, config)
        cache_dir = self._study.directory.cache_dir
        try:
            with self._interrupts.interruptible():  # the first trial waits until Keras is loaded
                self._executor.start(trial.number, config, cache_dir, directory.path, self._num_left())
            failpoint("trial.started")
        except BaseException:
            if trial.number not in self._executor.running:
                self._handle(trial.number, interrupted_event("interrupted before it started"))
            raise

    def _prepare_next(self) -> None:
        """Let the executor prepare the next trial; only its values are recorded, as queued in Optuna."""
        has_next = self._may_prepare and self._num_left() >= 0 and not self._stop_reason()
        if not has_next or not self._executor.can_prepare:
            return
        self._may_prepare = False
        if (trial := self._source.ask_ahead()) is not None:
            path, cache_dir = self._directory_of(trial.number).path, self._study.directory.cache_dir
            with self._interrupts.interruptible():
                self._executor.prepare(trial.number, trial.config, cache_dir, path, self._num_left())
            failpoint("trial.prepared")

    def _num_left(self) -> int:
        """Return the number of trials that start after the trial that starts now."""
        source = self._source
        return source.total() - source.done() - len(self._executor.running) - 1

    def _handle(self, number: int, event: Event) -> None:
        """Pass one event to the event log, Optuna, the trial, the display and MLflow."""
        if isinstance(event, Progress):
            if event.problem:
                self._display.problem(f"trial {number}: {event.problem}")
            else:
                self._display.progress(number, event)
        elif isinstance(event, Finished):
            self._finish(number, event)
        else:
            failpoint("event.received")
            self._append(number, event)
            failpoint("event.logged")
            if isinstance(event, Started):
                self._report_start(number, event)
            if isinstance(event, EpochEnd):
                answer: Answer = self._source.report(number, event)
                failpoint("epoch.reported")
                if not event.is_last and self._must_stop():
                    answer = self.stopped  # also instead of pruning, which would save nothing now
                self._executor.answer(number, answer)
                failpoint("epoch.answered")
                self._display.epoch(number, event)
            self._put(number, self._configs[number], event)

    def _report_start(self, number: int, event: Started) -> None:
        if event.problem:
            self._display.problem(f"trial {number}: {event.problem}")
        if event.continues:
            self._display.note(f"trial {number} continues {event.continues}")

    def _append(self, number: int, event: Event) -> None:
        directory = self._directory_of(number)
        self._with_room(directory.event_log.path, lambda: directory.append(event))

    def _with_room(self, path: Path, write: Callable[[], Result]) -> Result:
        """Return `write()`; wait while the disk is full, as do the trials, which need answers."""
        try:
            return keep_trying(
                write, path, self._display.problem, must_stop=lambda: self._interrupts.signum is not None
            )
        except DiskFull as error:
            error.exit_status = self._interrupts.exit_status
            raise

    def _must_stop(self) -> bool:
        """Return True if the search ends now; then set `stopped`."""
        self.stopped = self.stopped or self._stop_reason()
        return bool(self.stopped)

    def _stop_reason(self) -> str:
        """Return why the search ends now: `target` or `timeout`; "" if it does not.

        At least one trial starts, so that every command makes progress even if the preparation took long.
        """
        if self.stopped or self._source.has_reached_target():
            return self.stopped or "target"
        return "timeout" if self._has_started and time.monotonic() >= self._deadline else ""

    def _finish(self, number: int, event: Finished) -> None:
        imports_are_over()
        damage = None if event.is_interrupted else self._study.verified.exception()
        if damage is not None:  # the trial runs again on undamaged data
            event = interrupted_event("interrupted: the prepared dataset was damaged")
        results = {one.metric: event.summary.get(one.result) for one in self._source.objectives}
        values = {
            metric: value
            for metric, value in results.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        if event.state == "complete" and values != results:
            metric = next(metric for metric in results if metric not in values)
            reason = f"{metric} is {results[metric]!r}, not a finite number"
            event = replace(event, state="failed", reason=reason)
        if event.is_killed and self._source.can_retry(number):
            event = replace(event, is_interrupted=True, reason=f"interrupted: {event.reason}")
        config = self._configs.pop(number)
        finish_log(self._directory_of(number).output_path)
        try:
            failpoint("final.received")
            self._append(number, event)
            failpoint("final.logged")
        except (OSError, DiskFull):  # the trial is retried; MLflow must not show it as running
            event = interrupted_event("interrupted: its final state could not be written")
            raise
        finally:
            self._finished.append((number, config, event))
        if damage is not None or not event.is_interrupted:
            self._directory_of(number).delete_checkpoints()
        self._source.tell(number, event)
        self._may_prepare = True
        failpoint("final.recorded")
        best, done = self._source.best(), self._source.done()
        reason = event.reason or (f"stopped by {event.stopped}" if event.stopped else "")
        self._display.finished(number, event.shown_state, values, reason, best, done)
        if damage is not None:
            raise damage
        if not event.is_interrupted:
            self._count_failures(number, event)

    def _put(self, number: int, config: TrialConfig, event: Event) -> None:
        self._record.put(number, config.as_json(), [event], self._directory_of(number).path)

    def _record_finished(self) -> None:
        """Send final states to MLflow, after the next trials have started: figures and uploads take time."""
        for number, config, event in self._finished:
            self._put(number, config, event)
        self._finished.clear()

    def _count_failures(self, number: int, event: Finished) -> None:
        """Stop the study after several failures in a row; those in plugin code are retried later."""
        self._failures = [*self._failures, (number, event)] if event.state == "failed" else []
        if len(self._failures) < MAX_FAILURES_IN_A_ROW:
            return
        in_plugins = [number for number, event in self._failures if event.is_plugin_error]
        self._source.retry_later(in_plugins)
        if len(self._failures) > MAX_FAILURES_IN_A_ROW:
            return  # the study is being stopped; this trial ran beside the others
        fix = "Fix the cause and run the same command again"
        if self._is_search:
            fix = "Fix the plugin and run the same command with --accept-versions" if in_plugins else fix
            fix += f"; to start a new study, add --name {self._study.definition.name}-2"
        raise TooManyFailures(
            f"{MAX_FAILURES_IN_A_ROW} trials in a row failed. Trial {number}: {event.reason.rstrip('.')}. "
            f"The output of the trials is in {self._directory_of(number).path.parent}. {fix}."
        )

    def _stop_running(self, reason: str) -> None:
        """Handle the events that have arrived, then kill the running trials as interrupted."""
        try:
            while ready := self._executor.wait(timeout=0):
                self._handle_events(ready)
        finally:
            with ExitStack() as stack:  # an error in one call does not prevent the other calls
                for number in reversed(self._executor.stop_all()):
                    stack.callback(self._handle, number, interrupted_event(reason))


def interrupted_event(reason: str) -> Finished:
    """Return the final event of a trial that was stopped from outside, which is retried."""
    return Finished(time.time(), "failed", reason, is_interrupted=True)
