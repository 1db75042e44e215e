"""What `zoo.tune` and `zoo.train` return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.tracking import leaderboard

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TuneResult:
    """The result of a study.

    Args:
        study: the name under which it is recorded.
        objective: the first objective.
        best: number and first objective of the best complete trial; None if no trial is complete.
        done, total: number of finished trials, and of all trials that the study runs.
        test_metrics: of the champion on the test split; {} without one.
        model_uri: of the champion, for `mlflow.keras.load_model`.
        interrupted: the exit status if a signal stopped the study; else None.
        objectives: all objectives.
        front: the Pareto front: trial number to its objectives by name, best in the first objective first.
        rejected: number of trials that were not trained because of `max_parameters`.
        architecture: of the best trial, if the study chooses among several; else "".
        source, warning: of the dataset: where it came from, and what limits the use of its scores.
    """

    study: str
    objective: str
    best: tuple[int, float] | None
    done: int
    total: int
    test_metrics: Mapping[str, float]
    model_uri: str = ""
    interrupted: int | None = None
    objectives: Sequence[str] = ()
    front: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    rejected: int = 0
    max_parameters: int | None = None
    architecture: str = ""
    source: str = ""
    warning: str = ""

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Every trial, best first; read from MLflow at the first use."""
        return leaderboard(self.study)


@dataclass(frozen=True)
class TrainResult:
    """The result of a standalone run.

    Args:
        summary: `best_val_accuracy` (or another objective), `best_epoch`, `parameters`, `train_seconds`;
            with cross-validation also `best_val_accuracy_std` and `best_fold`.
        epochs: the metrics of every epoch, in order; of one fold after the other.
        folder: with the files `model.keras`, `summary.txt` and `figures/`.
        folds: the fold of each of `epochs`; () without cross-validation.
    """

    study: str
    objective: str
    trial: int | None
    summary: Mapping[str, float]
    epochs: Sequence[Mapping[str, float]]
    folder: Path
    folds: Sequence[int] = ()

    @property
    def curves(self) -> pd.DataFrame:
        """A row for every epoch (from 1), a column for every metric; indexed by fold and epoch with folds."""
        import pandas as pd

        frame = pd.DataFrame(list(self.epochs))
        fold = pd.Series(self.folds or 1, index=frame.index, name="fold")
        epoch = frame.groupby(fold).cumcount().add(1).rename("epoch")
        return frame.set_index([fold, epoch] if self.folds else epoch)
