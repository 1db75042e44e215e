"""How well a saved model does on the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.data.store import open_dataset
from zoo.training.saved import load_file

_LEAST = 1e-7  # as in Keras: a probability of 0 would make the loss infinite


def score_test_split(model_path: Path, cache: Path, digest: str) -> dict[str, float]:
    """`test_accuracy` and `test_loss` of a saved model on the test split of a prepared dataset."""
    test = open_dataset(cache, digest).test
    assert test is not None
    return scores(predict_test_split(model_path, cache, digest), np.asarray(test.labels))


def predict_test_split(model_path: Path, cache: Path, digest: str) -> npt.NDArray[np.floating]:
    """Class probabilities `(n, classes)` that a saved model gives the images of the test split."""
    from zoo.training.model import predict

    test = open_dataset(cache, digest).test
    assert test is not None
    return predict(load_file(model_path), test.images)


def scores(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> dict[str, float]:
    """`test_accuracy` from 0 to 1, and `test_loss`, the mean cross-entropy in nats.

    Args:
        probabilities: shape `(n, classes)`.
        labels: the true classes from 0, shape `(n,)`.
    """
    of_truth = probabilities[np.arange(len(labels)), labels]
    return {
        "test_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "test_loss": float(-np.log(np.clip(of_truth, _LEAST, 1)).mean()),
    }
