"""Samplers and pruners by name."""

from __future__ import annotations

import copy
import importlib.util
import random
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import StudyError, ZooError
from zoo.space import Float
from zoo.study import StudyDefinition

if TYPE_CHECKING:
    import optuna

GRID_LIMIT = 20_000


def check_sampler(definition: StudyDefinition) -> None:
    """Whether the study's sampler can search its space here; without Optuna.

    Raises:
        ZooError: a grid that is not finite or too large, or a package that is not installed.
    """
    if definition.search.sampler == "grid":
        grid_points(definition)
    if definition.search.sampler == "gp" and not all(map(importlib.util.find_spec, ("torch", "scipy"))):
        raise ZooError("The sampler 'gp' needs PyTorch and SciPy: pip install 'keras-zoo[gp]'")


def make_sampler(name: str, seed: int, trials: int) -> optuna.samplers.BaseSampler:
    """The sampler a study names.

    `tpe` models the parameters jointly, the conditional ones in groups of those that occur
    together (Bergstra et al. 2011; Falkner et al. 2018; Ozaki et al. 2022 for several objectives);
    up to ten trials, fewer where few are planned, are random. `nsga2` breeds generations (Deb et al.
    2002), of a quarter of the trials each. `cmaes` (Hansen & Ostermeier 2001) and `gp` model what is
    numeric and unconditional, and draw the rest at random.

    `check_sampler` says beforehand whether it can be had.
    """
    import optuna

    startup = max(4, min(10, trials // 4))
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(population_size=max(4, min(50, trials // 4)), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return optuna.samplers.TPESampler(
                multivariate=True,
                group=True,
                constant_liar=True,
                n_startup_trials=startup,
                seed=seed,
            )
        if name == "cmaes":
            return optuna.samplers.CmaEsSampler(n_startup_trials=startup, seed=seed)
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
    return optuna.samplers.RandomSampler(seed=seed)


def make_pruner(name: str, epochs: int, folds: int = 1) -> optuna.pruners.BasePruner:
    """The pruner a study names; none stops a trial at its first report, which says little of it.

    `median` waits for a fifth of a training besides: of few images, the first epochs are luck.

    Args:
        epochs: the most a trial may train, in each fold; those of one fold are reported after those
            of another.
    """
    import optuna

    class MedianOfLastReports(optuna.pruners.MedianPruner):  # type: ignore[misc]
        """Optuna compares the best report of a trial; ours are the best so far already.

        With folds they are a mean besides, which falls where a fold is worse than those before it.
        """

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            seen, step = copy.copy(trial), trial.last_step
            seen.intermediate_values = {} if step is None else {step: trial.intermediate_values[step]}
            return bool(super().prune(study, seen))

    if name == "median":
        return MedianOfLastReports(n_startup_trials=4, n_warmup_steps=max(2, epochs // 5))
    if name == "hyperband":
        steps = folds * epochs
        return optuna.pruners.HyperbandPruner(min_resource=min(2, steps), max_resource=steps)
    return optuna.pruners.NopPruner()


def grid_points(definition: StudyDefinition) -> list[dict[str, Any]]:
    """Every distinct combination, shuffled by the study's seed so that a part of it is a fair sample.

    Conditions are respected: a parameter that does not count is not varied.

    Raises:
        StudyError: a parameter has infinitely many values, or there are too many combinations.
    """
    points: list[dict[str, Any]] = []
    for point in _enumerate(definition):
        points.append(point)
        if len(points) > GRID_LIMIT:
            raise StudyError(
                f"The grid of '{definition.name}' has more than {GRID_LIMIT:,} points; "
                "pin parameters or narrow ranges."
            )
    random.Random(definition.search.seed).shuffle(points)
    return points


def _enumerate(definition: StudyDefinition) -> Iterator[dict[str, Any]]:
    path: list[int] = []
    while True:
        odometer = _Odometer(path)
        definition.sample(odometer, digest="", seed=0)
        yield odometer.answers
        path = odometer.path
        while path and path[-1] + 1 == odometer.sizes[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


class _Odometer:
    """Answers every question with one of its finitely many values, as `path` says."""

    def __init__(self, path: Sequence[int]) -> None:
        self.path = list(path)
        self.sizes: list[int] = []
        self.answers: dict[str, Any] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._answer(name, range(low, high + 1, step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        values = Float(low, high, step=step).values()
        if values is None:
            raise StudyError(
                f"The sampler 'grid' needs finitely many values, but {name} is a range; "
                "give it choices = […] or a step."
            )
        return float(self._answer(name, values))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._answer(name, choices)

    def _answer(self, name: str, options: Sequence[Any]) -> Any:
        position = len(self.sizes)
        if position == len(self.path):
            self.path.append(0)
        self.sizes.append(len(options))
        self.answers[name] = options[self.path[position]]
        return self.answers[name]
