"""The metrics that zoo ships, with scikit-learn's definitions. A study optimizes `val_NAME`."""

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
    import numpy as np
    from sklearn.metrics import recall_score

    predicted, present = probabilities.argmax(axis=1), np.unique(y_true)
    return float(recall_score(y_true, predicted, labels=present, average="macro"))


def macro_f1(y_true: Array, probabilities: Array) -> float:
    """Mean F1 score of the classes that have images or predictions."""
    from sklearn.metrics import f1_score

    return float(f1_score(y_true, probabilities.argmax(axis=1), average="macro", zero_division=0))


def auc(y_true: Array, probabilities: Array) -> float:
    """Area under the ROC curve: the mean over the classes, each against the rest.

    Every class needs an image.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    num_classes = probabilities.shape[1]
    missing = np.setdiff1d(np.arange(num_classes), y_true)
    if len(missing):
        raise ValueError(f"expected an image of each class, got none with the label {missing[0]}")
    if num_classes == 2:
        return float(roc_auc_score(y_true, probabilities[:, 1]))
    # One column per class: unlike `multi_class="ovr"`, this does not require rows that sum to exactly 1.
    return float(roc_auc_score(np.eye(num_classes)[y_true], probabilities, average="macro"))


def top5_accuracy(y_true: Array, probabilities: Array) -> float:
    """Share of the images whose class is among the five most probable ones."""
    import numpy as np
    from sklearn.metrics import top_k_accuracy_score

    num_classes = probabilities.shape[1]
    if num_classes <= _TOP:
        raise ValueError(f"expected more than {_TOP} classes, got {num_classes}, so the result is always 1")
    return float(top_k_accuracy_score(y_true, probabilities, k=_TOP, labels=np.arange(num_classes)))


def calibration_error(y_true: Array, probabilities: Array) -> float:
    """Expected calibration error with ten bins of equal width (Guo et al., 2017).

    The mean difference between the confidence and the accuracy of the predictions in a bin, weighted by their
    number.
    """
    from zoo.metrics import calibration

    return calibration(y_true, probabilities).error
