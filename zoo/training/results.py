"""The results of a trial's folds, and of the whole trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from zoo.trial import EPOCH_METRICS, TrialConfig

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FoldResult:
    """The result of one fold, or of the only training of a trial without folds.

    Args:
        num_epochs: epochs that were trained.
        best_epoch: the epoch with the best objective, from 1.
        best_metrics: metrics of that epoch.
        train_seconds: time spent in `fit`.
        probabilities: predictions for the validation images, `(n, num_classes)`; None if it was pruned.
        labels: true classes of the validation images, `(n,)`; None if it was pruned.
    """

    num_epochs: int
    best_epoch: int
    best_metrics: Mapping[str, float]
    train_seconds: float
    probabilities: Array | None = None
    labels: Array | None = None


def best_fold(folds: Sequence[FoldResult], config: TrialConfig) -> int:
    """Return the number (from 1) of the fold with the best objective; of equal ones, the first."""
    values = [fold.best_metrics[config.objective] for fold in folds]
    best = max(values) if config.direction == "maximize" else min(values)
    return 1 + values.index(best)


def summarize(folds: Sequence[FoldResult], config: TrialConfig, num_parameters: int) -> dict[str, float]:
    """Return the summary of a trial; metrics are means over the folds that were trained."""
    values = [fold.best_metrics[config.objective] for fold in folds]
    best = best_fold(folds, config)
    summary: dict[str, float] = {f"best_{config.objective}": fmean(values)}
    if config.folds > 1:
        if len(values) > 1:
            summary[f"best_{config.objective}_std"] = stdev(values)
        summary["best_fold"] = best
    for metric in EPOCH_METRICS:
        if metric in config.measures:
            summary[f"best_{metric}"] = fmean(fold.best_metrics[metric] for fold in folds)
    return {
        **summary,
        "best_epoch": folds[best - 1].best_epoch,
        "parameters": num_parameters,
        "train_seconds": sum(fold.train_seconds for fold in folds),
    }


def collect_predictions(folds: Sequence[FoldResult], fold_of_images: Array | None) -> tuple[Array, Array]:
    """Return probabilities `(n, num_classes)` and labels `(n,)` of all validation images.

    Args:
        fold_of_images: the fold in which each training image is validated, `(n,)`; the result is in the
            order of the training images. None without folds.
    """
    probabilities = np.concatenate([fold.probabilities for fold in folds])
    labels = np.concatenate([fold.labels for fold in folds])
    if fold_of_images is None:
        return probabilities, labels
    position = np.argsort(np.argsort(fold_of_images, kind="stable"))  # of each image among `labels`
    return probabilities[position], labels[position]
