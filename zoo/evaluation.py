"""What a recorded model reaches on the test split, for one that is not the champion of a finished search."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zoo.errors import StudyError, ZooError
from zoo.runs import Run, asking, dataset_of, find_run, model_of, tell_versions
from zoo.training.scoring import predict_test_split, scores
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
    """

    study: str
    name: str
    images: int
    metrics: Mapping[str, float]
    classes: pd.DataFrame


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
    asking.begin()
    dataset = dataset_of(found, display)
    if dataset.test is None:
        raise StudyError(f"The dataset '{found.config.dataset.name}' has no test split to score a model on.")
    labels = np.asarray(dataset.test.labels)
    display.phase("loading the model, scoring it on the test split …")
    with model_of(found) as model:
        tell_versions(model, found, display)
        probabilities = asking.ask(
            predict_test_split, model, found.cache, found.config.digest, log=found.folder / "output.log"
        )
    metrics = scores(probabilities, labels)
    _record(found, metrics, display)
    classes = _by_class(probabilities.argmax(axis=1), labels, dataset.class_names)
    return Evaluation(found.study, found.name, len(labels), metrics, classes)


def _record(run: Run, metrics: Mapping[str, float], display: Display) -> None:
    """In the run's own events and in MLflow, each once."""
    from zoo.tracking import add_test_metrics, connect

    record = TrialRecord(run.folder)
    known = (event for event in record.events() if event["event"] == "tested" and event["metrics"] == metrics)
    event = next(known, None)
    if event is None:
        event = {"event": "tested", "time": time.time(), "metrics": dict(metrics)}
        record.append(event)
    try:
        uid = run.uid
        told = uid is not None and add_test_metrics(connect(create=False), run.study, uid, event)
        why = "has no run of it"
    except ZooError as error:
        told, why = False, f"did not take it: {error}"
    if not told:
        display.problem(f"the figures are in {record.events_path}, but MLflow {why}")


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
