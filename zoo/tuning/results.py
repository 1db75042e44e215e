"""What a search and a single training come to, for Python users and the command line."""

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
    """What a search came to.

    Args:
        study: the name it is recorded under.
        objective: what is searched for; of several, the first.
        best: number and objective of the best complete trial, or None.
        done, total: trials that came to an end, and how many the study is to have.
        test_metrics: of the champion on the test split; empty where there is none.
        model_uri: for `mlflow.keras.load_model`.
        interrupted: the exit status, where Ctrl-C, SIGTERM or the end of the terminal ended the search.
        objectives: all that is searched for.
        front: the complete trials that no other beats (as good in every objective, and better in
            one), by number, with their objectives by name; the best in the first objective first.
        rejected: trials that were not trained, because their network had more than `max_parameters`.
        architecture: of the best trial, where the study chooses among several; else "".
        source, warning: where the data came from, and what has to be known before a figure is believed.
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
        """Every trial, best first; read from MLflow when it is first asked for."""
        return leaderboard(self.study)


@dataclass(frozen=True)
class TrainResult:
    """What one training came to.

    Args:
        summary: `best_val_accuracy` (or what the objective is), `best_epoch`, `parameters`,
            `train_seconds`; with folds also `best_val_accuracy_std` and `best_fold`.
        epochs: the metrics of every epoch, the first epoch first; of folds, one after the other.
        folder: where its files are: `model.keras`, `figures/`, `summary.txt`.
    """

    study: str
    objective: str
    trial: int | None
    summary: Mapping[str, float]
    epochs: Sequence[Mapping[str, float]]
    folder: Path
    folds: Sequence[int] = ()  # with folds, that of every one of `epochs`

    @property
    def curves(self) -> pd.DataFrame:
        """A row for every epoch, the first is 1; a column for every metric. With folds, by fold and epoch."""
        import pandas as pd

        if not self.folds:
            return pd.DataFrame(list(self.epochs), index=pd.RangeIndex(1, len(self.epochs) + 1, name="epoch"))
        places = [(fold, 1 + self.folds[:row].count(fold)) for row, fold in enumerate(self.folds)]
        index = pd.MultiIndex.from_tuples(places, names=["fold", "epoch"])
        return pd.DataFrame(list(self.epochs), index=index)
