"""Writing a study into MLflow: one run for the study, one child run for every trial.

    facts = StudyFacts(name="mnist_cnn", uid="5f0c…", objectives=[Objective("val_accuracy", "maximize")],
                       digest="…", source="mnist.npz", image_shape=(28, 28, 1), num_classes=10,
                       plugins={"keras-zoo": "0.1.0"}, definition=toml_text, manifest=manifest)
    tracker = StudyTracker(connect(), facts)
    tracker.handle(7, config, event, folder)      # every event of every trial, as it comes
    tracker.finish("FINISHED")

Everything may be done again, in this process or a later one, and leaves exactly the same: runs are
found by the tag `zoo.uid` before they are made, metrics carry the time and epoch of their event, so
that MLflow knows them, and a run is ended only when all of it is in.
"""

from __future__ import annotations

import getpass
import json
import math
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from zoo.study import Objective
from zoo.tracking import names
from zoo.tracking.models import ModelFacts, model_ids, publish_model
from zoo.tracking.names import milliseconds
from zoo.tracking.store import Store, TrackingError, reason, shown

if TYPE_CHECKING:
    from mlflow.entities import Metric

Event = Mapping[str, Any]

_DIGEST_IN_INPUTS = 36  # characters MLflow keeps; the tag has all 64


@dataclass(frozen=True)
class StudyFacts:
    """What the tracker is told about a study, once.

    Args:
        name: also the name of the MLflow experiment.
        uid: one for every life of the study: begun anew after its state was removed, it has another.
        objectives: what is searched for.
        digest: of the dataset's content, every byte.
        source: where the dataset came from, in a few words.
        warning: what must be known before a figure is believed; recorded with every run.
        image_shape: `(height, width, channels)`.
        plugins: distribution and version of every plugin the study can use; a trial's configuration
            says which of them it does.
        definition: the study file's text.
        manifest: what has to be the same for two trials to be comparable.
        command: what the user ran.
        training: the run's name, where this is a single training outside the search: then the study
            has no run of its own here, and the leaderboard does not count this one.
    """

    name: str
    uid: str
    objectives: Sequence[Objective]
    digest: str
    source: str
    image_shape: tuple[int, int, int]
    num_classes: int
    warning: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    command: str = "zoo tune"
    training: str = ""


@dataclass
class _Trial:
    """A trial's run, as far as this process has seen it."""

    number: int
    run_id: str
    config: Mapping[str, Any]
    introduced: bool = False
    # By fold (1 where there are none) and epoch, under the names that the run has them by.
    epochs: dict[tuple[int, int], list[Metric]] = field(default_factory=dict)

    @property
    def folds(self) -> int:
        """How many; 1 where there are none, or where nobody knows any more."""
        return int(self.config.get("validation", {}).get("folds", 1))


