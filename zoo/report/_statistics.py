"""The epochs and the time that pruning saved at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from zoo.record import Run
from zoo.training import max_epochs


@dataclass(frozen=True)
class Savings:
    """The epochs that pruning saved at most: a trial might also have stopped early by itself.

    Args:
        trials: number of pruned trials.
        trained_epochs: epochs of these trials before they were pruned.
        saved_epochs: their epochs that were not trained.
        saved_seconds: time for `saved_epochs`, at the mean time of the epochs that each trial trained.
    """

    trials: int
    trained_epochs: int
    saved_epochs: int
    saved_seconds: float


def pruning_savings(runs: Sequence[Run]) -> Savings:
    """Return the savings of a study, without rejected trials and trials whose event log is lost."""
    pruned = [run for run in runs if run.shown_state == "pruned" and run.epochs]
    trained = [len(run.epochs) for run in pruned]
    saved = [
        max(0, run.config.folds * max_epochs(run.config.training) - done)
        for run, done in zip(pruned, trained, strict=True)
    ]
    times = [fmean(epoch.metrics.get("epoch_seconds", 0) for epoch in run.epochs) for run in pruned]
    seconds = sum(count * time for count, time in zip(saved, times, strict=True))
    return Savings(len(pruned), sum(trained), sum(saved), seconds)
