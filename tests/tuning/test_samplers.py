"""Samplers and pruners by name; the grid."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter

import pytest

from zoo.errors import StudyError, ZooError
from zoo.study import PRUNERS, SAMPLERS, parse_study
from zoo.tuning import samplers
from zoo.tuning.samplers import check_sampler, grid_points, make_pruner, make_sampler

optuna = pytest.importorskip("optuna")

GRID = """
dataset = "digits"
[architecture]
name = "conv_net"
filters = { choices = [8, 16], length = [1, 2] }
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = { choices = [false, true] }
dense_units = []
dropout = { low = 0.1, high = 0.5, step = 0.2 }
[augmentation]
name = { choices = ["none", "affine"] }
[augmentation.affine]
rotation = { choices = [5.0, 10.0] }
shift = 0.1
shear = 0.0
zoom = 0.1
fill = "constant"
[training]
epochs = 3
batch_size = 32
optimizer = { choices = ["adam", "sgd"] }
learning_rate = 0.01
momentum = { choices = [0.5, 0.9] }
schedule = "constant"
[search]
sampler = "grid"
"""


class TestGrid:
    @pytest.fixture
    def points(self, define):
        return grid_points(define(text=GRID))

    def test_grid_has_every_combination_once(self, points):
        filters = 2 + 2 * 2  # of one block, of two blocks
        policies = 1 + 2  # none; affine with either rotation
        optimizers = 1 + 2  # adam; sgd with either momentum
        assert len(points) == filters * 2 * 3 * policies * optimizers
        assert max(Counter(json.dumps(point, sort_keys=True) for point in points).values()) == 1

    def test_inactive_parameters_are_not_in_points(self, points):
        for point in points:
            assert ("affine.rotation" in point) == (point["augmentation"] == "affine")
            assert ("training.momentum" in point) == (point["training.optimizer"] == "sgd")
            assert ("conv_net.filters.1" in point) == (point["conv_net.filters.length"] == 2)

    def test_baseline_and_exact_steps_are_in_the_grid(self, define, points):
        definition = define(text=GRID)
        assert definition.encode(definition.baseline("", 0)) in points
        assert {point["conv_net.dropout"] for point in points} == {0.1, 0.3, 0.5}

    def test_order_depends_on_the_seed_only(self, define, points):
        assert grid_points(define(text=GRID)) == points
        other = grid_points(define("search.seed=1", text=GRID))
        assert other != points
        assert sorted(map(str, other)) == sorted(map(str, points))

    def test_grid_without_searched_parameters_has_one_point(self, define):
        fixed = ["dropout=0.1", "filters=[8]", "batch_norm=true"]
        definition = define(
            *[f"architecture.{one}" for one in fixed],
            "augmentation.name=none",
            "training.optimizer=adam",
            text=GRID.replace("[augmentation.affine]", "[training]").partition("[training]")[0]
            + "[training]"
            + GRID.partition("[training]")[2],
        )
        assert grid_points(definition) == [{}]

    def test_continuous_range_is_refused(self, define):
        with pytest.raises(StudyError) as refused:
            grid_points(define("training.learning_rate={ low = 0.001, high = 0.1 }", text=GRID))
        assert str(refused.value) == (
            "the sampler 'grid' cannot list the values of training.learning_rate, a range without a step; "
            "give it choices = […] or a step."
        )

    def test_range_of_one_value_is_allowed(self, define, points):
        same = define("training.learning_rate={ low = 0.01, high = 0.01 }", text=GRID)
        assert len(grid_points(same)) == len(points)

    def test_grid_above_the_limit_is_refused(self, define, points, monkeypatch):
        monkeypatch.setattr(samplers, "GRID_LIMIT", len(points))
        assert len(grid_points(define(text=GRID))) == len(points)
        monkeypatch.setattr(samplers, "GRID_LIMIT", len(points) - 1)
        with pytest.raises(StudyError, match="has more than 323 points; fix parameters or narrow ranges"):
            grid_points(define(text=GRID))

    def test_huge_range_is_refused(self, define):
        huge = define("training.learning_rate={ low = 0.00001, high = 1.0, step = 0.00001 }", text=GRID)
        with pytest.raises(StudyError, match="has more than 20,000 points"):
            grid_points(huge)


class TestSamplers:
    @pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "gp"])
    def test_same_seed_gives_same_trials(self, define, name):
        definition = define()

        def drawn(seed):
            study = optuna.create_study(sampler=make_sampler(name, seed, trials=8), direction="maximize")
            configs = []
            for number in range(8):
                trial = study.ask()
                configs.append(definition.sample(trial, "d", seed=number))
                study.tell(trial, number / 10)
            return configs

        assert drawn(1) == drawn(1)
        assert drawn(1) != drawn(2)

    def test_tpe_has_the_generator_of_its_first_trials(self):
        sampler = make_sampler("tpe", 0, trials=8)
        assert isinstance(sampler._random_sampler, optuna.samplers.RandomSampler)

    def test_gp_without_torch_names_the_extra(self, define, monkeypatch):
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest)
        )
        with pytest.raises(ZooError, match="needs PyTorch") as refused:
            check_sampler(define("search.sampler=gp"))
        assert "pip install 'keras-zoo[gp]'" in str(refused.value)

    @pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
    def test_gp_with_torch_is_made(self):
        assert isinstance(make_sampler("gp", seed=0, trials=20), optuna.samplers.GPSampler)

    def test_unusable_sampler_is_refused(self, define):
        for name in ("tpe", "random", "nsga2", "cmaes"):
            check_sampler(define(f"search.sampler={name}"))
        check_sampler(define(text=GRID))
        with pytest.raises(StudyError, match="cannot list the values"):
            check_sampler(define("search.sampler=grid"))

    @pytest.mark.parametrize(("trials", "startup"), [(1, 4), (8, 4), (24, 6), (1000, 10)])
    def test_few_trials_shorten_the_start_of_tpe(self, trials, startup):
        assert make_sampler("tpe", seed=0, trials=trials)._n_startup_trials == startup

    def test_tpe_handles_conditional_parameters(self, define):
        """TPE models each group of parameters that are active together, so no group stays random."""
        definition = define()
        study = optuna.create_study(sampler=make_sampler("tpe", 0, trials=8), direction="maximize")
        for number in range(12):
            trial = study.ask()
            config = definition.sample(trial, "d", seed=0)
            study.tell(trial, float(config.training["optimizer"] == "sgd") + number / 100)
        assert {len(trial.params) for trial in study.trials} > {5}

    @pytest.mark.parametrize(("trials", "population"), [(1, 4), (24, 6), (1000, 50)])
    def test_few_trials_shrink_the_population_of_nsga2(self, trials, population):
        assert make_sampler("nsga2", seed=0, trials=trials).population_size == population


class TestSeveralArchitectures:
    """Each has parameters of its own, which are inactive in trials with another architecture."""

    STUDY = GRID.replace(
        """name = "conv_net"