class StudyTracker:
    """Keeps one study's runs in MLflow up to date.

    Making one opens the study's own run, or takes it up again.

    Raises:
        TrackingError: MLflow does not take the study's name, or its experiment was deleted.
    """

    def __init__(self, store: Store, facts: StudyFacts) -> None:
        self.store = store
        self.facts = facts
        self._client = store.client
        self._trials: dict[int, _Trial] = {}
        self._best: list[Metric] | None = None
        self._tags = _common_tags(facts)
        self.experiment_id = store.open_experiment(facts.name)
        self.run_id = None if facts.training else self._open_study()

    def handle(self, number: int, config: Mapping[str, Any], event: Event, folder: Path) -> None:
        """Record one event of trial `number`; events that only move a display are passed over.

        Args:
            config: the trial's configuration as JSON; `{}` where it is not known any more.
            folder: where the trial left its files.
        """
        if event["event"] in _RECORDED:
            trial = self._trial(number, config, event)
            self._record(trial, event, folder)

    def replay(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None:
        """Record all events of a trial as `handle` would, the epochs in one request."""
        events = [event for event in events if event["event"] in _RECORDED]
        if not events:
            return
        trial = self._trial(number, config, events[0])
        self._log_epochs(trial, [event for event in events if event["event"] == "epoch"])
        for event in events:
            if event["event"] != "epoch":
                self._record(trial, event, folder)

    def give_up(self, number: int, config: Mapping[str, Any], event: Event, problem: str) -> None:
        """End a trial's run although something of it could not be recorded, and say what.

        Handling its `finished` event once more, when that has been put right, completes the run.
        """
        trial = self._opened(number, config, event)  # what introduces it may be what is not taken
        self._end(trial, event, self._client.get_run(trial.run_id), problem)

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Tag the runs of the trials that no other beats, and no others.

        Args:
            figure: an image of it, for the study's run.
        """
        if self.run_id is None:
            return
        wanted = {names.trial_uid(self.facts.uid, number) for number in numbers}
        for run in self.store.runs(self.experiment_id, f"tags.`{names.PARENT}` = '{self.run_id}'"):
            is_tagged, is_on_it = names.FRONT in run.data.tags, run.data.tags.get(names.UID) in wanted
            if is_on_it and not is_tagged:
                self._set_tags(run.info.run_id, {names.FRONT: "true"})
            elif is_tagged and not is_on_it:
                self._client.delete_tag(run.info.run_id, names.FRONT)
        if figure is not None:
            self._client.log_artifact(self.run_id, str(figure), "figures")

    def finish(self, status: str = "FINISHED") -> None:
        """End the study's run: `FINISHED`, `KILLED` (interrupted) or `FAILED`."""
        if self.run_id is not None:
            self._client.set_terminated(self.run_id, status)

    def answers(self) -> bool:
        """Whether MLflow can be reached now."""
        return self.store.answers()

    def _open_study(self) -> str:
        facts = self.facts
        tags = {
            **self._tags,
            **names.plugin_tags(facts.plugins),
            names.KIND: "study",
            names.UID: facts.uid,
            names.DIGEST: facts.digest,
            **names.objective_tags(facts.objectives),
        }
        run = self.store.find_run(self.experiment_id, facts.uid)
        if run is None:
            run = self._client.create_run(self.experiment_id, tags=tags, run_name=facts.name)
        else:
            self._set_tags(run.info.run_id, tags)
            self._client.update_run(run.info.run_id, status="RUNNING")
        run_id = str(run.info.run_id)
        if facts.definition:
            self._client.log_text(run_id, facts.definition, "study.toml")
        if facts.manifest:
            self._client.log_text(run_id, json.dumps(facts.manifest, indent=1) + "\n", "manifest.json")
        return run_id

    def _trial(self, number: int, config: Mapping[str, Any], event: Event) -> _Trial:
        """The trial's run, with everything that is known of it from its beginning."""
        trial = self._opened(number, config, event)
        if config and not trial.introduced:
            self._introduce(trial)
        return trial

    def _opened(self, number: int, config: Mapping[str, Any], event: Event) -> _Trial:
        """The trial's run, made if it is not there."""
        if number not in self._trials:
            self._trials[number] = _Trial(number, self._open_run(number, config, event), config)
        return self._trials[number]

    def _open_run(self, number: int, config: Mapping[str, Any], event: Event) -> str:
        uid = names.trial_uid(self.facts.uid, number)
        run = self.store.find_run(self.experiment_id, uid)
        if run is None:
            tags = {
                **self._tags,
                names.KIND: "training" if self.run_id is None else "trial",
                names.UID: uid,
                names.TRIAL: str(number),
                names.DIGEST: names.digest_of(config) or self.facts.digest,
                **names.plugin_tags(config.get("plugins") or self.facts.plugins),
                **_device(event),
                **({} if self.run_id is None else {names.PARENT: self.run_id}),
            }
            run = self._client.create_run(
                self.experiment_id,
                start_time=milliseconds(event["time"]),
                tags=tags,
                run_name=self._name(number),
            )
        return str(run.info.run_id)

    def _name(self, number: int) -> str:
        return self.facts.training or names.run_name(number)

    def _introduce(self, trial: _Trial) -> None:
        """Parameters and dataset; no files, so that a full disk takes no curve away."""
        from mlflow.entities import Param

        parameters = names.flat_parameters(trial.config)
        self._client.log_batch(
            trial.run_id, params=[Param(key, value) for key, value in parameters.items()], synchronous=True
        )
        self._client.log_inputs(trial.run_id, datasets=[self._dataset(trial.config)])
        trial.introduced = True

    def _dataset(self, config: Mapping[str, Any]) -> Any:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = self.facts
        digest = names.digest_of(config) or facts.digest
        name = config["dataset"]["name"]
        dataset = Dataset(
            name=name,
            digest=digest[:_DIGEST_IN_INPUTS],
            source_type="code",  # made by a plugin, from this source
            source=json.dumps({"tags": {"dataset": name, "source": facts.source, "digest": digest}}),
            profile=json.dumps({"image_shape": facts.image_shape, "num_classes": facts.num_classes}),
        )
        return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])

    def _record(self, trial: _Trial, event: Event, folder: Path) -> None:
        match event["event"]:
            case "started":
                self._started(trial, event)
            case "epoch":
                self._log_epochs(trial, [event])
            case "finished":
                self._finished(trial, event, folder)
            case "tested":
                self._tested(trial, event)

    def _started(self, trial: _Trial, event: Event) -> None:
        self._set_tags(trial.run_id, _device(event))
        if "parameters" in event:
            self._log(trial.run_id, _metrics({"parameters": event["parameters"]}, event, step=0))

    def _log_epochs(self, trial: _Trial, events: Iterable[Event]) -> None:
        """Curves: of folds, those of each and their mean, as far as every fold has come."""
        points = []
        for event in events:
            fold, epoch, values = event.get("fold"), event["epoch"], event["metrics"]
            if fold is not None:
                values = {names.of_fold(fold, name): value for name, value in values.items()}
            trial.epochs[fold or 1, epoch] = _metrics(values, event, step=epoch)
            points += trial.epochs[fold or 1, epoch]
            if fold is not None:
                points += _mean_of_folds(trial, epoch)
        self._log(trial.run_id, points)

    def _finished(self, trial: _Trial, event: Event, folder: Path) -> None:
        run = self._client.get_run(trial.run_id)
        if _is_recorded(run, event):
            return
        step = int(event["summary"].get("best_epoch") or 0)
        known = {"parameters"} & run.data.metrics.keys()  # said when the trial started
        summary = {key: value for key, value in event["summary"].items() if key not in known}
        points = _metrics(summary, event, step=0)  # one figure for the whole run: MLflow draws it as a bar
        self._log(trial.run_id, points)
        self._upload(trial, folder)
        problem = ""
        if event["state"] == "complete":
            fold = event["summary"].get("best_fold")
            if fold is not None:
                self._set_tags(trial.run_id, {names.FOLD: str(fold)})
            if (folder / "model.keras").exists():
                self._publish(trial, run, points, fold, step, folder)
            else:
                problem = names.MODEL_GONE
            self._log_best(trial, event)
        self._end(trial, event, run, problem)
        trial.epochs.clear()

    def _upload(self, trial: _Trial, folder: Path) -> None:
        """The files that every trial leaves, whatever came of it."""
        if (folder / "config.json").exists():
            self._client.log_artifact(trial.run_id, str(folder / "config.json"))
        elif trial.config:
            self._client.log_text(trial.run_id, json.dumps(trial.config, indent=1) + "\n", "config.json")
        for figure in sorted((folder / "figures").glob("*.png")):
            self._client.log_artifact(trial.run_id, str(figure), "figures")
        for file in (folder / "summary.txt", folder / "output.log"):
            if file.exists() and file.stat().st_size:
                self._client.log_artifact(trial.run_id, str(file))

    def _publish(
        self,
        trial: _Trial,
        run: Any,
        summary: Sequence[Metric],
        fold: int | None,
        step: int,
        folder: Path,
    ) -> None:
        """The model of `fold` (None where there are none), with the metrics of its epoch `step`."""
        backend = run.data.tags.get(names.BACKEND, "")
        facts = ModelFacts(self.facts.image_shape, self.facts.num_classes, backend)
        publish_model(
            self.store,
            run,
            folder / "model.keras",
            facts,
            name=self._name(trial.number),
            step=step,
            metrics=[*self._at(trial, run, fold, step), *summary],
            tags={
                names.STUDY: self.facts.name,
                names.TRIAL: str(trial.number),
                names.UID: names.trial_uid(self.facts.uid, trial.number),
                names.DIGEST: run.data.tags.get(names.DIGEST, ""),
                **({} if fold is None else {names.FOLD: str(fold)}),
            },
        )

    def _at(self, trial: _Trial, run: Any, fold: int | None, step: int) -> list[Metric]:
        """What epoch `step` reported, from memory, or from MLflow where another process logged it."""
        place = (fold or 1, step)
        if place not in trial.epochs:
            its_own = "" if fold is None else names.of_fold(fold, "")
            keys = [key for key in run.data.metrics if key.startswith(its_own)]
            histories = (self._client.get_metric_history(trial.run_id, key) for key in keys)
            trial.epochs[place] = [point for history in histories for point in history if point.step == step]
        return trial.epochs[place]

    def _log_best(self, trial: _Trial, event: Event) -> None:
        """On the study's run: the best value of the first objective, when trial `number` had ended."""
        from mlflow.entities import Metric

        objective = self.facts.objectives[0]
        key = objective.result
        value = event["summary"].get(key)
        if self.run_id is None or not isinstance(value, int | float) or not math.isfinite(value):
            return
        if self._best is None:
            self._best = list(self._client.get_metric_history(self.run_id, key))
        when = milliseconds(event["time"])
        if any(
            point.timestamp == when and objective.best([value, point.value]) == point.value
            for point in self._best
        ):
            return
        best = objective.best([float(value), *(point.value for point in self._best)])
        # Trials at once may end out of turn; what MLflow shows is the value at the highest step.
        step = max([trial.number, *(point.step for point in self._best)])
        point = Metric(key, best, when, step)
        self._log(self.run_id, [point])
        self._best.append(point)

    def _end(self, trial: _Trial, event: Event, run: Any, problem: str = "") -> None:
        """Say how the trial ended, then end its run."""
        said = {names.STATE: event["state"], names.REASON: event["reason"], names.PROBLEM: problem}
        self._set_tags(trial.run_id, {key: names.shortened(text) for key, text in said.items() if text})
        for key in said.keys() & run.data.tags.keys():
            if not said[key]:
                self._client.delete_tag(trial.run_id, key)
        status = names.STATUS.get(event["state"], "FAILED")
        self._client.set_terminated(trial.run_id, status, end_time=milliseconds(event["time"]))

    def _tested(self, trial: _Trial, event: Event) -> None:
        """Figures on the test split: on its run and its model, and the champion's on the study's run."""
        self._log(trial.run_id, _test_metrics(self._client.get_run(trial.run_id), event))
        if self.run_id is not None and event.get("champion"):
            self._log(self.run_id, _metrics(event["metrics"], event, step=trial.number))
            self._set_tags(self.run_id, {names.CHAMPION: str(trial.number)})

    def _log(self, run_id: str, metrics: Sequence[Metric]) -> None:
        self._client.log_batch(run_id, metrics=metrics, synchronous=True)

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(
            run_id, tags=[RunTag(key, value) for key, value in tags.items()], synchronous=True
        )


