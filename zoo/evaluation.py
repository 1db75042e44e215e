"""What a recorded model reaches on the test split, for one that is not the champion of a finished search."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zoo.errors import StudyError, ZooError
from zoo.runs import Run, ask_model, dataset_of, find_run
from zoo.training.scoring import predict_test_split, scores
from zoo.training.worker import start_loading_keras
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on the test split.

    Args:
        name: `trial 6`, or `training 20261121-204244-18148`.
        images: how many the split has.
        metrics: `test_accuracy` from 0 to 1 and `test_loss`, the mean cross-entropy in nats.
        classes: a row for every class, by name: `images` of it in the split; `precision`, the share of
            those taken for it that are of it, missing where none was; `recall`, the share of its images
            that were taken for it, missing where it has none.
        source, warning: where the data came from, and what has to be known before a figure is believed.
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
    """Score a recorded model on the test split, and add the figures to its run in MLflow.

    `tune` does that for the champion of a finished search; this is for a search that was stopped, for
    another trial, and for what `train` trained. To choose between trials is what the validation split
    is for.

    Args:
        study: a study's name.
        trial: the number of one of its trials; the best by default.
        run: a run's folder instead, such as `train` returns.
        display: told of the progress; plain lines on stderr by default.

    Raises:
        ZooError: something a person can put right.
    """
    found = find_run(study, trial, run)
    found.check_complete()
    display = display or PlainDisplay()
    start_loading_keras()
    dataset = dataset_of(found, display)
    if dataset.test is None:
        raise StudyError(f"The dataset '{found.config.dataset.name}' has no test split to score a model on.")
    labels = np.asarray(dataset.test.labels)
    display.phase("loading the model, scoring it on the test split …")
    probabilities = ask_model(predict_test_split, found, display, found.cache, found.config.digest)
    return Evaluation(
        study=found.study,
        name=found.name,
        images=len(labels),
        metrics=_recorded(found, scores(probabilities, labels), display),
        classes=_by_class(probabilities.argmax(axis=1), labels, dataset.class_names),
        source=dataset.source,
        warning=dataset.warning,
    )


def _recorded(run: Run, metrics: Mapping[str, float], display: Display) -> Mapping[str, float]:
    """The figures, now in the run's own events and in MLflow.

    Those that are there already are left as they are: other threads, or another device, add in
    another order.
    """
    from zoo.tracking import add_test_metrics, connect

    record, why = TrialRecord(run.folder), ""
    event = record.tested()
    if event is None or not _agree(event["metrics"], metrics):
        try:
            event = record.add_tested(metrics)
        except OSError as error:
            display.problem(f"the figures are not kept: {record.events_path}: {error.strerror}")
            return metrics
    try:
        if run.uid is None or not add_test_metrics(connect(create=False), run.study, run.uid, event):
            why = "it has no run of it"
    except ZooError as error:
        why = f"{error}; the same command adds them later"
    if why:
        display.problem(f"the figures are in {record.events_path}, but not in MLflow: {why}")
    recorded: Mapping[str, float] = event["metrics"]
    return recorded


def _agree(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(value, other[name], rel_tol=1e-4, abs_tol=1e-7) for name, value in one.items()
    )


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
