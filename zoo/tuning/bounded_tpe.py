"""TPE that reads a limited number of earlier trials, so that proposals stay fast in a long study."""

from __future__ import annotations

import heapq
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

NUM_ALL = 1_000  # up to this number of trials, TPE reads all trials
NUM_EXCERPT = 500  # in longer studies, TPE reads this many
NUM_BEST = 25  # Optuna's TPE models at most the best 25 trials as good; tests/tuning/test_bounded_tpe.py
# A name of an Enum takes longer to look up than a variable, and each proposal compares thousands of states.
_COMPLETE, _PRUNED, _RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING
_FINISHED = (_COMPLETE, _PRUNED)


class BoundedTPE(optuna.samplers.TPESampler):  # type: ignore[misc]
    """Optuna's TPE, which reads only an excerpt of the earlier trials if there are more than `num_all`.

    TPE compares the density of the good trials with that of all others (Bergstra et al. 2011). Optuna models
    at most 25 trials as good, and builds both densities from all trials again for each proposal. The excerpt
    has those 25, so the first density stays the same. The second one is a kernel density estimate, to which
    the estimate from a sample is close: the error depends on the size of the sample only (Phillips & Tai
    2018). A study with several objectives is read as a whole.
    """

    def __init__(self, num_all: int = NUM_ALL, num_excerpt: int = NUM_EXCERPT, **options: Any) -> None:
        """Open nothing; `options` are those of Optuna's TPESampler."""
        super().__init__(**options)
        self._num_all, self._num_excerpt = num_all, num_excerpt
        # A sampler reads only one study, so a second sampler reads the study with the excerpt.
        self._of_excerpt = optuna.samplers.TPESampler(**options)
        self._storage: _Excerpt | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        if self._reads_all(study, trial):
            return dict(super().infer_relative_search_space(study, trial))
        self._storage = self._storage or _Excerpt(study)
        trials = excerpt(study.get_trials(deepcopy=False), study.direction, self._num_excerpt)
        # One trial of each set of parameters is enough to find the search space.
        finished = [one for one in trials if one.state.is_finished()]
        self._storage.trials = list({frozenset(one.distributions): one for one in finished}.values())
        space = self._of_excerpt.infer_relative_search_space(self._storage.study(), trial)
        self._storage.trials = trials
        return dict(space)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._storage is None or self._reads_all(study, trial):
            return dict(super().sample_relative(study, trial, search_space))
        return dict(self._of_excerpt.sample_relative(self._storage.study(), trial, search_space))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._storage is None or self._reads_all(study, trial):
            return super().sample_independent(study, trial, param_name, param_distribution)
        small = self._storage.study()
        return self._of_excerpt.sample_independent(small, trial, param_name, param_distribution)

    def _reads_all(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        # With several objectives, a tenth of all trials is good, and an excerpt led to worse results.
        return trial.number <= self._num_all or len(study.directions) > 1


def excerpt(trials: Sequence[FrozenTrial], direction: StudyDirection, count: int) -> list[FrozenTrial]:
    """Return at most `count` finished trials, including the best ones, and all running trials, by number.

    The others are evenly spaced in time, so that TPE still gives later trials a greater weight.
    """
    finished = [one for one in trials if one.state in _FINISHED]
    if len(finished) > count:
        num_spaced = count - NUM_BEST
        spaced = (len(finished) * position // num_spaced - 1 for position in range(1, num_spaced + 1))
        finished = [finished[position] for position in _best(finished, direction).union(spaced)]
    running = [one for one in trials if one.state == _RUNNING]
    return sorted([*finished, *running], key=lambda one: one.number)


def _best(trials: Sequence[FrozenTrial], direction: StudyDirection) -> set[int]:
    """Return the positions of the trials that TPE models as good: complete trials, then pruned ones."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    positions = range(len(trials))
    complete = [(sign * trials[one].values[0], one) for one in positions if trials[one].state == _COMPLETE]
    best = [one for _, one in heapq.nsmallest(NUM_BEST, complete)]

    def rank(position: int) -> tuple[float, int, float]:
        trial = trials[position]
        excess = sum(value for value in trial.constraints.values() if value > 0)
        return excess, -(trial.last_step or 0), sign * trial.values[0] if trial.values else 0.0

    if len(best) < NUM_BEST:
        pruned = (one for one in positions if trials[one].state == _PRUNED)
        best += heapq.nsmallest(NUM_BEST - len(best), pruned, key=rank)
    return set(best)


class _Excerpt(optuna.storages.InMemoryStorage):  # type: ignore[misc]
    """A storage with some trials of a study, for a sampler that reads them."""

    def __init__(self, study: optuna.Study) -> None:
        super().__init__()
        self._name = study.study_name
        self.create_new_study(study.directions, self._name)
        self.trials: Sequence[FrozenTrial] = ()

    def study(self) -> optuna.Study:
        """Return the study as a new object, whose cache has no trials of an earlier excerpt."""
        pruner = optuna.pruners.NopPruner()
        return optuna.load_study(study_name=self._name, storage=self, pruner=pruner)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [one for one in self.trials if states is None or one.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Do nothing. TPE stores proposals here for other processes, but only the supervisor asks."""