_RECORDED = frozenset({"started", "epoch", "finished", "tested"})


def add_test_metrics(store: Store, study: str, uid: str, event: Event) -> bool:
    """Add what a model was found to reach on the test split to a run that ended; whether there is such a run.

    Args:
        uid: the run's `zoo.uid`.
        event: `tested`, with its time and metrics.

    Raises:
        TrackingError: MLflow does not answer, or does not take it.
    """
    try:
        run = store.run_of(study, uid)
        if run is not None:
            store.client.log_batch(run.info.run_id, metrics=_test_metrics(run, event), synchronous=True)
    except TrackingError:
        raise
    except Exception as error:
        raise TrackingError(f"MLflow at {shown(store.uri)} does not take it: {reason(error)}") from error
    return run is not None


def _test_metrics(run: Any, event: Event) -> list[Metric]:
    """At the epoch of the run's model, and of that model."""
    step = int(run.data.metrics.get("best_epoch", 0))
    return _metrics(event["metrics"], event, step=step, model_id=next(iter(model_ids(run)), None))


def _metrics(
    values: Mapping[str, Any], event: Event, *, step: int, model_id: str | None = None
) -> list[Metric]:
    """The numbers among `values`, at the event's time."""
    from mlflow.entities import Metric

    when = milliseconds(event["time"])
    return [
        Metric(key, float(value), when, step, model_id=model_id)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _mean_of_folds(trial: _Trial, epoch: int) -> list[Metric]:
    """The plain metrics of an epoch, once every fold has had it; at the time of the last that had."""
    from mlflow.entities import Metric

    folds = [trial.epochs.get((fold, epoch)) for fold in range(1, trial.folds + 1)]
    reported = [points for points in folds if points is not None]
    if trial.folds == 1 or len(reported) < trial.folds:
        return []
    values: dict[str, list[float]] = {}
    for points in reported:
        for point in points:
            values.setdefault(point.key.partition("/")[2], []).append(point.value)
    when = max(point.timestamp for points in reported for point in points)
    return [
        Metric(name, fmean(of_folds), when, epoch)
        for name, of_folds in values.items()
        if len(of_folds) == trial.folds
    ]


def _device(event: Event) -> dict[str, str]:
    tags = {names.DEVICE: event.get("device", ""), names.BACKEND: event.get("backend", "")}
    return {key: value for key, value in tags.items() if value}


def _is_recorded(run: Any, event: Event) -> bool:
    """A run is ended last, at the event's own time: then everything of it is in."""
    return (
        run.info.status == names.STATUS.get(event["state"], "FAILED")
        and run.info.end_time == milliseconds(event["time"])
        and run.data.tags.get(names.PROBLEM) in (None, names.MODEL_GONE)
    )


def _common_tags(facts: StudyFacts) -> dict[str, str]:
    """What the study's run and every trial's run say alike."""
    tags = {
        names.STUDY: facts.name,
        names.SOURCE: facts.source,
        names.WARNING: facts.warning,
        "mlflow.user": _user(),
        "mlflow.source.name": facts.command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _git_commit(),
    }
    return {key: names.shortened(value) for key, value in tags.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""


def _git_commit() -> str:
    """The commit of the working folder, or "" where it is not a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
