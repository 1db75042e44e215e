"""Recording a study in MLflow: one run for the study, one child run for each trial.

    tracker = StudyTracker(connect(), facts)
    tracker.record(7, config, [event], folder)    # every event of every trial
    tracker.finish("FINISHED")

Recording an event again has no effect, in this process or a later one: a run is found by its tag `zoo.uid`,
a metric has the time and the epoch of its event, and a run is ended only when it is complete.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.events import EpochEnd, Event, Finished, Progress, Scored, Started
from zoo.failpoints import failpoint
from zoo.record import trial_uid
from zoo.study import Objective, objectives_text
from zoo.tracking import _names as names
from zoo.tracking._duplicates import create_once, merge_duplicates
from zoo.tracking._names import StudyFacts, StudySummary
from zoo.tracking._removal import remove_model
from zoo.tracking._store import Store, TrackingError, as_metrics, is_active
from zoo.tracking._trial_run import TrialRun, log_score
from zoo.tracking._view import save_view

if TYPE_CHECKING:
    from mlflow.entities import Metric

_LoggedEvent = Started | EpochEnd | Finished | Scored


class StudyTracker:
    """The runs of one study, or one standalone run, in MLflow; creating it opens the study's run."""

    def __init__(self, store: Store, facts: StudyFacts) -> None:
        self.store = store
        self.facts = facts
        self._trials: dict[int, TrialRun | None] = {}  # without ended ones; None: deleted in MLflow
        self._tags = names.common_tags(facts)
        self.experiment_id = store.open_experiment(facts.name)
        if not facts.is_standalone:
            failpoint("mlflow.experiment")
            merge_duplicates(store, self.experiment_id, facts.uid)
        self._study = None if facts.is_standalone else StudyRun(store, facts, self.experiment_id, self._tags)

    @property
    def run_id(self) -> str | None:
        """The id of the study's run; None for a standalone run."""
        return self._study.run_id if self._study is not None else None

    def record(
        self,
        number: int,
        config: Mapping[str, Any],
        events: Sequence[Event],
        folder: Path,
        *,
        keep_model: bool = True,
    ) -> bool:
        """Record events of a trial. If the trial's run is deleted in MLflow, record nothing and return False.

        Args:
            config: the trial's configuration as JSON, `{}` if lost.
            folder: the trial directory.
            keep_model: record also the model and the figures of a complete trial.
        """
        logged = [event for event in events if not isinstance(event, Progress)]
        trial = self._open(number, config, logged[0]) if logged else None
        if trial is None:
            return not logged
        try:
            self._record(trial, logged, folder, keep_model)
        except Exception:
            with suppress(Exception):  # if MLflow does not answer, raise the first error
                if not is_active(trial.get()):
                    self._trials[number] = None
                    return False
            raise
        return True

    def _record(
        self, trial: TrialRun, events: Sequence[_LoggedEvent], folder: Path, keep_model: bool
    ) -> None:
        trial.log_config()
        trial.log_epochs([event for event in events if isinstance(event, EpochEnd)])
        failpoint("mlflow.epochs")
        for event in events:
            match event:
                case Started():
                    trial.log_start(event)
                case Finished():
                    run = trial.get()
                    problem = trial.log_results(run, event, folder, keep_model=keep_model)
                    if self._study is not None and event.state == "complete":
                        self._study.log_best(trial.number, event)
                    failpoint("mlflow.results")
                    trial.end(run, event, problem)
                    del self._trials[trial.number]  # for a later event, the run is found again
                    failpoint("mlflow.ended")
                case Scored():
                    log_score(self.store, trial.get(), event)
                    if self._study is not None and event.is_best:
                        metrics = as_metrics(event.metrics, event.time, step=trial.number)
                        self.store.log(
                            self._study.run_id, metrics, tags={names.BEST_TRIAL: str(trial.number)}
                        )

    def end_with_problem(self, number: int, config: Mapping[str, Any], event: Finished, problem: str) -> None:
        """End a trial's run with a tag for the problem; recording `event` later completes the run."""
        trial = self._open(number, config, event)
        if trial is not None:
            trial.end(trial.get(), event, problem)

    def remove_model(self, number: int) -> None:
        """Remove model and figures of a trial, if MLflow has them; keep a registered model."""
        run = self.store.find_run(self.experiment_id, trial_uid(self.facts.uid, number))
        if run is not None and is_active(run):
            remove_model(self.store, run)

    def record_summary(self, summary: StudySummary) -> None:
        """Record the results of the study so far; do nothing for a standalone run."""
        if self._study is not None:
            self._study.record_summary(summary)

    def record_report(self, path: Path) -> None:
        """Upload the report of the study as a file of its run; replace an older report."""
        if self._study is not None:
            self.store.client.log_artifact(self._study.run_id, str(path))

    def finish(self, status: str = "FINISHED") -> None:
        """End the study's run. `status` is `FINISHED`, `KILLED` (interrupted) or `FAILED`."""
        if self._study is not None:
            self.store.client.set_terminated(self._study.run_id, status)

    def _open(self, number: int, config: Mapping[str, Any], event: _LoggedEvent) -> TrialRun | None:
        """Return the trial's run; create a missing one, and return None for a deleted one."""
        if number not in self._trials:
            uid = trial_uid(self.facts.uid, number)
            find = partial(self.store.find_run, self.experiment_id, uid)
            run = find() or create_once(
                lambda: self.store.client.create_run(
                    self.experiment_id,
                    start_time=names.milliseconds(event.time),
                    tags=self._trial_tags(number, uid, config),
                    run_name=self.facts.run_name(number),
                ),
                find,
            )
            failpoint("mlflow.trial")
            opened = TrialRun(self.store, self.facts, number, config, str(run.info.run_id))
            if self._study is None:
                log_plugin_files(self.store, self.facts, opened.run_id)
            self._trials[number] = opened if is_active(run) else None
        return self._trials[number]

    def _trial_tags(self, number: int, uid: str, config: Mapping[str, Any]) -> dict[str, str]:
        confirmed = {names.CONFIRMS: str(number), names.REPEAT: str(self.facts.repeat)}
        return {
            **self._tags,
            **(confirmed if self.facts.repeat else {}),
            names.KIND: "standalone" if self._study is None else "trial",
            names.UID: uid,
            names.TRIAL: str(number),
            names.DIGEST: config.get("digest") or self.facts.dataset.digest,
            **names.plugin_tags(config.get("plugins") or self.facts.plugins),
            **({} if self._study is None else {names.PARENT: self._study.run_id}),
        }


