"""The run of one trial in MLflow: parameters, curves, files, the model, the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.events import EpochEnd, Finished, Scored, Started
from zoo.record import trial_uid
from zoo.tracking import _names as names
from zoo.tracking._facts import StudyFacts
from zoo.tracking._model_folder import ModelFacts
from zoo.tracking._models import publish_model
from zoo.tracking._points import FoldEpoch, mean_of_folds, points, score_points
from zoo.tracking._store import Store
from zoo.trial import count_folds

if TYPE_CHECKING:
    from mlflow.entities import Metric

_DIGEST_LENGTH = 36  # characters that MLflow keeps of a dataset's digest; the tag has all 64


class TrialRun:
    """The run of one trial, which exists in MLflow.

    Args:
        config: the trial's configuration as JSON; `{}` if it is lost.
    """

    def __init__(
        self, store: Store, facts: StudyFacts, number: int, config: Mapping[str, Any], run_id: str
    ) -> None:
        self.number = number
        self.run_id = run_id
        self._store = store
        self._client = store.client
        self._facts = facts
        self._config = config
        self._is_described = not config
        self._epochs: dict[FoldEpoch, list[Metric]] = {}

    def get(self) -> Any:
        """Return the run as MLflow has it now."""
        return self._client.get_run(self.run_id)

    def describe(self) -> None:
        """Log the parameters and the dataset, once. Files come later, so that a full disk loses no curve."""
        from mlflow.entities import Param

        if self._is_described:
            return
        parameters = names.flat_parameters(self._config)
        self._client.log_batch(
            self.run_id, params=[Param(key, value) for key, value in parameters.items()], synchronous=True
        )
        self._client.log_inputs(self.run_id, datasets=[self._dataset()])
        self._is_described = True

    def _dataset(self) -> Any:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = self._facts
        digest = self._config.get("digest") or facts.digest
        name = self._config["dataset"]["name"]
        dataset = Dataset(
            name=name,
            digest=digest[:_DIGEST_LENGTH],
            source_type="code",  # a plugin makes the dataset
            source=json.dumps({"tags": {"dataset": name, "source": facts.source, "digest": digest}}),
            profile=json.dumps({"image_shape": facts.image_shape, "num_classes": facts.num_classes}),
        )
        return DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])

    def log_start(self, event: Started) -> None:
        tags = {names.DEVICE: event.device, names.BACKEND: event.backend}
        parameters = points({"parameters": event.num_parameters}, event.time)
        self._store.log(self.run_id, parameters, {key: value for key, value in tags.items() if value})

    def log_epochs(self, events: Sequence[EpochEnd]) -> None:
        """Log the curves; with folds, those of each fold, and their mean over the epochs that all have."""
        folds = count_folds(self._config.get("validation", {}))
        new: list[Metric] = []
        for event in events:
            fold, epoch, values = event.fold, event.epoch, event.metrics
            if fold is not None:
                values = {names.fold_metric(fold, name): value for name, value in values.items()}
            self._epochs[fold or 1, epoch] = points(values, event.time, step=epoch)
            new += self._epochs[fold or 1, epoch]
            if fold is not None:
                new += mean_of_folds(self._epochs, folds, epoch)
        if new:
            self._store.log(self.run_id, new)

    def log_results(self, run: Any, event: Finished, folder: Path) -> str:
        """Log the summary and upload the files; for a complete trial, publish the model.

        Args:
            run: as MLflow has it now.
            folder: the trial directory.

        Returns:
            What is missing and cannot be added later; "" if nothing is.
        """
        known = {"parameters"} & run.data.metrics.keys()  # logged at the start
        summary = {key: value for key, value in event.summary.items() if key not in known}
        results = points(summary, event.time)
        self._store.log(self.run_id, results)
        self._upload_files(folder)
        problem = ""
        if event.state == "complete":
            if "best_fold" in event.summary:
                self._store.set_tags(self.run_id, {names.FOLD: str(int(event.summary["best_fold"]))})
            if (folder / "model.keras").exists():
                self._publish_model(run, event, results, folder)
            else:
                problem = names.MODEL_MISSING
        return problem

    def _upload_files(self, folder: Path) -> None:
        if (folder / "config.json").exists():
            self._client.log_artifact(self.run_id, str(folder / "config.json"))
        elif self._config:
            self._client.log_text(self.run_id, json.dumps(self._config, indent=1) + "\n", "config.json")
        for figure in sorted((folder / "figures").glob("*.png")):
            self._client.log_artifact(self.run_id, str(figure), "figures")
        for file in (folder / "summary.txt", folder / "output.log"):
            if file.exists() and file.stat().st_size:
                self._client.log_artifact(self.run_id, str(file))

    def _publish_model(self, run: Any, event: Finished, results: Sequence[Metric], folder: Path) -> None:
        facts, fold = self._facts, event.summary.get("best_fold")
        step = int(event.summary.get("best_epoch") or 0)
        publish_model(
            self._store,
            run,
            folder / "model.keras",
            ModelFacts(facts.image_shape, facts.num_classes, run.data.tags.get(names.BACKEND, "")),
            name=run.info.run_name,
            step=step,
            metrics=[*self._epochs.get((int(fold or 1), step), []), *results],
            tags={
                names.STUDY: facts.name,
                names.TRIAL: str(self.number),
                names.UID: trial_uid(facts.uid, self.number),
                names.DIGEST: run.data.tags.get(names.DIGEST, ""),
                **({} if fold is None else {names.FOLD: str(int(fold))}),
            },
        )

    def end(self, run: Any, event: Finished, problem: str) -> None:
        """Tag the run with the trial's final state, then end it.

        Args:
            run: as MLflow had it before; tags of an earlier end that are not true any more are removed.
        """
        tags = {names.STATE: event.state, names.REASON: event.reason, names.PROBLEM: problem}
        self._store.set_tags(self.run_id, {key: names.shortened(text) for key, text in tags.items() if text})
        for key in tags.keys() & run.data.tags.keys():
            if not tags[key]:
                self._client.delete_tag(self.run_id, key)
        status = names.STATUS.get(event.state, "FAILED")
        self._client.set_terminated(self.run_id, status, end_time=names.milliseconds(event.time))
        self._epochs.clear()

    def log_score(self, event: Scored) -> None:
        self._store.log(self.run_id, score_points(self.get(), event))


def is_recorded(run: Any, event: Finished) -> bool:
    """Return True if `event` has been recorded completely: a run is ended last, at the event's time."""
    return (
        run.info.status == names.STATUS.get(event.state, "FAILED")
        and run.info.end_time == names.milliseconds(event.time)
        and run.data.tags.get(names.PROBLEM) in (None, names.MODEL_MISSING)
    )
