"""The supervisor: starts trials, handles their events, decides every final state.

It is the only writer of a study. An event goes to the trial's event log first, then to Optuna, then the
trial gets its answer, then the event goes to the tracker. A slow tracker never delays a trial.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from zoo.errors import ZooError
from zoo.events import EpochEnd, Event, Finished, Progress
from zoo.record import TrialDirectory
from zoo.study import Objective
from zoo.trial import TrialConfig
from zoo.tuning.display import Display
from zoo.tuning.executors import Executor
from zoo.tuning.interrupts import Interrupted, Interrupts

MAX_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class PendingTrial:
    """A trial that is about to start."""

    number: int
    config: TrialConfig


class TrialSource(Protocol):
    """Proposes trials and learns from their results: an Optuna study, or a list of configurations."""

    @property
    def objectives(self) -> Sequence[Objective]:
        """What trials are ranked by, the first objective first."""

    def total(self) -> int:
        """Return how many trials there are to be."""

    def done(self) -> int:
        """Return how many trials have finished, interrupted ones excluded."""

    def ask(self) -> PendingTrial:
        """Return the next trial."""

    def report(self, number: int, event: EpochEnd) -> bool:
        """Report an epoch; return False if the trial is to be pruned."""

    def tell(self, number: int, event: Finished) -> None:
        """Report the final state of a trial."""

    def retry_later(self, numbers: Sequence[int]) -> None:
        """Exclude failed trials from `done` and run them again when the study is resumed."""

    def best(self) -> tuple[int, float] | None:
        """Return number and first objective of the best complete trial; None if there is none."""


class Tracker(Protocol):
    """Records events in MLflow. Neither waits nor raises."""

    def put(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None: ...


class TooManyFailures(ZooError):
    """Several trials in a row failed, so the study was stopped."""

    exit_status = 1


class Supervisor:
    """Runs the trials of a source until it has its number of them.

    Args:
        name: of the study, for messages.
        directory_of: returns the directory of a trial by its number.
        cache_dir: the cache of prepared datasets.
    """

    def __init__(
        self,
        name: str,
        source: TrialSource,
        executor: Executor,
        tracker: Tracker,
        display: Display,
        directory_of: Callable[[int], TrialDirectory],
        cache_dir: Path,
    ) -> None:
        self._name = name
        self._source = source
        self._executor = executor
        self._tracker = tracker
        self._display = display
        self._directory_of = directory_of
        self._cache_dir = cache_dir
        self._configs: dict[int, TrialConfig] = {}  # of the running trials
        self._finished: list[tuple[int, TrialConfig, Finished]] = []  # not sent to the tracker yet
        self._failures: list[tuple[int, Finished]] = []  # without another state in between

    def run(self, interrupts: Interrupts) -> bool:
        """Run trials until none is left or a signal comes; return False after a signal.

        Raises:
            TooManyFailures: three trials in a row failed.
        """
        source = self._source
        self._display.begin(self._name, source.objectives, source.done(), source.total())
        try:
            self._loop(interrupts)
        except Interrupted:
            self._stop_running("interrupted")
            return False
        except BaseException:
            self._stop_running("interrupted: the study was stopped")
            raise
        finally:
            self._track_finished()
        return True

    def _loop(self, interrupts: Interrupts) -> None:
        while True:
            while self._executor.free_slots and self._has_more():
                self._start_next(interrupts)
            self._track_finished()
            if not self._executor.running:
                return
            with interrupts.interruptible():
                ready = self._executor.wait(timeout=1.0)
            for number in ready:
                self._handle(number, self._executor.read(number))

    def _has_more(self) -> bool:
        return self._source.done() + len(self._executor.running) < self._source.total()

    def _start_next(self, interrupts: Interrupts) -> None:
        trial = self._source.ask()
        directory = self._directory_of(trial.number)
        directory.create(trial.config.as_json())
        self._configs[trial.number] = trial.config
        self._display.started(trial.number, trial.config)
        try:
            with interrupts.interruptible():  # the first trial waits until Keras is loaded
                self._executor.start(trial.number, trial.config, self._cache_dir, directory.path)
        except BaseException:
            if trial.number not in self._executor.running:
                self._handle(trial.number, interrupted("interrupted before it started"))
            raise

    def _handle(self, number: int, event: Event) -> None:
        """Pass one event to the event log, Optuna, the trial, the display and the tracker."""
        match event:
            case Progress():
                self._display.progress(number, event.epoch, event.fraction, event.fold or 1)
            case EpochEnd():
                self._directory_of(number).append(event)
                self._executor.answer(number, self._source.report(number, event))
                self._display.epoch(number, event.epoch, event.metrics, event.fold or 1)
                self._track(number, self._configs[number], event)
            case Finished():
                self._finish(number, self._checked(event))
            case _:
                self._directory_of(number).append(event)
                self._track(number, self._configs[number], event)

    def _finish(self, number: int, event: Finished) -> None:
        try:
            self._directory_of(number).append(event)
        finally:  # a full disk must not leave the run in MLflow as running
            self._finished.append((number, self._configs.pop(number), event))
        self._source.tell(number, event)
        values = {
            objective.metric: float(event.summary[objective.result])
            for objective in self._source.objectives
            if event.summary.get(objective.result) is not None
        }
        best, done = self._source.best(), self._source.done()
        self._display.finished(number, event.state, values, event.reason, best, done)
        self._count_failures(number, event)

    def _checked(self, event: Finished) -> Finished:
        """Return `event`, as failed if it is complete without a finite value of every objective."""
        if event.state == "complete":
            for objective in self._source.objectives:
                value = event.summary.get(objective.result)
                if not (isinstance(value, int | float) and math.isfinite(value)):
                    reason = f"{objective.metric} is {value!r}, not a finite number"
                    return replace(event, state="failed", reason=reason)
        return event

    def _track(self, number: int, config: TrialConfig, event: Event) -> None:
        self._tracker.put(number, config.as_json(), [event], self._directory_of(number).path)

    def _track_finished(self) -> None:
        """Send final states to the tracker once the next trials run: figures and uploads take time."""
        for number, config, event in self._finished:
            self._track(number, config, event)
        self._finished.clear()

    def _count_failures(self, number: int, event: Finished) -> None:
        if event.is_interrupted:
            return
        self._failures = [*self._failures, (number, event)] if event.state == "failed" else []
        if len(self._failures) == MAX_FAILURES_IN_A_ROW:
            raise TooManyFailures(self._failures_text())

    def _failures_text(self) -> str:
        """Describe the failures in a row; those in a plugin's code will be retried."""
        number, last = self._failures[-1]
        in_plugins = [number for number, event in self._failures if event.is_plugin_error]
        start_over = f"to start over, add --name {self._name}-2"
        if in_plugins:
            self._source.retry_later(in_plugins)
            cure = f"Fix the plugin and run the same command with --accept-versions; {start_over}."
        else:
            cure = f"Fix the cause and run the same command again; {start_over}."
        return (
            f"{MAX_FAILURES_IN_A_ROW} trials in a row failed. Trial {number}: {last.reason.rstrip('.')}. "
            f"The output of the trials is in {self._directory_of(number).path.parent}. {cure}"
        )

    def _stop_running(self, reason: str) -> None:
        """Handle the events that have arrived, then kill the running trials as interrupted."""
        try:
            while ready := self._executor.wait(timeout=0):
                for number in ready:
                    self._handle(number, self._executor.read(number))
        finally:
            for number in self._executor.stop_all():
                self._handle(number, interrupted(reason))


def interrupted(reason: str) -> Finished:
    """Return the final event of a trial that was stopped through no fault of its own."""
    return Finished(time.time(), "failed", reason, is_interrupted=True)
