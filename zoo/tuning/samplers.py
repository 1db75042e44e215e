"""Samplers and pruners by name."""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import StudyError, ZooError
from zoo.space import Float
from zoo.study import StudyDefinition

if TYPE_CHECKING:
    import optuna

GRID_LIMIT = 20_000


def check_sampler(definition: StudyDefinition) -> None:
    """Raise ZooError if the study's grid is infinite or too large, or its sampler needs a missing package."""
    if definition.search.sampler == "grid":
        grid_points(definition)
    if definition.search.sampler == "gp" and not all(map(importlib.util.find_spec, ("torch", "scipy"))):
        raise ZooError("the sampler 'gp' needs PyTorch and SciPy: pip install 'keras-zoo[gp]'")


def make_sampler(name: str, seed: int, trials: int) -> optuna.samplers.BaseSampler:
    """Return the sampler `name`, one of `zoo.study.SAMPLERS`, for a study of `trials` trials.

    `tpe` models all parameters jointly (Bergstra et al. 2011; Falkner et al. 2018; Ozaki et al. 2022 for
    several objectives), with a group for each set of parameters that are active together. Its first 4 to 10
    trials (a quarter) are random; after 1,000 trials it reads an excerpt of them (see BoundedTPE). `nsga2`
    (Deb et al. 2002): a generation is a quarter of the trials. `cmaes` (Hansen & Ostermeier 2001) and `gp`
    model numeric parameters without conditions, others are random.
    """
    from optuna import exceptions, samplers

    from zoo.tuning.bounded_tpe import BoundedTPE

    startup = num_startup_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        match name:
            case "nsga2":
                return samplers.NSGAIISampler(population_size=max(4, min(50, trials // 4)), seed=seed)
            case "tpe":
                options = {"multivariate": True, "group": True, "constant_liar": True}
                return BoundedTPE(**options, n_startup_trials=startup, seed=seed)
            case "cmaes":
                return samplers.CmaEsSampler(n_startup_trials=startup, seed=seed)
            case "gp":
                return samplers.GPSampler(n_startup_trials=startup, seed=seed)
    return samplers.RandomSampler(seed=seed)


def num_startup_trials(trials: int) -> int:
    """Return how many of `trials` trials are random, with a sampler that learns from results."""
    return max(4, min(10, trials // 4))


def make_pruner(name: str, epochs: int, folds: int = 1) -> optuna.pruners.BasePruner:
    """Return the pruner `name`, one of `zoo.study.PRUNERS`, for trials of at most `epochs` in each fold.

    `median` and `hyperband` stop no trial at its first report, and `median` waits for a fifth of the epochs:
    with few images, the first epochs are mostly noise. `halving` (Li et al. 2020) compares trials after a
    ninth and a third of the epochs, rounded up so that no trial is stopped shortly before its end.
    """
    import optuna

    class MedianOfLastReports(optuna.pruners.MedianPruner):  # type: ignore[misc]
        """A median pruner that compares the last report of a trial; Optuna's compares the best report.

        Each report is already the best value so far. With folds it is a mean, and a bad fold can lower it.
        """

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            last, step = copy.copy(trial), trial.last_step
            last.intermediate_values = {} if step is None else {step: trial.intermediate_values[step]}
            return bool(super().prune(study, last))

    class Halving(optuna.pruners.SuccessiveHalvingPruner):  # type: ignore[misc]
        """Successive halving that stops every trial but the baseline, so that one good trial is complete."""

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return bool(super().prune(study, trial)) and trial.number > 0

    if name == "median":
        return MedianOfLastReports(n_startup_trials=4, n_warmup_steps=max(2, epochs // 5))
    steps = folds * epochs
    if name == "halving":
        return Halving(min_resource=math.ceil(steps / 9), reduction_factor=3)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=min(2, steps), max_resource=steps)
    return optuna.pruners.NopPruner()


def grid_points(definition: StudyDefinition) -> list[dict[str, Any]]:
    """Return every distinct combination of active parameters; raise StudyError if there are too many.

    The study's seed shuffles them, so that the first trials are spread over the grid.
    """
    points: list[dict[str, Any]] = []
    branches: list[dict[str, Any]] = [{}]  # beginnings of points that are not complete yet
    while branches:
        suggester = _GridSuggester(branches.pop())
        definition.sample(suggester, digest="", seed=0)
        points.append(suggester.values)
        branches += suggester.branches
        if len(points) + len(branches) > GRID_LIMIT:
            raise StudyError(
                f"the grid of '{definition.name}' has more than {GRID_LIMIT:,} points; "
                "fix parameters or narrow ranges."
            )
    random.Random(definition.search.seed).shuffle(points)
    return points


class Grid:
    """The points of a study's grid that were not proposed yet."""

    def __init__(self, definition: StudyDefinition) -> None:
        points = grid_points(definition)
        self.size = len(points)
        self._points = iter(points)
        self._used: set[str] | None = None  # points of trials of earlier processes

    def next_point(self, read_trials: Callable[[], Sequence[optuna.trial.FrozenTrial]]) -> dict[str, Any]:
        """Return the next point; `read_trials` returns every trial of the study, and is called once."""
        if self._used is None:
            self._used = {_key(trial.params) for trial in read_trials()}
        used = self._used
        return next(point for point in self._points if _key(point) not in used)


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def combinations_text(definition: StudyDefinition) -> str:
    """Return the number of combinations of searched parameters: `24`, `more than 20,000` or `continuous`."""
    try:
        return f"{len(grid_points(definition)):,}"
    except ContinuousError:
        return "continuous"
    except StudyError:
        return f"more than {GRID_LIMIT:,}"


class ContinuousError(StudyError):
    """A parameter that has too many values to list them."""


class _GridSuggester:
    """A suggester that returns the values in `prefix`, then the first value of each further parameter."""

    def __init__(self, prefix: Mapping[str, Any]) -> None:
        self._prefix = prefix
        self.values: dict[str, Any] = {}  # suggested so far, by parameter
        # For each value that was not suggested: the values suggested before this value, and the value itself.
        self.branches: list[dict[str, Any]] = []

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._suggest(name, range(low, high + 1, step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        values = Float(low, high, step=step).values()
        if values is None:
            raise ContinuousError(
                f"the sampler 'grid' cannot list the values of {name}, a range without a step; "
                "give it choices = […] or a step."
            )
        return float(self._suggest(name, values))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._suggest(name, choices)

    def _suggest(self, name: str, values: Sequence[Any]) -> Any:
        if name not in self._prefix:
            # Reversed, because the last branch is followed first. More values would exceed the limit.
            others = values[GRID_LIMIT:0:-1]
            self.branches += [{**self.values, name: value} for value in others]
        self.values[name] = self._prefix.get(name, values[0])
        return self.values[name]
