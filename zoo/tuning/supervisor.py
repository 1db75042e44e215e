"""The supervisor: asks for trials, has them run, hears their events, decides every final state.

It is the one writer of a study. An event goes to the trial's file first, then to Optuna, then the
trial is answered, then the tracker is told; nothing of the last can hold up a trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from zoo.errors import ZooError
from zoo.study import StudyDefinition
from zoo.trial import TrialConfig
from zoo.tuning.display import Display
from zoo.tuning.executor import Event, LocalExecutor, ended
from zoo.tuning.interrupts import Interrupted, Interrupts
from zoo.tuning.record import StudyRecord
from zoo.tuning.search import OptunaSearch

FAILURES_IN_A_ROW = 3


class Tracker(Protocol):
    """Where the record is shown: MLflow. Never waits, never raises."""

    def put(self, number: int, config: Mapping[str, Any], event: Event, folder: Path) -> None: ...


class TooManyFailures(ZooError):
    """Trial after trial failed; going on would only burn the budget."""

    exit_status = 1


@dataclass(frozen=True)
class Outcome:
    """How a search ended."""

    best: tuple[int, float] | None
    done: int
    total: int
    interrupted: int | None = None  # the exit status, where a signal ended it
    front: Mapping[int, tuple[float, ...]] = field(default_factory=dict)  # as OptunaSearch.front
    rejected: int = 0  # trials with more parameters than they may have


class Supervisor:
    """Runs one study to its number of trials."""

    def __init__(
        self,
        definition: StudyDefinition,
        search: OptunaSearch,
        record: StudyRecord,
        executor: LocalExecutor,
        tracker: Tracker,
        display: Display,
    ) -> None:
        self._definition = definition
        self._search = search
        self._record = record
        self._executor = executor
        self._tracker = tracker
        self._display = display
        self._configs: dict[int, TrialConfig] = {}
        # Of a running trial the best objective so far, by fold.
        self._reached: dict[int, dict[int, float]] = {}
        self._ended: list[tuple[int, TrialConfig, Event]] = []  # of which the tracker has not been told
        self._failures: list[str] = []

    def reconcile(self) -> list[int]:
        """Put in order what a supervisor that is gone left behind: every trial gets its final state.

        A trial whose end is in its file gets that end; any other was interrupted.
        """
        abandoned = self._search.abandoned()
        for number in abandoned:
            trial = self._record.trial(number)
            event = trial.finished()
            if event is None:
                event = ended("failed", "interrupted: its supervisor was killed", interrupted=True)
                trial.folder.mkdir(parents=True, exist_ok=True)
                trial.append(event)
            self._tell_search(number, event)
        return abandoned

    def run(self, interrupts: Interrupts) -> Outcome:
        """Run trials until the study has its number of them, or a signal ends it.

        Raises:
            TooManyFailures: three in a row failed.
        """
        definition, search = self._definition, self._search
        self._display.begin(definition.name, definition.objectives, search.done(), search.total())
        try:
            self._loop(interrupts)
        except Interrupted:
            self._interrupt()
            return self._outcome(interrupts.exit_status)
        except BaseException:
            self._interrupt("interrupted: the study was stopped")
            raise
        finally:
            self._track_ends()
        return self._outcome(None)

    def _loop(self, interrupts: Interrupts) -> None:
        while True:
            while (
                self._executor.free
                and self._search.done() + len(self._executor.running) < self._search.total()
            ):
                self._start(interrupts)
            self._track_ends()
            if not self._executor.running:
                return
            with interrupts.welcome():
                ready = self._executor.wait(timeout=1.0)
            for number in ready:
                self._hear(number, self._executor.read(number))

    def _start(self, interrupts: Interrupts) -> None:
        asked = self._search.ask()
        trial = self._record.trial(asked.number)
        trial.begin(asked.config.as_json())
        self._configs[asked.number] = asked.config
        self._display.started(asked.number, asked.config)
        try:
            with interrupts.welcome():  # the first one waits for Keras
                self._executor.start(asked.number, asked.config, self._record.cache, trial.folder)
        except BaseException:
            if asked.number not in self._executor.running:
                self._hear(asked.number, ended("failed", "interrupted before it began", interrupted=True))
            raise

    def _hear(self, number: int, event: Event) -> None:
        """One event of one trial: to its file, to Optuna, back to the trial, to the tracker."""
        kind = event["event"]
        if kind == "progress":
            self._display.progress(number, event["epoch"], event["fraction"], event.get("fold", 1))
            return
        if kind == "finished":
            event = self._judged(event)
        self._record.trial(number).append(event)
        if kind == "epoch":
            self._executor.answer(number, self._goes_on(number, event))
            self._display.epoch(number, event["epoch"], event["metrics"], event.get("fold", 1))
        if kind == "finished":
            self._tell_search(number, event)
            self._display.finished(
                number,
                event["state"],
                self._values(event),
                event["reason"],
                self._search.best(),
                self._search.done(),
            )
            self._reached.pop(number, None)
            self._ended.append((number, self._configs.pop(number), event))
            self._count_failures(event)
        else:
            self._track(number, self._configs[number], event)

    def _goes_on(self, number: int, event: Event) -> bool:
        """Whether the pruner lets a trial train another epoch, by the best it reached: that is its result.

        With folds that is the mean of the best of each, as far as they have come; the epochs of one
        fold count after all that the fold before might have had, so that trials are compared at
        equal points also where one of them ended a fold early.
        """
        objective = self._definition.epoch_objective
        value, fold, epoch = event["metrics"][objective.metric], event.get("fold", 1), event["epoch"]
        reached = self._reached.setdefault(number, {})
        reached[fold] = objective.best([value, reached.get(fold, value)])
        step = (fold - 1) * self._definition.max_epochs() + epoch
        goes_on = self._search.report(number, step, fmean(reached.values()))
        # After the very last one, of patience or not, nothing is left to save.
        return goes_on or event.get("last", False)

    def _judged(self, event: Event) -> Event:
        """A trial is complete only with a finite value of every objective."""
        if event["state"] != "complete":
            return event
        for objective in self._definition.objectives:
            value = event["summary"].get(objective.result)
            if not (isinstance(value, int | float) and math.isfinite(value)):
                reason = f"{objective.metric} is {value!r}, not a finite number"
                return {**event, "state": "failed", "reason": reason}
        return event

    def _tell_search(self, number: int, event: Event) -> None:
        summary = event["summary"]
        self._search.tell(
            number,
            event["state"],
            [summary[objective.result] for objective in self._definition.objectives]
            if event["state"] == "complete"
            else None,
            event["reason"],
            interrupted=bool(event.get("interrupted")),
            parameters=summary.get("parameters"),
        )

    def _values(self, event: Event) -> dict[str, float]:
        """The objectives by name, as far as the trial came to have them."""
        results = {one.metric: event["summary"].get(one.result) for one in self._definition.objectives}
        return {metric: float(value) for metric, value in results.items() if value is not None}

    def _track(self, number: int, config: TrialConfig, event: Event) -> None:
        self._tracker.put(number, config.as_json(), event, self._record.trial(number).folder)

    def _track_ends(self) -> None:
        """Tell of the trials that ended once the next ones run: figures and uploads are work."""
        for number, config, event in self._ended:
            self._track(number, config, event)
        self._ended.clear()

    def _count_failures(self, event: Event) -> None:
        if event.get("interrupted"):
            return
        if event["state"] != "failed":
            self._failures = []
            return
        self._failures.append(event["reason"])
        if len(self._failures) == FAILURES_IN_A_ROW:
            reason = event["reason"].rstrip(".")
            raise TooManyFailures(
                f"{FAILURES_IN_A_ROW} trials in a row failed, the last because: {reason}. "
                f"What the trials printed is in {self._record.folder / 'trials'}; "
                "when it is put right, the same command goes on, "
                f"or begin afresh with --name {self._definition.name}-2"  # these count as trials of this one
            )

    def _interrupt(self, reason: str = "interrupted") -> None:
        """Stop every running trial and give it its final state: what it has said already still counts."""
        try:
            while ready := self._executor.wait(timeout=0):
                for number in ready:
                    self._hear(number, self._executor.read(number))
        finally:
            for number in self._executor.stop_all():
                self._hear(number, ended("failed", reason, interrupted=True))

    def _outcome(self, interrupted: int | None) -> Outcome:
        search = self._search
        return Outcome(
            search.best(), search.done(), search.total(), interrupted, search.front(), search.rejected()
        )
