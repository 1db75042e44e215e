"""Scores of a saved model on the test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.data.store import open_dataset
from zoo.training.saved import load_file

_MIN_PROBABILITY = 1e-7  # as in Keras: a probability of 0 would make the loss infinite


def score_test_split(model_path: Path, cache: Path, digest: str) -> dict[str, float]:
    """Return `test_accuracy` and `test_loss` of a saved model on the test split of a prepared dataset."""
    test = open_dataset(cache, digest).test
    assert test is not None
    return scores(predict_test_split(model_path, cache, digest), np.asarray(test.labels))


def predict_test_split(model_path: Path, cache: Path, digest: str) -> npt.NDArray[np.floating]:
    """Return the class probabilities `(n, num_classes)` of a saved model for the test split."""
    from zoo.training.model import predict

    test = open_dataset(cache, digest).test
    assert test is not None
    return predict(load_file(model_path), test.images)


def scores(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> dict[str, float]:
    """Return `test_accuracy`, from 0 to 1, and `test_loss`, the mean cross-entropy in nats.

    Args:
        probabilities: shape `(n, num_classes)`.
        labels: true classes from 0, shape `(n,)`.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    return {
        "test_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "test_loss": float(-np.log(np.clip(of_label, _MIN_PROBABILITY, 1)).mean()),
    }