class StudyRun:
    """The run of a study, new or from an earlier process. The runs of its trials have the same `tags`."""

    def __init__(self, store: Store, facts: StudyFacts, experiment_id: str, tags: Mapping[str, str]) -> None:
        self._store = store
        self._facts = facts
        self._experiment_id = experiment_id
        self._best: _BestSoFar | None = None
        self.run_id = self._open(tags)
        failpoint("mlflow.study")
        if facts.definition:
            store.client.log_text(self.run_id, facts.definition, "study.toml")
        if facts.manifest:
            store.client.log_text(self.run_id, json.dumps(facts.manifest, indent=1) + "\n", "manifest.json")
        log_plugin_files(store, facts, self.run_id)

    def _open(self, tags: Mapping[str, str]) -> str:
        facts, client = self._facts, self._store.client
        tags = {
            **tags,
            **names.plugin_tags(facts.plugins),
            names.KIND: "study",
            names.UID: facts.uid,
            names.DIGEST: facts.dataset.digest,
            names.OBJECTIVE: ",".join(objective.metric for objective in facts.objectives),
            names.DIRECTION: ",".join(objective.direction for objective in facts.objectives),
        }
        run = self._store.find_run(self._experiment_id, facts.uid)
        if run is None:
            tags |= {names.SEARCHED: ",".join(facts.searched), names.NOTE: self._note()}
            run = create_once(
                lambda: client.create_run(self._experiment_id, tags=tags, run_name=facts.name),
                lambda: self._store.find_run(self._experiment_id, facts.uid),
            )
        elif not is_active(run):
            raise TrackingError(
                f"the run of the study '{facts.name}' is deleted in MLflow at {self._store.address}. "
                f"Restore it with `zoo delete {facts.name} --restore`, or give the study another name."
            )
        else:
            self._store.log(run.info.run_id, tags=tags)
            client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def log_best(self, number: int, event: Finished) -> None:
        """Log the best value of the first objective among the trials so far, including trial `number`."""
        objective = self._facts.objectives[0]
        value = event.summary.get(objective.result)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return
        if self._best is None:
            history = self._store.client.get_metric_history(self.run_id, objective.result)
            self._best = _BestSoFar(objective, history)
        if new := self._best.point(number, float(value), event.time):
            self._store.log(self.run_id, new)
            self._best.add(new)

    def record_summary(self, summary: StudySummary) -> None:
        """Record description and figures, tag the best trials, and save the view of the user interface."""
        client = self._store.client
        note = client.get_run(self.run_id).data.tags.get(names.NOTE, "")
        first, _, rest = note.partition("\n")
        tags = {names.SEARCHED: ",".join(summary.searched)}
        if first.startswith(self._note()):  # else a user has replaced the description
            tags[names.NOTE] = names.shorten(f"{summary.text}\n{rest}".rstrip())
        self._store.log(self.run_id, tags=tags)
        for figure in summary.figures:
            client.log_artifact(self.run_id, str(figure), "figures")
        self._tag_trials(names.FRONT, summary.front)
        self._tag_trials(names.BEST, [] if summary.best is None else [summary.best])
        save_view(self._store, client.get_run(self.run_id))

    def _tag_trials(self, tag: str, numbers: Sequence[int]) -> None:
        """Tag the runs of the trials `numbers`, and remove the tag from the others."""
        tagged = {trial_uid(self._facts.uid, number) for number in numbers}
        for run in self._store.runs(self._experiment_id, f"tags.`{names.PARENT}` = '{self.run_id}'"):
            has_tag, needs_tag = tag in run.data.tags, run.data.tags.get(names.UID) in tagged
            if needs_tag and not has_tag:
                self._store.log(run.info.run_id, tags={tag: "true"})
            elif has_tag and not needs_tag:
                self._store.client.delete_tag(run.info.run_id, tag)

    def _note(self) -> str:
        """Return the beginning of every description that zoo writes."""
        return objectives_text(self._facts.objectives)


