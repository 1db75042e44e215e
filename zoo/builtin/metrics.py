"""The metrics that zoo ships, with scikit-learn's definitions. A study optimizes `val_NAME`.

They use NumPy only: importing scikit-learn in every trial would take longer than the metrics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import hookimpl

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_TOP = 5


@hookimpl
def register_metrics(register: Any) -> None:
    for metric in (balanced_accuracy, macro_f1, auc, top5_accuracy):
        register(metric)
    register(calibration_error, direction="minimize")


def balanced_accuracy(y_true: Array, probabilities: Array) -> float:
    """Mean recall of the classes that have images."""
    correct, images, _ = _counts(y_true, probabilities)
    return float((correct[images > 0] / images[images > 0]).mean())


def macro_f1(y_true: Array, probabilities: Array) -> float:
    """Mean F1 score of the classes that have images or predictions."""
    correct, images, predictions = _counts(y_true, probabilities)
    total = images + predictions
    return float((2 * correct[total > 0] / total[total > 0]).mean())


def auc(y_true: Array, probabilities: Array) -> float:
    """Area under the ROC curve: the mean over the classes, each against the rest.

    Every class needs an image.
    """
    import numpy as np

    num_classes = probabilities.shape[1]
    images = np.bincount(y_true, minlength=num_classes)
    if not images.all():
        raise ValueError(f"expected an image of each class, got none with the label {images.argmin()}")
    # With two classes, both curves have the same area.
    labels = range(1, 2) if num_classes == 2 else range(num_classes)
    areas = []
    for label in labels:
        ranks, count = _ranks(probabilities[:, label]), images[label]
        wins = ranks[y_true == label].sum() - count * (count + 1) / 2  # Mann and Whitney, 1947
        areas.append(wins / (count * (len(y_true) - count)))
    return float(np.mean(areas))


def top5_accuracy(y_true: Array, probabilities: Array) -> float:
    """Share of the images whose class is among the five most probable ones."""
    num_classes = probabilities.shape[1]
    if num_classes <= _TOP:
        raise ValueError(f"expected more than {_TOP} classes, got {num_classes}, so the result is always 1")
    best = probabilities.argsort(axis=1, kind="stable")[:, -_TOP:]
    return float((best == y_true[:, None]).any(axis=1).mean())


def calibration_error(y_true: Array, probabilities: Array) -> float:
    """Expected calibration error with ten bins of equal width (Guo et al., 2017).

    The mean difference between the confidence and the accuracy of the predictions in a bin, weighted by their
    number.
    """
    from zoo.metrics import calibration

    return calibration(y_true, probabilities).error


def _counts(y_true: Array, probabilities: Array) -> tuple[Array, Array, Array]:
    """Return the numbers of correct predictions, images and predictions of each class."""
    import numpy as np

    predicted, size = probabilities.argmax(axis=1), probabilities.shape[1]
    correct = y_true[predicted == y_true]
    correct, images, predictions = (np.bincount(one, minlength=size) for one in (correct, y_true, predicted))
    return correct, images, predictions


def _ranks(values: Array) -> Array:
    """Return the rank of each value, from 1; equal values have the mean of their ranks."""
    import numpy as np

    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = (counts.cumsum() - (counts - 1) / 2)[group]
    return ranks
