"""The most that pruning can have saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from zoo.record import Run
from zoo.training import max_epochs


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
    """Return what pruning saved in a study, without rejected trials and trials whose event log is lost."""
    pruned = [run for run in runs if run.shown_state == "pruned" and run.epochs]
    trained = [len(run.epochs) for run in pruned]
    left = [
        max(0, run.config.folds * max_epochs(run.config.training) - done)
        for run, done in zip(pruned, trained, strict=True)
    ]
    lengths = [fmean(epoch.metrics.get("epoch_seconds", 0) for epoch in run.epochs) for run in pruned]
    seconds = sum(count * length for count, length in zip(left, lengths, strict=True))
    return Savings(len(pruned), sum(trained), sum(left), seconds)
