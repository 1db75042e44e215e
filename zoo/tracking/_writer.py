"""Recording a study in MLflow: one run for the study, one child run for each trial.

    facts = StudyFacts(name="mnist_cnn", uid="5f0c…", objectives=[Objective("val_accuracy", "maximize")],
                       digest="…", source="mnist.npz", image_shape=(28, 28, 1), num_classes=10,
                       plugins={"keras-zoo": "0.1.0"}, definition=toml_text, manifest=manifest)
    tracker = StudyTracker(connect(), facts)
    tracker.record(7, config, [event], folder)    # every event of every trial
    tracker.finish("FINISHED")

Recording an event again has no effect, in this process or in a later one: a run is looked up by its
tag `zoo.uid` before it is created, a metric carries the time and the epoch of its event, and a run
is ended only when it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.events import EpochEnd, Event, Finished, Progress, Scored, Started
from zoo.record import trial_uid
from zoo.tracking import _names as names
from zoo.tracking._store import Store, is_active
from zoo.tracking._study_run import StudyFacts, StudyRun, common_tags
from zoo.tracking._trial_run import TrialRun, is_recorded, log_score

_LoggedEvent = Started | EpochEnd | Finished | Scored


class StudyTracker:
    """The runs of one study, or one standalone run, in MLflow.

    The study's own run is opened when this object is created.

    Raises:
        TrackingError: MLflow refuses the study's name, or its experiment or run is deleted.
    """

    def __init__(self, store: Store, facts: StudyFacts) -> None:
        self.store = store
        self.facts = facts
        self._trials: dict[int, TrialRun | None] = {}  # None: deleted in MLflow
        self._tags = common_tags(facts)
        self.experiment_id = store.open_experiment(facts.name)
        self._study = (
            None if facts.standalone_name else StudyRun(store, facts, self.experiment_id, self._tags)
        )

    @property
    def run_id(self) -> str | None:
        """The study's own run; None for a standalone run."""
        return self._study.run_id if self._study is not None else None

    def record(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> bool:
        """Record events of trial `number`, those of its epochs in one request.

        Args:
            config: the trial's configuration as JSON; `{}` if it is lost.
            folder: the trial directory.

        Returns:
            False if the trial's run is deleted in MLflow; then nothing is recorded.
        """
        logged = [event for event in events if not isinstance(event, Progress)]
        trial = self._open(number, config, logged[0]) if logged else None
        if trial is None:
            return not logged
        try:
            self._record(trial, logged, folder)
        except Exception:
            if not self._is_deleted(trial):
                raise
            self._trials[number] = None
            return False
        return True

    def _record(self, trial: TrialRun, events: Sequence[_LoggedEvent], folder: Path) -> None:
        trial.describe()
        trial.log_epochs([event for event in events if isinstance(event, EpochEnd)])
        for event in events:
            match event:
                case Started():
                    trial.log_start(event)
                case Finished():
                    self._finish_trial(trial, event, folder)
                case Scored():
                    log_score(self.store, trial.get(), event)
                    if self._study is not None and event.is_champion:
                        self._study.log_champion(trial.number, event)

    def _finish_trial(self, trial: TrialRun, event: Finished, folder: Path) -> None:
        run = trial.get()
        if not is_recorded(run, event):
            problem = trial.log_results(run, event, folder)
            if self._study is not None and event.state == "complete":
                self._study.log_best(trial.number, event)
            trial.end(run, event, problem)

    def give_up(self, number: int, config: Mapping[str, Any], event: Finished, problem: str) -> None:
        """End a trial's run although something could not be recorded, and tag it with the problem.

        If `event` is recorded again later, the run is completed.
        """
        trial = self._open(number, config, event)
        if trial is not None:
            trial.end(trial.get(), event, problem)

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Tag the runs of the trials on the Pareto front, and upload an image of the front."""
        if self._study is not None:
            self._study.show_front(numbers, figure)

    def finish(self, status: str = "FINISHED") -> None:
        """End the study's run. `status` is `FINISHED`, `KILLED` (interrupted) or `FAILED`."""
        if self._study is not None:
            self.store.client.set_terminated(self._study.run_id, status)

    def _open(self, number: int, config: Mapping[str, Any], event: _LoggedEvent) -> TrialRun | None:
        """Return the trial's run, created if there is none; None if it is deleted."""
        if number not in self._trials:
            run = self.store.find_run(self.experiment_id, self._uid(number))
            run = run or self._create_run(number, config, event)
            opened = TrialRun(self.store, self.facts, number, config, str(run.info.run_id))
            self._trials[number] = opened if is_active(run) else None
        return self._trials[number]

    def _create_run(self, number: int, config: Mapping[str, Any], event: _LoggedEvent) -> Any:
        tags = {
            **self._tags,
            names.KIND: "standalone" if self._study is None else "trial",
            names.UID: self._uid(number),
            names.TRIAL: str(number),
            names.DIGEST: config.get("digest") or self.facts.digest,
            **names.plugin_tags(config.get("plugins") or self.facts.plugins),
            **({} if self._study is None else {names.PARENT: self._study.run_id}),
        }
        return self.store.client.create_run(
            self.experiment_id,
            start_time=names.milliseconds(event.time),
            tags=tags,
            run_name=self.facts.standalone_name or f"trial-{number:03d}",
        )

    def _uid(self, number: int) -> str:
        return trial_uid(self.facts.uid, number)

    def _is_deleted(self, trial: TrialRun) -> bool:
        with suppress(Exception):  # MLflow does not answer
            return not is_active(trial.get())
        return False


def add_test_metrics(store: Store, study: str, uid: str, event: Scored) -> bool:
    """Add the test metrics of a model to a run that has ended; return False if there is no such run.

    Args:
        uid: the run's `zoo.uid`.

    Raises:
        TrackingError: MLflow does not answer, or refuses the metrics.
    """
    with store.requests():
        run = store.find_study_run(study, uid)
        if run is not None:
            log_score(store, run, event)
    return run is not None
