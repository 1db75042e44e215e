"""Scores of a recorded model on the test split."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zoo.errors import StudyError, ZooError
from zoo.events import Scored
from zoo.models.recorded import call_on_model, dataset_of, find_run
from zoo.record import Run
from zoo.training.saved import predict_test_split, scores
from zoo.training.worker import start_loading_keras
from zoo.tuning.display import Display, PlainDisplay

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on the test split.

    Args:
        name: of the run, `trial 6` or `run 20261121-204244-18148`.
        images: number of images in the split.
        metrics: `test_accuracy` from 0 to 1 and `test_loss`, the mean cross-entropy in nats.
        classes: a row for each class name: `images`, their number in the split; `precision`, the share of
            the predictions of this class that are correct, NaN without any; `recall`, the share of its
            images that are predicted as this class, NaN without any.
        source, warning: where the dataset came from, and what limits the use of its scores.
    """

    study: str
    name: str
    images: int
    metrics: Mapping[str, float]
    classes: pd.DataFrame
    source: str = ""
    warning: str = ""


def evaluate(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: str | os.PathLike[str] | None = None,
    display: Display | None = None,
) -> Evaluation:
    """Score a recorded model on the test split, and add the scores to its run in MLflow.

    `tune` does this for the best trial at its end. Use `evaluate` for a study that was stopped, for another
    trial, or for a standalone run. To choose between trials, use the validation split instead.

    Args:
        study: a study's name.
        trial: the number of one of its trials; the best by default.
        run: the folder of a run instead, such as `train` returns.
        display: shows the progress; plain lines on stderr by default.

    Raises:
        ZooError: there is no such run, or it has no model, or its dataset has no test split.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    found.check_complete()
    start_loading_keras()
    dataset = dataset_of(found, display)
    if dataset.test is None:
        raise StudyError(f"The dataset '{found.config.dataset.name}' has no test split to score a model on.")
    display.phase("loading the model, scoring it on the test split …")
    cache_dir, digest = found.cache_dir, found.config.digest
    probabilities, labels = call_on_model(predict_test_split, found, display, cache_dir, digest)
    return Evaluation(
        study=found.study,
        name=found.name,
        images=len(labels),
        metrics=_record(found, scores(probabilities, labels), display),
        classes=_by_class(probabilities.argmax(axis=1), labels, dataset.class_names),
        source=dataset.source,
        warning=dataset.warning,
    )


def _record(run: Run, metrics: Mapping[str, float], display: Display) -> Mapping[str, float]:
    """Log the scores, record them in MLflow, and return what is recorded."""
    from zoo.tracking import add_test_metrics, connect

    event, path, uid = run.directory.latest_score(), run.directory.event_log.path, run.uid()
    # Recorded scores stay if the new ones differ only by rounding: devices add in different orders.
    if event is None or not np.allclose(
        [event.metrics[name] for name in metrics], [*metrics.values()], rtol=1e-4, atol=1e-7
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
        problem = f"{error}; run the command again to add them"
    if problem:
        display.problem(f"the scores are in {path}, but not in MLflow: {problem}")
    return event.metrics


def _by_class(
    predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer], names: Sequence[str]
) -> pd.DataFrame:
    import pandas as pd
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, _, images = precision_recall_fscore_support(
        labels, predicted, labels=range(len(names)), zero_division=np.nan
    )
    table = {"images": images, "precision": precision, "recall": recall}
    return pd.DataFrame(table, index=pd.Index(names, name="class"))
