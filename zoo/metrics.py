"""Metrics of a classifier's predictions: labels `(n,)` and class probabilities `(n, classes)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

_Z = 1.959964  # quantile of the normal distribution for 95 %
_NUM_BINS = 10
_NUM_EXCHANGES = 999
_MAX_AS_LARGE = 100  # the test stops after this many exchanges with a difference as large as the observed one


def wilson_interval(accuracy: float, num_images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy that was measured on `num_images` (Wilson, 1927)."""
    scale = 1 + _Z**2 / num_images
    centre = (accuracy + _Z**2 / (2 * num_images)) / scale
    half = _Z / scale * math.sqrt(accuracy * (1 - accuracy) / num_images + _Z**2 / (4 * num_images**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mcnemar_p_value(gained: int, lost: int) -> float:
    """Return the two-sided p value of the exact McNemar test (McNemar, 1947) of two models.

    Args:
        gained, lost: numbers of images that only the new model, and only the old model, classifies correctly.
    """
    total, smaller = gained + lost, min(gained, lost)
    term = tail = 1  # the binomial coefficient (total, k), and the sum of these coefficients up to k
    for k in range(1, smaller + 1):
        term = term * (total - k + 1) // k
        tail += term
    return min(1.0, float(2 * tail / 2**total))


def randomization_p_value(
    measure: Callable[[npt.NDArray[Any], npt.NDArray[Any]], float],
    labels: npt.NDArray[Any],
    one: npt.NDArray[Any],
    other: npt.NDArray[Any],
) -> float:
    """Return the two-sided p value of a paired randomization test of two models (Noreen, 1989).

    If both models were equally good, the predictions of each image could be exchanged. The p value is the
    share of random exchanges after which `measure` differs at least as much as without exchanges. After 100
    such exchanges the test stops, because the p value is far from significant (Besag & Clifford, 1991).

    Args:
        measure: a metric, `measure(labels, probabilities)`, of labels `(n,)`.
        one, other: probabilities of the two models, `(n, classes)`.
    """
    stream = np.random.default_rng(0)
    observed = abs(measure(labels, one) - measure(labels, other))
    num_as_large = 0
    for num_done in range(1, _NUM_EXCHANGES + 1):
        swaps = stream.random((len(labels), 1)) < 0.5
        first, second = np.where(swaps, other, one), np.where(swaps, one, other)
        num_as_large += abs(measure(labels, first) - measure(labels, second)) >= observed - 1e-12
        if num_as_large == _MAX_AS_LARGE:
            return num_as_large / num_done
    return (num_as_large + 1) / (_NUM_EXCHANGES + 1)


@dataclass(frozen=True)
class Calibration:
    """The agreement of a model's confidence with its accuracy.

    The predictions are sorted into equally wide bins of confidence. Empty bins are left out.

    Args:
        confidence, accuracy: the mean of each bin.
        counts: the number of predictions in each bin.
        error: the expected calibration error: the mean difference of both, weighted by the counts.
    """

    confidence: Sequence[float]
    accuracy: Sequence[float]
    counts: Sequence[int]
    error: float


def calibration(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> Calibration:
    """Return the calibration of predictions: labels `(n,)`, probabilities `(n, classes)`."""
    confidence = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * _NUM_BINS).astype(int), _NUM_BINS - 1)
    used = [bins == number for number in np.unique(bins)]
    means = [float(confidence[rows].mean()) for rows in used]
    accuracies = [float(is_correct[rows].mean()) for rows in used]
    counts = [int(rows.sum()) for rows in used]
    pairs = zip(counts, means, accuracies, strict=True)
    error = sum(count * abs(mean - accuracy) for count, mean, accuracy in pairs)
    return Calibration(means, accuracies, counts, error / len(labels))


def confident_mistakes(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the indices of the wrong predictions, most confident first; equal ones keep their order."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]


def label_issues(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Return index and probable class of each image whose label is probably wrong, the most certain first.

    Confident learning (Northcutt, Jiang & Chuang, 2021): the threshold of a class is the mean probability of
    that class for the images with its label. The probable class of an image is the most probable class among
    those whose threshold is reached. If it differs from the label, the label is probably wrong. The result is
    sorted by the probability of the label minus that of the probable class (the normalized margin).

    Args:
        labels: `(n,)`.
        probabilities: `(n, classes)`, from models that were not trained on these images.
    """
    thresholds = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels):
        thresholds[label] = probabilities[labels == label, label].mean()
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    probable, rows = confident.argmax(axis=1), np.arange(len(labels))
    is_issue = (confident.max(axis=1) >= 0) & (probable != labels)
    margin = probabilities[rows, labels] - probabilities[rows, probable]
    found = np.flatnonzero(is_issue)
    return [(int(row), int(probable[row])) for row in found[np.argsort(margin[found], kind="stable")]]


def all_metrics(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> Mapping[str, float]:
    """Return accuracy, balanced accuracy, macro-F1, log-loss in nats and expected calibration error.

    Balanced accuracy is the mean recall of the classes that have images, macro-F1 the mean F1 of the classes
    that have images or predictions.
    """
    from sklearn.metrics import f1_score, recall_score

    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    return {
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(recall_score(labels, predicted, labels=present, average="macro")),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "log_loss": log_loss(labels, probabilities),
        "calibration_error": calibration(labels, probabilities).error,
    }


def log_loss(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> float:
    """Return the mean cross-entropy in nats, with probabilities clipped at 1e-7, as in Keras."""
    # A probability of 0 would make the loss infinite.
    return float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1)).mean())


def class_table(
    labels: npt.NDArray[Any], predicted: npt.NDArray[Any], class_names: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each class: number of images, precision and recall (NaN if undefined)."""
    import pandas as pd
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, _, images = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=np.nan
    )
    table = {"images": images, "precision": precision, "recall": recall}
    return pd.DataFrame(table, index=pd.Index(class_names, name="class"))


def confusion_counts(labels: Any, predicted: Any, num_classes: int) -> npt.NDArray[np.int64]:
    """Return an array whose element `[i, j]` is the number of images of class i that are predicted as j."""
    pairs = np.asarray(labels, np.int64) * num_classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def confusion_table(
    labels: npt.NDArray[Any], predicted: npt.NDArray[Any], class_names: Sequence[str]
) -> pd.DataFrame:
    """Return the number of images by label (rows) and prediction (columns)."""
    import pandas as pd

    counts = confusion_counts(labels, predicted, len(class_names))
    rows, columns = (pd.Index(class_names, name=name) for name in ("label", "prediction"))
    return pd.DataFrame(counts, index=rows, columns=columns)
