"""The record of a study, in the form that its report needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from zoo.data import Dataset, Split
from zoo.data.validation import cut_validation, open_with_groups, validation_split
from zoo.errors import DataError, ZooError
from zoo.record import Run, StudyDirectory, load_runs, objectives_of, rank_runs, read_predictions
from zoo.study import Objective
from zoo.tuning.recorded_search import (
    importances_of,
    recorded_manifest,
    recorded_study,
    split_suggestion,
)

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Predictions:
    """A validation split, and the recorded `probabilities` `(n, classes)` of a trial for its images."""

    split: Split
    probabilities: npt.NDArray[Any]


@dataclass(frozen=True)
class StudyRecord:
    """The record of a study.

    Args:
        runs: the trials of the study by number, without deleted ones.
        optuna_study: a copy in memory of the Optuna study; None if it cannot be read.
        problems: a sentence for each part of the record that is missing.
    """

    directory: StudyDirectory
    runs: Sequence[Run]
    optuna_study: optuna.Study | None
    problems: list[str]

    @property
    def name(self) -> str:
        return self.directory.study

    @cached_property
    def ranked(self) -> list[Run]:
        """The complete trials, best first."""
        return rank_runs(self.runs)

    @property
    def best(self) -> Run | None:
        return self.ranked[0] if self.ranked else None

    @cached_property
    def objectives(self) -> list[Objective]:
        return objectives_of(self.runs)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        return {} if self.optuna_study is None else recorded_manifest(self.optuna_study)

    @cached_property
    def dataset(self) -> Dataset | None:
        """The dataset; None if the cache no longer has the dataset or its groups."""
        try:
            config = self.runs[0].config
            return open_with_groups(self.directory.cache_dir, config.digest, config.validation)
        except DataError:
            return None

    @property
    def validation_name(self) -> str:
        """The name of the validation images of a trial."""
        return "validation split" if self.runs[0].config.folds == 1 else "validation splits of all folds"

    @cached_property
    def num_validated(self) -> int | None:
        """Number of validation images of a trial, in all folds; None without the dataset."""
        if self.dataset is None:
            return None
        config = self.runs[0].config
        if config.folds > 1:
            return len(self.dataset.train.labels)
        return cut_validation(self.directory.cache_dir, config.digest, self.dataset, config.validation)

    def predictions(self, run: Run) -> Predictions | None:
        """Return a trial's recorded predictions; None if this folder lacks them or the images."""
        path, config = run.directory.predictions_path, run.config
        if self.dataset is None or not path.exists():
            return None
        try:
            labels, probabilities = read_predictions(path)
        except DataError as error:
            self.problems.append(str(error))
            return None
        split = validation_split(self.directory.cache_dir, config.digest, self.dataset, config.validation)
        return Predictions(split, probabilities) if len(split.labels) == len(labels) else None

    @cached_property
    def searched(self) -> Mapping[int | None, Mapping[str, Any]]:
        """The active searched parameters of each trial, by name; a list is one value; {} without Optuna."""
        trials = [] if self.optuna_study is None else self.optuna_study.get_trials(deepcopy=False)
        return {trial.number: _join_items(trial.params) for trial in trials}

    @cached_property
    def importances(self) -> Mapping[str, float]:
        """The importance of each searched parameter for the first objective, largest first; {} if unknown."""
        if self.optuna_study is None or len(self.ranked) < 2:  # the event logs of the others may be lost
            return {}
        return importances_of(self.optuna_study, self.objectives[0])

    @cached_property
    def plotted_parameters(self) -> list[str]:
        """Suggestions of all complete trials, most important first, else by name; [] for equal results."""
        if self.importances or self.optuna_study is None:
            return [*self.importances]
        from optuna.search_space import intersection_search_space

        if len({run.summary[self.objectives[0].result] for run in self.ranked}) < 2:
            return []
        space = intersection_search_space(self.optuna_study.get_trials(deepcopy=False))
        return sorted(name for name, distribution in space.items() if not distribution.single())


def _join_items(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return suggestions by parameter; the items of a list parameter become one list."""
    joined: dict[str, Any] = {}
    for name, value in params.items():
        parameter, item = split_suggestion(name)
        if not item:
            joined[name] = value
        else:
            values = joined.setdefault(parameter, [])
            if item != "length":
                values.append(value)
    return joined


def read_record(study: str, storage: str | None = None) -> StudyRecord:
    """Return the record of a study in the working folder; raise StudyError if it has no trial.

    Args:
        storage: URL of the Optuna storage; by default the recorded one. If that cannot be read,
            `problems` says so; if `storage` cannot be read, ZooError is raised.
    """
    problems: list[str] = []
    runs = load_runs(study, problems.append)
    directory = StudyDirectory(Path.cwd(), study)
    optuna_study = None
    try:
        optuna_study = recorded_study(directory, storage)
        if optuna_study is None:
            raise ZooError(f"the Optuna storage has no study '{directory.study}'.")
    except ZooError as error:
        if storage is not None:
            raise
        problems.append(f"{error} Figures of the search are missing.")
    return StudyRecord(directory, runs, optuna_study, problems)
