"""TPE with a limit on the trials that it reads."""

from __future__ import annotations

import itertools
import warnings

import optuna
import pytest
from optuna.samplers._tpe import sampler as optunas_tpe
from optuna.trial import TrialState, create_trial

from zoo.tuning.bounded_tpe import NUM_ALL, NUM_BEST, NUM_EXCERPT, BoundedTPE, excerpt
from zoo.tuning.samplers import make_sampler

FLOAT = optuna.distributions.FloatDistribution(0.0, 1.0)
MAXIMIZE = optuna.study.StudyDirection.MAXIMIZE
OPTIONS = {"multivariate": True, "group": True, "n_startup_trials": 5, "seed": 0}


def make_tpe(kind=optuna.samplers.TPESampler, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**OPTIONS, **options)


def finished(count, state=TrialState.COMPLETE, first=0):
    """Finished trials, numbered from `first`; each seventh is better than all others."""
    trials = []
    for number in range(first, first + count):
        value = number / 10_000 + (number % 7 == 0)
        made = create_trial(
            state=state,
            value=value,
            params={"x": 0.5},
            distributions={"x": FLOAT},
            intermediate_values={1: value},
        )
        made.number = number
        trials.append(made)
    return trials


def run(study, count):
    """Run trials with a parameter that is active in every other one; return their values."""
    for _ in range(count):
        trial = study.ask()
        x = trial.suggest_float("x", 0.0, 1.0)
        y = trial.suggest_float("y", 0.0, 1.0) if x > 0.5 else 0.0
        study.tell(trial, -((x - 0.7) ** 2) - y)
    return [trial.params for trial in study.trials]


def numbers(trials):
    return [trial.number for trial in trials]


class TestProposals:
    def test_proposals_up_to_the_limit_are_those_of_optuna(self):
        plain = run(optuna.create_study(direction="maximize", sampler=make_tpe()), 40)
        bounded = make_tpe(BoundedTPE, num_all=29, num_excerpt=25)
        found = run(optuna.create_study(direction="maximize", sampler=bounded), 40)
        assert found[:30] == plain[:30]
        assert found[30:] != plain[30:]

    def test_long_study_is_still_searched(self):
        study = optuna.create_study(
            direction="maximize", sampler=make_tpe(BoundedTPE, num_all=40, num_excerpt=30)
        )
        late = run(study, 80)[41:]
        assert sum(abs(params["x"] - 0.7) < 0.15 for params in late) > len(late) / 2
        assert study.best_value > -0.01

    @pytest.mark.parametrize("objectives", [1, 2])
    def test_tpe_reads_at_most_the_limit(self, monkeypatch, objectives):
        """Count the trials that Optuna divides into good and others, or reads the search space from."""
        divided, read = [], []
        split = optunas_tpe._split_trials
        monkeypatch.setattr(
            optunas_tpe,
            "_split_trials",
            lambda study, trials, n: divided.append(len(trials)) or split(study, trials, n),
        )
        group = optunas_tpe._SearchSpaceGroup
        add = group.add_distributions
        monkeypatch.setattr(group, "add_distributions", lambda self, one: read.append(one) or add(self, one))
        sampler = make_tpe(BoundedTPE, num_all=100, num_excerpt=50)
        study = optuna.create_study(directions=["maximize"] * objectives, sampler=sampler)
        study.add_trials(
            create_trial(values=[float(one)] * objectives, params={"x": 0.5}, distributions={"x": FLOAT})
            for one in range(120)
        )
        running = [study.ask(), study.ask()]
        for trial in running:
            trial.suggest_float("x", 0.0, 1.0)
        assert len(divided) == 2
        # The other new trial runs. With several objectives, every trial is read.
        assert divided[1] <= 51 if objectives == 1 else divided[1] == 121
        assert len(read) == (2 if objectives == 1 else 2 * 120)

    def test_sampler_of_studies_is_bounded(self):
        sampler = make_sampler("tpe", seed=0, trials=10_000)
        assert isinstance(sampler, BoundedTPE)
        assert (sampler._num_all, sampler._num_excerpt) == (NUM_ALL, NUM_EXCERPT)

    def test_bracket_of_hyperband_is_read(self):
        """With this pruner, Optuna gives the sampler a study that has the trials of one bracket."""
        study = optuna.create_study(
            sampler=make_tpe(BoundedTPE, num_all=20, num_excerpt=10),
            pruner=optuna.pruners.HyperbandPruner(1, 9),
        )
        for _ in range(30):
            trial = study.ask()
            trial.report(trial.suggest_float("x", 0.0, 1.0), 1)
            pruned = trial.should_prune()
            study.tell(
                trial, *([] if pruned else [trial.params["x"]]), state=TrialState.PRUNED if pruned else None
            )
        assert len(study.trials) == 30


class TestExcerpt:
    def test_few_trials_are_all_kept(self):
        trials = finished(30)
        assert excerpt(trials, MAXIMIZE, 30) == trials

    @pytest.mark.parametrize("direction", ["MAXIMIZE", "MINIMIZE"])
    def test_best_trials_are_kept(self, direction):
        trials, wanted = finished(1000), optuna.study.StudyDirection[direction]
        kept = numbers(excerpt(trials, wanted, 100))
        best = sorted(trials, key=lambda one: one.value, reverse=direction == "MAXIMIZE")[:NUM_BEST]
        assert 100 - NUM_BEST <= len(kept) <= 100
        assert set(numbers(best)) <= set(kept)

    def test_others_are_evenly_spaced(self):
        kept = numbers(excerpt(finished(1000), MAXIMIZE, 100))
        others = [number for number in kept if number < 800]  # the best are behind
        gaps = [after - before for before, after in itertools.pairwise(others)]
        assert min(gaps) >= 12
        assert max(gaps) <= 14
        assert kept[-1] == 999  # the latest
        assert kept == sorted(kept)

    def test_pruned_trials_count_as_good_if_few_are_complete(self):
        trials = finished(200, TrialState.PRUNED) + finished(10, first=200)
        best_pruned = list(range(0, 200, 7))[-(NUM_BEST - 10) :]
        kept = set(numbers(excerpt(trials, MAXIMIZE, 50)))
        assert {*range(200, 210), *best_pruned} <= kept

    def test_running_trials_are_kept_failed_ones_not(self):
        running = create_trial(state=TrialState.RUNNING, params={"x": 0.1}, distributions={"x": FLOAT})
        failed = create_trial(state=TrialState.FAIL)
        running.number, failed.number = 100, 101
        kept = numbers(excerpt([*finished(100), running, failed], MAXIMIZE, 50))
        assert kept[-1] == 100
        assert len(kept) <= 51

    def test_optuna_models_as_many_trials_as_good(self):
        """The names are private: if they change, compare NUM_BEST with Optuna's documentation."""
        assert optunas_tpe.default_gamma(10**6) == NUM_BEST
        assert optunas_tpe.default_gamma(NUM_EXCERPT) == NUM_BEST