filters""",
        """name = { choices = ["conv_net", "shallow_net"] }
[architecture.shallow_net]
units = { low = 8, high = 64 }
[architecture.conv_net]
filters""",
    ).replace('sampler = "grid"', "trials = 60")

    @pytest.fixture
    def definition(self, two_architectures):
        return parse_study(self.STUDY, two_architectures, "several")

    def test_baseline_uses_the_first_architecture(self, definition):
        assert definition.baseline("", 0).architecture.name == "conv_net"

    def test_grid_has_every_combination_once(self, two_architectures):
        few = self.STUDY.replace("{ low = 8, high = 64 }", "{ choices = [8, 16, 32] }")
        points = grid_points(parse_study(few, two_architectures, "several"))
        conv_nets = (2 + 2 * 2) * 2 * 3
        assert len(points) == (conv_nets + 3) * (1 + 2) * (1 + 2)
        assert max(Counter(json.dumps(point, sort_keys=True) for point in points).values()) == 1
        for point in points:
            is_perceptron = point["architecture"] == "shallow_net"
            assert ("shallow_net.units" in point) == is_perceptron
            assert ("conv_net.dropout" in point) != is_perceptron

    @pytest.mark.parametrize("sampler_seed", range(3))
    def test_tpe_finds_the_better_architecture(self, definition, sampler_seed):
        """The best is a shallow_net of 50 units; a random search finds one of 45 to 55 once in ten trials."""
        study = optuna.create_study(
            sampler=make_sampler("tpe", sampler_seed, trials=60), direction="maximize"
        )
        chosen = []
        for _ in range(60):
            trial = study.ask()
            config = definition.sample(trial, "d", seed=0)
            units = config.architecture.parameters.get("units", 0)
            study.tell(
                trial, 1 - abs(units - 50) / 50 if units else 0.3 + config.architecture.parameters["dropout"]
            )
            chosen.append(45 <= units <= 55)
        assert sum(chosen[20:]) >= 12  # of 40, where chance would give 4
        assert study.best_value > 0.95


class TestPruners:
    @pytest.mark.parametrize("name", PRUNERS)
    def test_every_pruner_can_be_made(self, name):
        pruner = make_pruner(name, epochs=9)
        assert type(pruner).__name__.lower().startswith(name[:2])

    @pytest.mark.parametrize(("epochs", "stopped"), [(9, [1, 3]), (10, [2, 6]), (3, [1]), (1, [])])
    def test_halving_compares_after_a_ninth_and_a_third(self, epochs, stopped):
        study = optuna.create_study(direction="maximize", pruner=make_pruner("halving", epochs))
        first = stopped[0] if stopped else 0
        # A good trial, one that is bad from the start, and one that becomes bad after the first comparison.
        curves = [lambda step: 0.5, lambda step: 0.1, lambda step: 0.9 if step <= first else 0.1]
        found = []
        for curve in curves:
            trial = study.ask()
            for step in range(1, epochs):  # after its last epoch, a trial is not pruned
                trial.report(curve(step), step)
                if trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    found.append(step)
                    break
            else:
                study.tell(trial, 1.0)
        assert found == stopped

    def test_halving_completes_the_baseline(self):
        study = optuna.create_study(direction="maximize", pruner=make_pruner("halving", epochs=9))
        baseline, other = study.ask(), study.ask()
        for trial, value in ((other, 0.9), (baseline, 0.1)):
            trial.report(value, 1)
        assert [trial.should_prune() for trial in (other, baseline)] == [False, False]
        late = study.ask()
        late.report(0.5, 1)
        assert late.should_prune()

    def test_hyperband_uses_the_maximum_of_epochs(self, define):
        definition = define("training.epochs={ low = 3, high = 27 }")
        assert definition.max_epochs() == 27
        assert make_pruner("hyperband", definition.max_epochs())._max_resource == 27
        assert make_pruner("hyperband", definition.max_epochs(), folds=5)._max_resource == 135

    @pytest.mark.parametrize("name", ["median", "hyperband"])
    def test_first_report_is_never_pruned(self, name):
        """A network with batch normalization may be no better than chance after one epoch, and best later."""
        study = optuna.create_study(direction="maximize", pruner=make_pruner(name, epochs=9))
        stopped_at = []
        for number in range(40):
            trial = study.ask()
            value = 0.1 if number >= 20 else 0.9
            for step in range(1, 10):
                trial.report(value, step)
                if trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    stopped_at.append(step)
                    break
            else:
                study.tell(trial, value)
        assert min(stopped_at) == 2

    @pytest.mark.parametrize(("epochs", "first"), [(6, 2), (14, 2), (25, 5), (100, 20)])
    def test_median_waits_a_fifth_of_the_epochs(self, epochs, first):
        study = optuna.create_study(direction="maximize", pruner=make_pruner("median", epochs, folds=2))
        for value in [0.9] * 4 + [0.1]:
            trial = study.ask()
            stopped_at = None
            for step in range(1, 2 * epochs + 1):
                trial.report(value, step)
                if trial.should_prune():
                    stopped_at = step
                    break
            study.tell(trial, value)
        assert stopped_at == first

    @pytest.mark.parametrize("epochs", [1, 2, 3])
    def test_hyperband_works_with_few_epochs(self, epochs):
        study = optuna.create_study(pruner=make_pruner("hyperband", epochs))
        trial = study.ask()
        trial.report(1.0, 1)
        assert not trial.should_prune()

    @pytest.mark.parametrize("direction", ["maximize", "minimize"])
    def test_median_compares_the_last_report(self, direction):
        """A mean over folds can fall, so a better earlier report must not protect a trial."""
        sign = 1 if direction == "maximize" else -1
        study = optuna.create_study(direction=direction, pruner=make_pruner("median", epochs=4))
        for _ in range(4):
            trial = study.ask()
            for step in (1, 2, 3, 4):
                trial.report(sign * 0.8, step)
            study.tell(trial, sign * 0.8)
        trial = study.ask()
        pruned = []
        for step, value in enumerate([0.9, 0.9, 0.7], start=1):  # the third is a mean with a bad fold
            trial.report(sign * value, step)
            pruned.append(trial.should_prune())
        assert pruned == [False, False, True]