class _BestSoFar:
    """The metric of the study's run with the best value so far, with one point for each complete trial."""

    def __init__(self, objective: Objective, history: Sequence[Metric]) -> None:
        self._objective = objective
        self._value: float | None = None
        self._step = 0
        self._by_time: dict[int, float] = {}  # milliseconds -> best value
        self.add(history)

    def point(self, number: int, value: float, time: float) -> list[Metric]:
        """Return the point for a trial with that value; [] if it was logged before."""
        logged = self._by_time.get(names.milliseconds(time))
        if logged is not None and self._best(value, logged) == logged:
            return []
        # MLflow shows the value at the highest step; but parallel trials do not end in numerical order.
        step = max(number, self._step)
        return as_metrics({self._objective.result: self._best(value, self._value)}, time, step=step)

    def add(self, points: Sequence[Metric]) -> None:
        for point in points:
            self._value = self._best(point.value, self._value)
            self._step = max(self._step, point.step)
            self._by_time[point.timestamp] = self._best(point.value, self._by_time.get(point.timestamp))

    def _best(self, value: float, other: float | None) -> float:
        return value if other is None else self._objective.best([value, other])


def log_plugin_files(store: Store, facts: StudyFacts, run_id: str) -> None:
    """Upload the plugin files of a study or standalone run; they may be needed to load a model."""
    for path, text in facts.plugin_files.items():
        store.client.log_text(run_id, text, path)


def add_test_metrics(store: Store, study: str, uid: str, event: Scored, best_epoch: int = 0) -> bool:
    """Add a model's test metrics to the run with that `zoo.uid`; return False if there is no such run."""
    with store.requests():
        run = store.find_active_run(study, uid)
        if run is not None:
            log_score(store, run, event, best_epoch)
    return run is not None


def add_report(store: Store, study: str, uid: str, path: Path) -> bool:
    """Add a report to the run of the study with that `zoo.uid`; return False if there is no such run."""
    with store.requests():
        run = store.find_active_run(study, uid)
        if run is not None:
            store.client.log_artifact(run.info.run_id, str(path))
    return run is not None


def correct_results(
    store: Store, study: str, study_uid: str, results: Mapping[int, Mapping[str, float]]
) -> None:
    """Log the right results of trials that have other values in MLflow; the latest value of a metric counts.

    Nothing is deleted: a model may exist only in its run.
    """
    with store.requests():
        for number, values in results.items():
            run = store.find_active_run(study, trial_uid(study_uid, number))
            if run is not None:
                store.log(run.info.run_id, as_metrics(values, time.time()))
