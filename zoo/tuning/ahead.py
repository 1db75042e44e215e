"""A proposal of the next trial while others run, if it needs none of their results."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.study import StudyDefinition
from zoo.tuning.continuing import PendingTrial
from zoo.tuning.retrying import AGAIN
from zoo.tuning.samplers import Grid, num_startup_trials

if TYPE_CHECKING:
    import optuna


class AheadSampler:
    """A proposer that queues the values of the next trial in Optuna: a point of the grid, or random values.

    Random values come from the sampler's own generator of random numbers, so a search proposes the same
    trials with and without this class. The first trials of TPE are random.
    """

    def __init__(self, study: optuna.Study, definition: StudyDefinition, grid: Grid | None) -> None:
        import optuna

        sampler, self._num_random = study.sampler, 0.0
        if isinstance(sampler, optuna.samplers.RandomSampler):
            self._num_random = math.inf
        elif isinstance(sampler, optuna.samplers.TPESampler):
            self._num_random = num_startup_trials(definition.search.trials)
            # This sampler has no public name; tests/tuning/test_samplers.py fails if it disappears.
            sampler = sampler._random_sampler
        self._study, self._definition, self._grid = study, definition, grid
        self._random = optuna.create_study(sampler=sampler)  # in memory, without results

    def next_trial(self, num_trials: int, digest: str) -> PendingTrial | None:
        """Return the trial that Optuna's `ask` returns next.

        None if it needs results of the first `num_trials`, if it continues another trial, or if a user has
        queued values for only some parameters, or values that the study does not allow.
        """
        import optuna

        queued = self._queued()
        if not queued and (values := self._propose(num_trials)) is not None:
            self._study.enqueue_trial(values)
            queued = self._queued()
        if not queued or AGAIN in queued[0].user_attrs:
            return None
        fixed = optuna.trial.FixedTrial(queued[0].system_attrs["fixed_params"])
        try:
            config = self._definition.sample(fixed, digest, self._definition.seed_of(queued[0].number))
        except ValueError:
            return None
        return PendingTrial(queued[0].number, config)

    def _queued(self) -> list[optuna.trial.FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state.name == "WAITING"]

    def _propose(self, num_trials: int) -> dict[str, Any] | None:
        if self._grid is not None:
            return self._grid.next_point(lambda: self._study.get_trials(deepcopy=False))
        if num_trials >= self._num_random:
            return None
        trial = self._random.ask()
        self._definition.sample(trial, digest="", seed=0)
        return dict(trial.params)
