"""The run of one trial in MLflow: parameters, curves, files, the model, the final state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from zoo.events import EpochEnd, Finished, Scored, Started
from zoo.logs import finish_log
from zoo.tracking import _names as names
from zoo.tracking._models import model_ids, publish_model
from zoo.tracking._names import StudyFacts
from zoo.tracking._removal import remove_model
from zoo.tracking._store import Store, as_metrics
from zoo.trial import count_folds

if TYPE_CHECKING:
    from mlflow.entities import Metric

FoldEpoch = tuple[int, int]  # fold (1 without cross-validation) and epoch, from 1

_DIGEST_LENGTH = 36  # number of characters that MLflow stores of a dataset's digest; the tag has all 64


@dataclass
class TrialRun:
    """The run of one trial, which exists in MLflow."""

    store: Store
    facts: StudyFacts
    number: int
    config: Mapping[str, Any]  # {} if the configuration is lost
    run_id: str
    _has_config: bool = False
    _epochs: dict[FoldEpoch, list[Metric]] = field(default_factory=dict)

    def get(self) -> Any:
        """Return the run with the current content in MLflow."""
        return self.store.client.get_run(self.run_id)

    def log_config(self) -> None:
        """Log parameters and dataset, once. Files follow last, so that a full disk loses no curve."""
        if self.config and not self._has_config:
            self.store.log(self.run_id, params=names.flat_parameters(self.config))
            self.store.client.log_inputs(self.run_id, datasets=[self._dataset()])
            self._has_config = True

    def _dataset(self) -> Any:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data, name = self.facts.dataset, self.config["dataset"]["name"]
        digest = self.config.get("digest") or data.digest
        dataset = Dataset(
            name=name,
            digest=digest[:_DIGEST_LENGTH],
            source_type="code",  # the dataset comes from a plugin's code
            source=json.dumps({"tags": {"dataset": name, "source": data.source, "digest": digest}}),
            profile=json.dumps(self._profile()),
        )
        return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])

    def _profile(self) -> dict[str, Any]:
        data = self.facts.dataset
        splits = {
            name: {
                "images": split.images,
                "classes": dict(zip(data.class_names, split.class_counts, strict=True)),
                **({} if split.num_groups is None else {"groups": split.num_groups}),
            }
            for name, split in data.splits.items()
        }
        return {"image_shape": data.image_shape, "num_classes": len(data.class_names), "splits": splits}

    def log_start(self, event: Started) -> None:
        tags = {
            names.DEVICE: event.device,
            names.BACKEND: event.backend,
            names.CONTINUES: event.continues,
        }
        parameters = as_metrics({"parameters": event.num_parameters}, event.time)
        self.store.log(self.run_id, parameters, tags={key: text for key, text in tags.items() if text})

    def log_epochs(self, events: Sequence[EpochEnd]) -> None:
        """Log the curves; with folds, the curves of each fold, and the mean at epochs in all folds."""
        folds = count_folds(self.config.get("validation", {}))
        new: list[Metric] = []
        for event in events:
            fold, epoch, values = event.fold, event.epoch, event.metrics
            if fold is not None:  # MLflow groups charts of metrics by prefix
                values = {f"fold-{fold}/{name}": value for name, value in values.items()}
            self._epochs[fold or 1, epoch] = as_metrics(values, event.time, step=epoch)
            new += self._epochs[fold or 1, epoch]
            if fold is not None:
                new += _mean_of_folds(self._epochs, folds, epoch)
        if new:
            self.store.log(self.run_id, new)

    def log_results(self, run: Any, event: Finished, folder: Path, *, keep_model: bool = True) -> str:
        """Log the summary and the files of a trial; if `keep_model`, also its figures and its model.

        Return the text of the tag `zoo.problem`, or "".
        """
        logged = {"parameters"} & run.data.metrics.keys()  # logged by `log_start`
        summary = {key: value for key, value in event.summary.items() if key not in logged}
        results = as_metrics(summary, event.time)
        self.store.log(self.run_id, results)
        finish_log(folder / "output.log")
        for file in (folder / "config.json", folder / "summary.txt", folder / "output.log"):
            if file.exists() and file.stat().st_size:
                self.store.client.log_artifact(self.run_id, str(file))
        if event.state == "complete" and not keep_model:
            remove_model(self.store, run)  # an earlier attempt may have uploaded the model
            return ""
        for figure in sorted((folder / "figures").glob("*.png")):
            self.store.client.log_artifact(self.run_id, str(figure), "figures")
        if event.state != "complete":
            return ""
        fold, step = event.summary.get("best_fold"), int(event.summary.get("best_epoch") or 0)
        tags = {} if fold is None else {names.FOLD: str(int(fold))}
        if tags:
            self.store.log(self.run_id, tags=tags)
        model = folder / "model.keras"
        if not model.exists():
            return "" if model_ids(run) else names.MODEL_MISSING
        metrics = [*self._epochs.get((int(fold or 1), step), []), *results]
        publish_model(self.store, self.facts, run, model, step=step, metrics=metrics, tags=tags)
        return ""

    def end(self, run: Any, event: Finished, problem: str) -> None:
        """Set the tags of the trial's final state, delete outdated tags, then end the run."""
        tags = {names.STATE: event.shown_state, names.REASON: event.reason, names.PROBLEM: problem}
        tags[names.STOPPED] = event.stopped
        new = {key: names.shorten(text) for key, text in tags.items() if text}
        if names.NOTE not in run.data.tags:  # keep a description that a user wrote
            new[names.NOTE] = names.trial_note(self.config, self.facts, event)
        self.store.log(self.run_id, tags=new)
        for key in tags.keys() & run.data.tags.keys() - new.keys():
            self.store.client.delete_tag(self.run_id, key)
        status = names.STATUS.get(event.state, "FAILED")
        self.store.client.set_terminated(self.run_id, status, end_time=names.milliseconds(event.time))
        self._epochs.clear()
        self.store.forget_files(self.run_id)


def log_score(store: Store, run: Any, event: Scored, best_epoch: int = 0) -> None:
    """Log the test metrics at the epoch of the run's model, linked with that model.

    Args:
        best_epoch: the step if the run has no summary yet; so the step is always the same.
    """
    step = int(run.data.metrics.get("best_epoch", best_epoch))
    model_id = next(iter(model_ids(run)), None)
    store.log(run.info.run_id, as_metrics(event.metrics, event.time, step=step, model_id=model_id))


def _mean_of_folds(epochs: Mapping[FoldEpoch, list[Metric]], folds: int, epoch: int) -> list[Metric]:
    """Return the means of an epoch's metrics over the folds; [] until every fold has that epoch."""
    from mlflow.entities import Metric

    reports = [epochs[fold, epoch] for fold in range(1, folds + 1) if (fold, epoch) in epochs]
    if folds == 1 or len(reports) < folds:
        return []
    values: dict[str, list[float]] = {}
    for report in reports:
        for point in report:
            values.setdefault(point.key.partition("/")[2], []).append(point.value)
    time = max(point.timestamp for report in reports for point in report)
    return [Metric(name, fmean(each), time, epoch) for name, each in values.items() if len(each) == folds]
