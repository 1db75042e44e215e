"""Scores of a recorded model on the test split."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import Dataset
from zoo.data.quality import without_followed_advice
from zoo.data.store import image_names
from zoo.data.verification import verify_dataset
from zoo.errors import StudyError, ZooError
from zoo.evaluation.elsewhere import evaluate_on
from zoo.evaluation.result import Evaluation
from zoo.events import Scored
from zoo.models import find_model
from zoo.models.recorded import call_on_model, dataset_of, find_run
from zoo.record import Run, StudyDirectory
from zoo.registry import using_plugins
from zoo.training.saved import predict_splits, scores
from zoo.training.worker import start_loading_keras
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.scoring import score_registered


def evaluate(
    study: str | Path | None = None,
    trial: int | None = None,
    *,
    run: str | os.PathLike[str] | None = None,
    dataset: str | Dataset | None = None,
    split: str | None = None,
    overrides: Sequence[str] = (),
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Evaluation:
    """Score a model on the test split of its study, or on any dataset with the same classes.

    Without `dataset`, the scores of a recorded run are added to its run in MLflow. `tune` does this for the
    best trial when the search ends. Use `evaluate` for a study that was stopped, for another trial, or for a
    standalone run. To choose between trials, use the validation split instead.

    Args:
        study: a study's name, or any name of a model that `zoo.load_model` takes.
        trial: the number of a trial of the study; by default the best trial.
        run: the folder of a run, in place of a study, such as `train` returns.
        dataset: the name of a dataset, or data in memory. Its classes have the names of the model's classes,
            in any order.
        split: `test`, `validation`, `train`, or `all` for all images of that dataset. By default `test`, or
            all images of data in memory without a test split.
        overrides: parameters of that dataset, `["path=photos"]`. `image_size` and `color_mode` are by default
            those of the model.
        plugins: plugin files of the model or the dataset: paths, or imported modules of one file.
        display: shows the progress; plain lines on stderr by default.

    Raises:
        ZooError: there is no such model or run, or its dataset has no such split, or the dataset has other
            classes or other images than the model.
    """
    display = display or PlainDisplay()
    start_loading_keras()
    with using_plugins(plugins):
        if dataset is not None:
            found = find_model(_model_name(study, trial, run), display)
            return evaluate_on(found, dataset, overrides, split, display)
        if overrides or split not in (None, "test"):
            raise StudyError("a split and parameters belong to a dataset; name it with --dataset.")
        if study is None or trial is not None or run is not None or _is_recorded(str(study)):
            name = None if study is None else str(study)
            return _evaluate_run(find_run(name, trial, run, display), display)
        found = find_model(study, display)
        if found.run is not None:
            return _evaluate_run(found.run, display)
        return evaluate_on(found, None, (), split, display)


def _is_recorded(study: str) -> bool:
    return bool(StudyDirectory(Path.cwd(), study).numbers())


def _model_name(
    study: str | Path | None, trial: int | None, run: str | os.PathLike[str] | None
) -> str | Path:
    """Return the name of the model for `find_model`."""
    if run is not None:
        return Path(run)
    if study is None:
        raise StudyError("name a model, or the folder of a run with --run FOLDER.")
    if trial is not None:
        return StudyDirectory(Path.cwd(), str(study)).trial(trial).path
    return study


def _evaluate_run(found: Run, display: Display) -> Evaluation:
    """Score a recorded run on its test split, and record the scores."""
    found.check_complete()
    dataset = dataset_of(found, display)
    if dataset.test is None:
        raise StudyError(f"the dataset '{found.config.dataset.name}' has no test split to score a model on.")
    display.phase("loading the model, scoring it on the test split …")
    cache_dir, digest = found.cache_dir, found.config.digest
    verify_dataset(cache_dir, digest)
    probabilities, labels = call_on_model(predict_splits, found, display, cache_dir, digest)
    weights = found.config.training.get("class_weight")
    measured = score_registered(found.config, labels, probabilities, found.directory.output_path, display)
    return Evaluation(
        study=found.study,
        name=found.name,
        metrics=_record(found, {**scores(probabilities, labels), **measured}, display),
        class_names=tuple(dataset.class_names),
        labels=labels,
        probabilities=probabilities,
        image_names=image_names(cache_dir, digest, "test"),
        dataset=found.config.dataset.name,
        source=dataset.source,
        warning=without_followed_advice(dataset.warning, weights, found.config.objective),
        is_recorded=True,
    )


def _record(run: Run, metrics: Mapping[str, float], display: Display) -> Mapping[str, float]:
    """Log the scores, record them in MLflow, and return the recorded scores."""
    from zoo.tracking import StoreAway, add_test_metrics, connect

    event, path, uid = run.directory.latest_score(), run.directory.event_log.path, run.uid()
    # Recorded scores stay if the new ones differ only by rounding: devices sum in different orders.
    if event is None or not np.allclose(
        [event.metrics.get(name, np.nan) for name in metrics], [*metrics.values()], rtol=1e-4, atol=1e-7
    ):
        event = Scored(time.time(), metrics)
        try:
            run.directory.append(event)
        except OSError as error:
            display.problem(f"cannot write the scores to {path}: {error.strerror}")
            return metrics
    problem = ""
    try:
        best_epoch = int(run.summary.get("best_epoch", 0))
        if uid is None or not add_test_metrics(connect(create=False), run.study, uid, event, best_epoch):
            problem = "MLflow does not have this run"
    except ZooError as error:
        reason = error.problem if isinstance(error, StoreAway) else str(error).removesuffix(".")
        problem = f"{reason}; run the command again to add them"
    if problem:
        display.problem(f"the scores are in {path}, but not in MLflow: {problem}")
    return event.metrics
