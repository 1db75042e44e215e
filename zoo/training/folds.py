"""The folds of a trial so far: their results, the summary of the trial, and the contents of checkpoints.

A trial without cross-validation has one fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.training.checkpoints import Snapshot, State, versions
from zoo.trial import MODEL_METRICS, TrialConfig


@dataclass
class Fold:
    """The result of one fold, or of the only training of a trial without folds."""

    num_epochs: int
    best_epoch: int  # from 1
    best_metrics: Mapping[str, float]  # metrics of that epoch
    train_seconds: float  # time in `fit`
    probabilities: Any = None  # class probabilities of validation images, `(n, num_classes)`, if not pruned
    labels: Any = None  # true classes of the validation images, `(n,)`


class Folds:
    """The folds of a trial that were trained.

    Attributes:
        results: one for each fold.
        best_weights: the weights of the best fold; None without cross-validation.
        history: the `EpochEnd`s of all folds, including the current one, as lines of JSON.
    """

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self.results: list[Fold] = []
        self.best_weights: Any = None
        self.history: list[str] = []

    def best(self) -> int:
        """Return the number (from 1) of the fold with the best objective; the first one of equal folds."""
        values = [fold.best_metrics[self._config.objective] for fold in self.results]
        return 1 + values.index(max(values) if self._config.direction == "maximize" else min(values))

    def summary(self, num_parameters: int) -> dict[str, float]:
        """Return the summary of the trial; metrics are means over the folds that were trained."""
        config, folds, best = self._config, self.results, self.best()
        metrics = [config.objective, *(metric for metric in config.measures if metric not in MODEL_METRICS)]
        summary = {f"best_{metric}": fmean(fold.best_metrics[metric] for fold in folds) for metric in metrics}
        if len(folds) > 1:
            values = [fold.best_metrics[config.objective] for fold in folds]
            summary[f"best_{config.objective}_std"] = stdev(values)
        if config.folds > 1:
            summary["best_fold"] = best
        return {
            **summary,
            "best_epoch": folds[best - 1].best_epoch,
            "parameters": num_parameters,
            "train_seconds": sum(fold.train_seconds for fold in folds),
        }

    def predictions(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return probabilities `(n, num_classes)` and labels `(n,)` of the images of all folds, in order."""
        probabilities = np.concatenate([fold.probabilities for fold in self.results])
        return probabilities, np.concatenate([fold.labels for fold in self.results])

    def snapshot(self, number: int, state: State, train_seconds: float, trial: int | None) -> Snapshot:
        """Return everything that another process needs to continue the trial in fold `number`."""
        facts = {
            **versions(),
            "trial": trial,
            "state": state.facts,
            "train_seconds": train_seconds,
            "history": list(self.history),
            "folds": [asdict(replace(fold, probabilities=None, labels=None)) for fold in self.results],
        }
        arrays = {
            **state.arrays,
            "best_fold": list(self.best_weights or ()),
            "probabilities": [fold.probabilities for fold in self.results],
            "labels": [np.asarray(fold.labels) for fold in self.results],
        }
        return Snapshot(number, state.epoch, facts, arrays)

    def restore(self, snapshot: Snapshot) -> None:
        """Restore the results of the folds before the snapshot's own, and the epochs so far."""
        facts, arrays = snapshot.facts, snapshot.arrays
        self.history = list(facts["history"])
        predictions = zip(arrays["probabilities"], arrays["labels"], strict=True)
        for fold, (probabilities, labels) in zip(facts["folds"], predictions, strict=True):
            self.results.append(Fold(**{**fold, "probabilities": probabilities, "labels": labels}))
        self.best_weights = list(arrays["best_fold"]) or None
