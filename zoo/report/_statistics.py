"""How certain a result is, how calibrated a model is, and what pruning saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.record import Run
from zoo.training import max_epochs

_Z = 1.959964  # quantile of the normal distribution for 95 %
_NUM_BINS = 10


def wilson_interval(accuracy: float, num_images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy that was measured on `num_images` (Wilson, 1927)."""
    scale = 1 + _Z**2 / num_images
    centre = (accuracy + _Z**2 / (2 * num_images)) / scale
    half = _Z / scale * math.sqrt(accuracy * (1 - accuracy) / num_images + _Z**2 / (4 * num_images**2))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Calibration:
    """How the confidence of a model agrees with its accuracy.

    Args:
        confidence, accuracy: means of each bin of equally wide confidences that has predictions.
        counts: predictions in each of these bins.
        error: the expected calibration error, the mean difference of the two, weighted by the counts.
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


@dataclass(frozen=True)
class Savings:
    """The most that pruning can have saved: a pruned trial might also have stopped early by itself.

    Args:
        trials: number of pruned trials.
        trained, epochs: epochs that these trials trained, and that they did not train.
        seconds: duration of the latter, if they had lasted as long as the trial's epochs before.
    """

    trials: int
    trained: int
    epochs: int
    seconds: float


def pruning_savings(runs: Sequence[Run]) -> Savings:
    """Return what pruning saved in a study; rejected trials do not count."""
    pruned = [run for run in runs if run.state == "pruned" and run.epochs]
    trained = [len(run.epochs) for run in pruned]
    left = [
        max(0, run.config.folds * max_epochs(run.config.training) - done)
        for run, done in zip(pruned, trained, strict=True)
    ]
    lengths = [fmean(epoch.metrics.get("epoch_seconds", 0) for epoch in run.epochs) for run in pruned]
    seconds = sum(count * length for count, length in zip(left, lengths, strict=True))
    return Savings(len(pruned), sum(trained), sum(left), seconds)
