"""Study files: valid ones, and one line for each problem."""

from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest

from zoo.data import Dataset, Split
from zoo.errors import StudyError
from zoo.registry import Registry
from zoo.study import parse_study
from zoo.trial import TrialConfig

PLAIN = 'dataset = "digits"\narchitecture = "conv_net"\n'


@pytest.fixture
def parse(registry):
    def parse(text, *overrides, name="study"):
        return parse_study(textwrap.dedent(text), registry, name, "s.toml", overrides)

    return parse


@pytest.fixture
def problems(parse):
    """Return the lines of the error about an invalid study."""

    def problems(text, *overrides):
        with pytest.raises(StudyError) as refused:
            parse(text, *overrides)
        return str(refused.value).splitlines()

    return problems


def searched(space):
    return {name for name, parameter in space.items() if parameter.searched}


def test_complete_study_is_read(parse):
    study = parse("""
        dataset = "mnist"
        objective = "val_accuracy"

        [architecture]
        name = "conv_net"
        filters = { low = 16, high = 64 }
        dropout = 0.25

        [augmentation]
        name = { choices = ["none", "affine"] }

        [training]
        epochs = 12
        optimizer = { choices = ["adam", "rmsprop", "sgd"] }
        learning_rate = { low = 1e-4, high = 1e-1, log = true }

        [search]
        trials = 40
        sampler = "tpe"
        pruner = "hyperband"
        seed = 0
    """)
    assert (study.dataset.name, study.dataset.parameters) == ("mnist", {})
    assert (study.objective, study.objectives[0].direction) == ("val_accuracy", "maximize")
    conv_net = study.architecture.spaces["conv_net"]
    assert str(conv_net["filters"].domain) == "1 … 4 items, each 16 … 64 (log)"
    assert (conv_net["dropout"].searched, conv_net["dropout"].default) == (False, 0.25)
    assert list(study.augmentation.spaces) == ["none", "affine"]
    assert (study.training["epochs"].searched, study.training["epochs"].default) == (False, 12)
    assert study.training["optimizer"].domain.options == ("adam", "rmsprop", "sgd")
    assert (study.search.trials, study.search.sampler, study.search.pruner, study.search.seed) == (
        *(40, "tpe", "hyperband", 0),
    )
    assert study.validation == {"fraction": 0.1, "seed": 0}
    assert study.plugin_versions() == {"keras-zoo": study.dataset_component.version}
    assert study.max_epochs() == 12


def test_unmentioned_parameters_keep_the_plugins_range(parse, registry):
    study = parse(PLAIN)
    author = registry.get("architecture", "conv_net").space
    assert study.architecture.spaces["conv_net"].as_json() == author.as_json()
    assert study.architecture.baseline().parameters == author.defaults()
    assert list(study.augmentation.spaces) == ["none"]
    assert "learning_rate" in searched(study.training)
    assert not {"epochs", "patience"} & searched(study.training)
    assert (study.search.trials, study.search.sampler, study.search.pruner) == (20, "tpe", "median")


def test_study_value_fixes_and_table_searches(parse):
    study = parse(
        PLAIN
        + """
        [training]
        momentum = 0.5
        epochs = { low = 5, high = 9 }
        learning_rate = { choices = [0.1, 0.01] }
        """.replace("        ", "")
    )
    assert "momentum" not in searched(study.training)
    assert study.training["momentum"].default == 0.5
    assert "epochs" in searched(study.training)
    assert study.training["epochs"].default == 9  # the default 12, clipped to the range
    assert study.max_epochs() == 9
    assert study.training["learning_rate"].domain.options == (0.1, 0.01)
    assert study.baseline("", 0).training["learning_rate"] == 0.1


def test_registered_metrics_have_their_direction(parse):
    study = parse(PLAIN + 'objective = ["val_kappa", "val_cost", "parameters"]')
    assert [(one.metric, one.direction, one.is_per_epoch, one.result) for one in study.objectives] == [
        ("val_kappa", "maximize", True, "best_val_kappa"),
        ("val_cost", "minimize", True, "best_val_cost"),
        ("parameters", "minimize", False, "parameters"),
    ]
    assert {name: one.origin for name, one in study.metrics.items()} == {
        "val_kappa": "zoo-study 1.0",
        "val_cost": "zoo-study 1.0",
    }
    turned = parse(PLAIN + 'objective = {metric = "val_calibration_error", direction = "maximize"}')
    assert turned.objectives[0].direction == "maximize"
    assert parse(PLAIN + 'objective = "val_calibration_error"').objectives[0].direction == "minimize"


def test_listed_metrics_are_measured_besides_the_objective(parse):
    study = parse(PLAIN + 'objective = "val_auc"\n[validation]\nmetrics = ["val_kappa", "val_auc"]')
    config = study.baseline("0" * 64, 0)
    assert (config.objective, config.measures) == ("val_auc", ("val_kappa",))
    assert config.metrics == {"val_auc": "auc", "val_kappa": "kappa"}
    assert {"keras-zoo:metrics", "zoo-study:study"} < set(config.plugins)
    assert study.plugin_versions()["zoo-study"] == "1.0"
    assert study.validation == {"fraction": 0.1, "seed": 0}


def test_study_without_registered_metrics_uses_no_plugin_of_them(parse):
    study = parse(PLAIN)
    assert study.metrics == {}
    assert "keras-zoo:metrics" not in study.baseline("0" * 64, 0).plugins


def test_loss_settings_are_there_only_if_stated(parse):
    plain = parse(PLAIN)
    assert not {"class_weight", "label_smoothing", "focal_gamma"} & set(plain.training)
    stated = parse(
        PLAIN
        + '[training]\nclass_weight = "balanced"\nfocal_gamma = {low = 0, high = 5}\nlabel_smoothing = 0'
    )
    added = {name: stated.training[name] for name in stated.training if name not in plain.training}
    assert {name: (one.default, one.searched) for name, one in added.items()} == {
        "class_weight": ("balanced", False),
        "label_smoothing": (0.0, False),
        "focal_gamma": (0.0, True),
    }


def test_class_weights_are_a_word_a_search_or_a_table(parse):
    def read(value):
        parameter = parse(f"{PLAIN}[training]\nclass_weight = {value}").training["class_weight"]
        return parameter.default, parameter.searched

    assert read('{choices = ["balanced", "none"]}') == ("none", True)
    # Classes may have the names of the keys of a range.
    for table in ({"cat": 2.0}, {"low": 1.0, "high": 3.0}, {"choices": 2.0}):
        written = ", ".join(f"{name} = {weight}" for name, weight in table.items())
        assert read(f"{{{written}}}") == (table, False)
    config = parse(f"{PLAIN}[training]\nclass_weight = {{cat = 2}}").baseline("0" * 64, 0)
    assert TrialConfig.from_json(json.loads(json.dumps(config.as_json()))) == config


def test_searched_names_are_those_with_several_values(parse):
    study = parse("""
        dataset = "digits"

        [architecture]
        name = { choices = ["conv_net", "res_net"] }
        conv_net = { filters = { low = 8, high = 16 } }

        [augmentation]
        name = "none"

        [training]
        batch_size = { choices = [32] }
        learning_rate = 0.01
    """)
    names = study.searched()
    assert names[0] == "architecture"
    assert {"conv_net.filters", "res_net.kernels", "training.optimizer"} <= set(names)
    assert not {"augmentation", "training.batch_size", "training.learning_rate"} & set(names)


def test_configuration_names_inactive_parameters(parse):
    study = parse('dataset = "digits"\n[architecture]\nname = "res_net"\npooling = "none"')
    assert {"architecture.pool_size", "training.momentum"} <= set(study.baseline("", 0).inactive)
    assert "training.momentum" not in parse(f"{PLAIN}training.optimizer = 'sgd'").baseline("", 0).inactive


def test_number_of_kept_models_is_read(parse):
    assert parse(PLAIN).search.keep_models == 5
    assert parse(PLAIN + "[search]\nkeep_models = 3").search.keep_models == 3
    assert parse(PLAIN, "search.keep_models=all").search.keep_models == "all"


def test_max_epochs_includes_both_phases(parse):
    training = PLAIN + "[training]\nepochs = 5\nfine_tune_epochs = { high = 7 }\n"
    assert parse(training).max_epochs() == 5
    assert parse(training + "fine_tune_layers = 4").max_epochs() == 12
    assert parse(training + "fine_tune_layers = { choices = [0, 8] }").max_epochs() == 12


def test_each_of_several_architectures_has_a_table(parse):
    study = parse("""
        dataset = "digits"
        [architecture]
        name = { choices = ["res_net", "conv_net"] }
        [architecture.conv_net]
        dropout = 0.5
        [architecture.res_net]
        filters = [16, 32, 64]
        kernels = [3, 5, 3]
        pool_size = { low = 3, high = 4 }
    """)
    conv_net, res_net = study.architecture.spaces["conv_net"], study.architecture.spaces["res_net"]
    assert conv_net["dropout"].default == 0.5
    assert res_net.defaults() == {
        "filters": (16, 32, 64),
        "kernels": (3, 5, 3),
        "pooling": "max",
        "pool_size": 3,
    }
    assert study.baseline("", 0).architecture.name == "res_net"
    assert study.plugin_versions().keys() == {"keras-zoo", "zoo-study"}


def test_dataset_parameters_are_fixed(parse, problems):
    table = '[dataset]\nname = "photo_folder"\npath = "images"\nimage_size = 64\n'
    table += '[architecture]\nname = "conv_net"'
    assert parse(table).dataset.parameters == {
        "path": "images",
        "image_size": 64,
        "count": 10,
        "sides": (2, 3),
        "crops": (1, 1),
    }
    # A study has one dataset, so a parameter with a range is fixed to its default.
    assert parse(table.replace("image_size = 64", "")).dataset.parameters["image_size"] == 32
    # Parallel lists keep equal lengths.
    assert parse(table, "dataset.sides=[1,2,3]").dataset.parameters["crops"] == (1, 1, 1)
    assert problems(table.replace('path = "images"\n', "")) == [
        "s.toml:1: [dataset] path: it has no default; give it a value: str"
    ]
    assert problems(table.replace("64", "{ low = 8, high = 64 }")) == [
        "s.toml:4: [dataset] image_size: the parameters of a dataset cannot be searched; give one value"
    ]
    assert problems(table.replace('"images"', "{ choices = [3] }")) == [
        "s.toml:3: [dataset] path: the parameters of a dataset cannot be searched; give one value"
    ]
    assert problems(table.replace("image_size = 64", "count = { low = 60, high = 70 }")) == [
        "s.toml:4: [dataset] count: the parameters of a dataset cannot be searched; give one value"
    ]
    assert problems(table.replace("64", "7")) == [
        "s.toml:4: [dataset] image_size: expected 8 … 256, got 7. Did you mean 8?"
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('objective = "val_loss"', ("val_loss", "minimize")),
        ('objective = { metric = "val_loss", direction = "maximize" }', ("val_loss", "maximize")),
        ('objective.direction = "minimize"', ("val_accuracy", "minimize")),
        ("", ("val_accuracy", "maximize")),
    ],
)
def test_direction_follows_the_metric_unless_stated(parse, written, expected):
    study = parse(f"{written}\n{PLAIN}")
    assert (study.objective, study.objectives[0].direction) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            'objective = ["val_accuracy", "parameters"]',
            [("val_accuracy", "maximize"), ("parameters", "minimize")],
        ),
        (
            'objective = ["latency_ms", "val_loss", "accuracy"]',
            [("latency_ms", "minimize"), ("val_loss", "minimize"), ("accuracy", "maximize")],
        ),
        (
            '[objective]\nmetric = ["accuracy", "parameters"]\ndirection = ["minimize", "maximize"]\n',
            [("accuracy", "minimize"), ("parameters", "maximize")],
        ),
        ('objective = ["val_loss"]', [("val_loss", "minimize")]),
    ],
)
def test_several_objectives_are_read(parse, written, expected):
    text = written + "\n" + PLAIN if written.startswith("objective") else PLAIN + written
    study = parse(text)
    assert [(one.metric, one.direction) for one in study.objectives] == expected
    assert (study.objective, study.objectives[0].direction) == expected[0]
    assert study.search.pruner == ("none" if len(expected) > 1 else "median")


def test_trials_follow_the_first_epoch_objective(parse):
    study = parse('objective = ["parameters", "latency_ms", "val_loss", "accuracy"]\n' + PLAIN)
    config = study.baseline("", 0)
    assert (config.objective, config.direction) == ("val_loss", "minimize")
    assert config.measures == ("latency_ms", "accuracy")  # every summary has `parameters`
    assert parse(PLAIN).baseline("", 0).measures == ()


def test_validation_split_is_read(parse):
    assert parse(PLAIN + "[validation]\nfraction = 0.25\nseed = 7").validation == {
        "fraction": 0.25,
        "seed": 7,
    }


def test_folds_replace_the_fraction(parse):
    study = parse(PLAIN + "[validation]\nfolds = 5\nseed = 7")
    assert study.validation == {"folds": 5, "seed": 7}
    assert (study.folds, study.baseline("", 0).folds) == (5, 5)
    assert parse(PLAIN).folds == parse(PLAIN).baseline("", 0).folds == 1


def test_override_of_folds_replaces_fraction_and_reverse(parse, problems):
    fraction, folds = (PLAIN + f"[validation]\n{key}" for key in ("fraction = 0.25", "folds = 5"))
    assert parse(fraction, "validation.folds=3").validation == {"folds": 3, "seed": 0}
    assert parse(folds, "validation.fraction=0.5").validation == {"fraction": 0.5, "seed": 0}
    assert problems(PLAIN, "validation.fraction=0.5", "validation.folds=3") == [
        "--set validation.folds=3: expected fraction or folds, got both; remove one"
    ]


@pytest.mark.parametrize(
    "objective", ["objective=val_loss", "objective.metric=val_loss", 'objective=["val_loss", "parameters"]']
)
def test_override_of_the_objective_drops_the_target(parse, objective):
    text = PLAIN + "[search]\ntarget = 0.95"
    assert parse(text).search.target == 0.95
    assert parse(text, objective).search.target is None


def test_target_of_the_command_line_stays(parse):
    text = PLAIN + "[search]\ntarget = 0.95"
    assert parse(text, "objective=val_loss", "search.target=0.1").search.target == 0.1


def test_override_with_several_objectives_drops_the_pruner(parse, problems):
    text = PLAIN + '[search]\npruner = "median"'
    several = 'objective=["val_loss", "parameters"]'
    assert parse(text, several).search.pruner == "none"
    assert parse(text, several.replace("=", ".metric=", 1)).search.pruner == "none"
    assert parse(text, "objective=val_loss").search.pruner == "median"
    assert problems(text, several, "search.pruner=hyperband") == [
        "--set search.pruner=hyperband: 'hyperband' supports one objective, but the study has 2; "
        'remove the key, or write "none"'
    ]


def test_parameter_budget_is_read(parse):
    study = parse(PLAIN + "[search]\nmax_parameters = 100_000")
    assert study.search.max_parameters == study.baseline("", 0).max_parameters == 100_000
    assert parse(PLAIN).baseline("", 0).max_parameters is None


# Text that is added to PLAIN, and the line about its problem.
METRICS = (
    *("val_accuracy", "val_loss", "accuracy", "loss", "val_balanced_accuracy", "val_macro_f1", "val_auc"),
    *("val_top5_accuracy", "val_calibration_error", "val_kappa", "val_cost", "parameters", "latency_ms"),
)
MISTAKES = {
    "unknown key": (
        "[trainning]\nepochs = 3",
        "s.toml:3: trainning: no such key. Did you mean 'training'?",
    ),
    "unknown parameter": (
        "[training]\nlearning-rate = 0.1",
        "s.toml:4: [training] learning-rate: no such parameter. Did you mean 'learning_rate'?",
    ),
    "unknown search key": (
        "[search]\nTrials = 3",
        "s.toml:4: [search] Trials: no such key. Did you mean 'trials'?",
    ),
    "unknown validation key": (
        "[validation]\nsplit = 0.2",
        "s.toml:4: [validation] split: no such key. Available: folds, fraction, group, metrics, seed.",
    ),
    "out of range": (
        "[training]\nmomentum = 1.5",
        "s.toml:4: [training] momentum: expected 0 … 0.99, got 1.5. Did you mean 0.99?",
    ),
    "wrong type": (
        '[training]\nepochs = "many"',
        's.toml:4: [training] epochs: expected 1 … 1000, got "many".',
    ),
    "no such option": (
        '[training]\noptimizer = "adamm"',
        's.toml:4: [training] optimizer: expected "adam" | "adamw" | "nadam" | "rmsprop" | "sgd", '
        'got "adamm". Did you mean "adam"?',
    ),
    "empty choices": (
        "[training]\noptimizer = { choices = [] }",
        "s.toml:4: [training] optimizer: choices must be a list with at least one value, got [].",
    ),
    "equal choices": (
        "[training]\nbatch_size = { choices = [32, 32] }",
        "s.toml:4: [training] batch_size: choices must differ, but 32 equals 32; remove one of them.",
    ),
    "range outside the author's": (
        "[training]\nlearning_rate = { low = 1e-7, high = 0.1 }",
        "s.toml:4: [training] learning_rate: expected a range inside 1e-05 … 1 (log), got 1e-07 … 0.1.",
    ),
    "low above high": (
        "[training]\nmomentum = { low = 0.9, high = 0.1 }",
        "s.toml:4: [training] momentum: expected low <= high, got low = 0.9 and high = 0.1; exchange them.",
    ),
    "unknown key in a range": (
        "[training]\nmomentum = { min = 0.1 }",
        "s.toml:4: [training] momentum: no such key 'min' in a range. "
        "Available: choices, high, log, low, step.",
    ),
    "empty table": (
        "[training]\nmomentum = {}",
        "s.toml:4: [training] momentum: the table is empty; expected low, high or choices inside 0 … 0.99.",
    ),
    "no table": ("training = 3", "s.toml:3: training: expected a table [training], got 3"),
    "no trials": (
        "[search]\ntrials = 0",
        "s.toml:4: [search] trials: expected an integer >= 1, got 0",
    ),
    "number of models that is none": (
        "[search]\nkeep_models = 0",
        's.toml:4: [search] keep_models: expected an integer >= 1, got 0; "all" keeps every model',
    ),
    "boolean for an integer": (
        "[search]\ntrials = true",
        "s.toml:4: [search] trials: expected an integer >= 1, got true",
    ),
    "no such sampler": (
        '[search]\nsampler = "tpee"',
        "s.toml:4: [search] sampler: there is no sampler \"tpee\". Did you mean 'tpe'?",
    ),
    "no such pruner": (
        '[search]\npruner = "hyper band"',
        "s.toml:4: [search] pruner: there is no pruner \"hyper band\". Did you mean 'hyperband'?",
    ),
    "negative seed": (
        "[search]\nseed = -1",
        "s.toml:4: [search] seed: expected an integer from 0 to 4294967295, got -1",
    ),
    "too large seed": (
        "[search]\nseed = 99999999999",
        "s.toml:4: [search] seed: expected an integer from 0 to 4294967295, got 99999999999",
    ),
    "fraction above the range of float": (
        f"[validation]\nfraction = 1{'0' * 400}",
        f"s.toml:4: [validation] fraction: expected a number > 0 and < 1, got 1{'0' * 400}",
    ),
    "fraction of one": (
        "[validation]\nfraction = 1",
        "s.toml:4: [validation] fraction: expected a number > 0 and < 1, got 1",
    ),
    "no such objective": (
        'objective = "val_acuracy"',
        's.toml:3: objective: expected a metric, or a list of them, got "val_acuracy". '
        "Did you mean 'val_accuracy'?",
    ),
    "no such metric": (
        '[objective]\nmetric = "f1"\n',
        's.toml:4: [objective] metric: expected a metric, or a list of them, got "f1". '
        "Did you mean 'val_macro_f1'?",
    ),
    "no such objective among several": (
        'objective = ["val_loss", "paramters"]',
        's.toml:3: objective: expected a metric, or a list of them, got "paramters". '
        "Did you mean 'parameters'?",
    ),
    "an objective that is not text": (
        'objective = ["val_loss", 3]',
        "s.toml:3: objective: expected a metric, or a list of them, got 3. "
        f"Available: {', '.join(sorted(METRICS))}.",
    ),
    "empty list of objectives": (
        "objective = []",
        f"s.toml:3: objective: expected at least one metric. Available: {', '.join(METRICS)}.",
    ),
    "one objective twice": (
        'objective = ["val_loss", "parameters", "val_loss"]',
        "s.toml:3: objective: 'val_loss' occurs twice; list each objective once",
    ),
    "an objective without a metric of epochs": (
        'objective = "parameters"',
        "s.toml:3: objective: expected an objective that measures how well a network learned, "
        'got ["parameters"]; add one of val_accuracy, val_loss, accuracy, loss',
    ),
    "two objectives without a metric of epochs": (
        'objective = ["parameters", "latency_ms"]',
        "s.toml:3: objective: expected an objective that measures how well a network learned, "
        'got ["parameters", "latency_ms"]; '
        "add one of val_accuracy, val_loss, accuracy, loss",
    ),
    "too few directions": (
        '[objective]\nmetric = ["val_loss", "parameters"]\ndirection = ["minimize"]\n',
        "s.toml:5: [objective] direction: expected a list of 2 directions, one for each metric, "
        'got ["minimize"]',
    ),
    "one direction for several": (
        '[objective]\nmetric = ["val_loss", "parameters"]\ndirection = "minimize"\n',
        "s.toml:5: [objective] direction: expected a list of 2 directions, one for each metric, "
        'got "minimize"',
    ),
    "a bad direction among several": (
        '[objective]\nmetric = ["val_loss", "parameters"]\ndirection = ["minimize", "down"]\n',
        's.toml:5: [objective] direction: expected "maximize" or "minimize", got "down"',
    ),
    "several directions for one": (
        'objective = { metric = "val_loss", direction = ["minimize", "minimize"] }',
        's.toml:3: [objective] direction: expected "maximize" or "minimize", got ["minimize", "minimize"]',
    ),
    "a pruner for several": (
        'objective = ["val_loss", "parameters"]\n[search]\npruner = "median"',
        "s.toml:5: [search] pruner: 'median' supports one objective, but the study has 2; "
        'remove the key, or write "none"',
    ),
    "a sampler for one objective": (
        'objective = ["val_loss", "parameters"]\n[search]\nsampler = "cmaes"',
        "s.toml:5: [search] sampler: 'cmaes' supports one objective, but the study has 2; "
        "use one of tpe, random, grid, nsga2",
    ),
    "another sampler for one objective": (
        'objective = ["val_loss", "parameters", "accuracy"]\n[search]\nsampler = "gp"',
        "s.toml:5: [search] sampler: 'gp' supports one objective, but the study has 3; "
        "use one of tpe, random, grid, nsga2",
    ),
    "budget of zero parameters": (
        "[search]\nmax_parameters = 0",
        "s.toml:4: [search] max_parameters: expected an integer >= 1, got 0",
    ),
    "one fold": (
        "[validation]\nfolds = 1",
        "s.toml:4: [validation] folds: expected an integer >= 2, got 1; "
        "for a single validation split, write fraction",
    ),
    "fractional number of folds": (
        "[validation]\nfolds = 2.5",
        "s.toml:4: [validation] folds: expected an integer >= 2, got 2.5",
    ),
    "both fraction and folds": (
        "[validation]\nfraction = 0.1\nfolds = 5",
        "s.toml:5: [validation] folds: expected fraction or folds, got both; remove one",
    ),
    "bad direction": (
        'objective.direction = "up"',
        's.toml:3: [objective] direction: expected "maximize" or "minimize", got "up"',
    ),
    "unknown key of the objective": (
        'objective.metrics = "loss"',
        "s.toml:3: [objective] metrics: no such key. Did you mean 'metric'?",
    ),
    "no name": (
        "[augmentation]\nrotation = 3",
        's.toml:3: [augmentation] name: expected a name, or { choices = ["…", "…"] }',
    ),
    "empty name choices": (
        "[augmentation]\nname = { choices = [] }",
        "s.toml:4: [augmentation] name: choices must be a list with at least one name, got []",
    ),
    "one name twice": (
        '[augmentation]\nname = { choices = ["none", "none"] }',
        "s.toml:4: [augmentation] name: choices must differ, but 'none' occurs twice; remove one of them",
    ),
    "a list of names": (
        'augmentation = ["none", "affine"]',
        's.toml:3: [augmentation] name: expected a name, got ["none", "affine"]; '
        'to search several, write name = { choices = ["none", "affine"] } in [augmentation]',
    ),
    "unknown name": (
        'augmentation = "afine"',
        "s.toml:3: [augmentation] name: there is no augmentation named 'afine'. Did you mean 'affine'?",
    ),
    "unknown name among choices": (
        '[augmentation]\nname = { choices = ["none", "afine"] }',
        "s.toml:4: [augmentation] name: there is no augmentation named 'afine'. Did you mean 'affine'?",
    ),
    "a shared key with several choices": (
        '[augmentation]\nname = { choices = ["none", "affine"] }\nzoom = 0.1',
        "s.toml:5: [augmentation] zoom: a study with several augmentations has one table for the "
        "parameters of each, such as [augmentation.none]. Available: affine, none.",
    ),
    "a value in place of a table": (
        '[augmentation]\nname = { choices = ["none", "affine"] }\naffine = 3',
        "s.toml:5: [augmentation] affine: expected a table [augmentation.affine], got 3",
    ),
    "problem in the table of a choice": (
        '[augmentation]\nname = { choices = ["none", "affine"] }\n[augmentation.affine]\n\nzom = 0.1',
        "s.toml:7: [augmentation.affine] zom: no such parameter. Did you mean 'zoom'?",
    ),
    "table of a component that is not a choice": (
        '[augmentation]\nname = { choices = ["none", "flips"] }\n[augmentation.affine]\nzzz = 1',
        "s.toml:5: [augmentation] affine: the study does not use this augmentation; "
        "add 'affine' to the choices of name, or remove its table",
    ),
    "table of a component that is not used": (
        '[augmentation]\nname = "none"\n[augmentation.affine]\nzzz = 1',
        "s.toml:5: [augmentation] affine: the study does not use this augmentation; "
        "add 'affine' to the choices of name, or remove its table",
    ),
    "the same key in both tables of a component": (
        '[augmentation]\nname = "affine"\nrotation = 3.0\n[augmentation.affine]\nrotation = 5.0',
        "s.toml:7: [augmentation.affine] rotation: it is in [augmentation] too; remove one of them",
    ),
    "an unknown metric": (
        'objective = "val_kapa"',
        's.toml:3: objective: expected a metric, or a list of them, got "val_kapa". '
        "Did you mean 'val_kappa'?",
    ),
    "an unknown metric that is like no other": (
        'objective = "quality"',
        's.toml:3: objective: expected a metric, or a list of them, got "quality". '
        f"Available: {', '.join(sorted(METRICS))}.",
    ),
    "an unknown metric among the listed ones": (
        '[validation]\nmetrics = ["val_macro_f2"]',
        's.toml:4: [validation] metrics: expected a metric, or a list of them, got "val_macro_f2". '
        "Did you mean 'val_macro_f1'?",
    ),
    "a listed metric of every study": (
        '[validation]\nmetrics = ["val_loss"]',
        "s.toml:4: [validation] metrics: 'val_loss' is measured in every study; remove it",
    ),
    "one metric in place of a list": (
        '[validation]\nmetrics = "val_auc"',
        's.toml:4: [validation] metrics: expected a list of metrics, such as ["val_auc"], got "val_auc"',
    ),
    "a class weight that is not positive": (
        "[training]\nclass_weight = {cat = 0}",
        "s.toml:4: [training] class_weight: expected a weight > 0 for each class that the table names, "
        'got {"cat": 0}.',
    ),
    "a word that is no class weight": (
        '[training]\nclass_weight = "balance"',
        's.toml:4: [training] class_weight: expected "none" | "balanced", or a table of weights by class '
        'name, got "balance". Did you mean "balanced"?',
    ),
    "a table among the choices of a class weight": (
        '[training]\nclass_weight = {choices = ["none", {cat = 2.0}]}',
        's.toml:4: [training] class_weight: expected choices from "none" | "balanced", got {"cat": 2.0}; '
        "a table of weights can be fixed, not searched.",
    ),
    "label smoothing of 1": (
        "[training]\nlabel_smoothing = 1",
        "s.toml:4: [training] label_smoothing: expected 0 … 0.999, got 1. Did you mean 0.999?",
    ),
    "negative focal gamma": (
        "[training]\nfocal_gamma = -0.5",
        "s.toml:4: [training] focal_gamma: expected 0 … 10, got -0.5. Did you mean 0.0?",
    ),
    "a date": (
        "[training]\nmomentum = 2024-02-03",
        "s.toml:4: [training] momentum: expected 0 … 0.99, got datetime.date(2024, 2, 3).",
    ),
    "not a number": (
        "[training]\nmomentum = nan",
        "s.toml:4: [training] momentum: expected 0 … 0.99, got NaN.",
    ),
    "a line break in a key": (
        '"a\\nb" = 3',
        r"s.toml:3: a\nb: no such key. Available: architecture, augmentation, dataset, objective, "
        "plugins, search, training, validation.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_problem_is_one_line_with_place_and_spelling(problems, mistake):
    text, expected = MISTAKES[mistake]
    assert problems(PLAIN + text) == [expected]


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        (
            "training.batch_size=[32, 64]",
            "expected 16 … 1024 (log), got [32, 64]. To search the range, write { low = 32, high = 64 }; "
            "for these two values { choices = [32, 64] }.",
        ),
        (
            "training.momentum=[0.5, 0.7, 0.9]",
            "expected 0 … 0.99, got [0.5, 0.7, 0.9]. "
            "To search several values, write { choices = [0.5, 0.7, 0.9] }.",
        ),
        (
            "training.momentum=[0.9, 0.5]",
            "expected 0 … 0.99, got [0.9, 0.5]. To search several values, write { choices = [0.9, 0.5] }.",
        ),
        (
            "training.optimizer=['sgd', 'adam']",
            'expected "adam" | "adamw" | "nadam" | "rmsprop" | "sgd", got ["sgd", "adam"]. '
            'To search several values, write { choices = ["sgd", "adam"] }.',
        ),
        (
            "architecture.padding=['same', 'some']",
            'expected "same" | "valid", got ["same", "some"]. '
            "To search several values, write { choices = […] }.",
        ),
        (
            "architecture.filters=[[32], [32, 64]]",
            "expected 8 … 128 (log), got [32]. "
            "To search several values, write { choices = [[32], [32, 64]] }.",
        ),
        (
            "architecture.filters=[4, 4]",
            "expected 8 … 128 (log), got 4. Did you mean 8?",
        ),
    ],
)
def test_list_in_place_of_a_search_says_how_to_search(problems, setting, hint):
    assert problems(PLAIN, setting) == [f"--set {setting}: {hint}"]


def test_list_for_a_dataset_parameter_has_no_search_hint(problems):
    folder = "[dataset]\nname = 'photo_folder'\npath = 'x'\n[architecture]\nname = 'conv_net'"
    assert problems(folder, "dataset.image_size=[32, 64]") == [
        "--set dataset.image_size=[32, 64]: expected 8 … 256, got [32, 64]."
    ]


def test_missing_dataset_and_architecture_are_reported(problems, registry):
    assert problems("") == [
        f's.toml: {kind}: it is missing; write {kind} = "NAME". Available: {", ".join(registry.names(kind))}.'
        for kind in ("dataset", "architecture")
    ]
    assert problems('dataset = { choices = ["mnist"] }\narchitecture = 3') == [
        "s.toml:1: [dataset] name: expected a name",
        's.toml:2: [architecture] name: expected a name, or { choices = ["…", "…"] }, got 3',
    ]


def test_all_problems_are_reported_at_once(problems):
    found = problems("""
        dataset = "digts"
        objectiv = "val_loss"

        [architecture]
        name = { choices = ["conv_net", "resnet"] }
        [architecture.conv_net]
        dropout = 0.9
        filter = [32]
        kernel_size = [
            # no list
            3,
        ]

        [training]
        weight_decay = 1
        momentum = 2
        batch_size = { low = 1, high = 64 }

        [search]
        trials = "all"
        sampler = "best"
    """)
    assert [
        line.partition(": there")[0]
        .partition(": no such")[0]
        .partition(": there")[0]
        .partition(": expected")[0]
        for line in found
    ] == [
        "s.toml:3: objectiv",
        "s.toml:2: [dataset] name",
        "s.toml:6: [architecture] name",
        "s.toml:8: [architecture.conv_net] dropout",
        "s.toml:9: [architecture.conv_net] filter",
        "s.toml:10: [architecture.conv_net] kernel_size",
        "s.toml:16: [training] weight_decay",
        "s.toml:17: [training] momentum",
        "s.toml:18: [training] batch_size",
        "s.toml:21: [search] trials",
        "s.toml:22: [search] sampler",
    ]


def test_fixed_list_and_its_leader_must_agree(parse, problems):
    start = 'dataset = "digits"\n[architecture]\nname = "res_net"\n'
    assert problems(f"{start}kernels = [3, 3, 5]") == [
        "s.toml:4: [architecture] kernels: it has the length of 'filters', so fix 'filters' to 3 items too, "
        "or search both."
    ]
    assert problems(f"{start}kernels = [3, 4]\nfilters = 30") == [
        "s.toml:4: [architecture] kernels: expected 3 | 5, got 4.",
        "s.toml:5: [architecture] filters: expected a list of 1 … 4 items, each 8 … 128 (log), "
        "got 30. Did you mean [30]?",
    ]
    assert problems(f"{start}filters = 3") == [
        "s.toml:4: [architecture] filters: expected a list of 1 … 4 items, each 8 … 128 (log), got 3."
    ]
    followed = parse(f"{start}filters = [8, 8, 8]").baseline("", 0).architecture.parameters
    assert followed["kernels"] == (3, 3, 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('dataset = "digits"\nobjective = \n', "s.toml:2: not TOML: "),
        ('dataset = "digits"\n[training\n', "s.toml:2: not TOML: "),
        ('dataset = "digits"\ndataset = "mnist"\n', "s.toml:2: not TOML: Cannot overwrite a value"),
        ('dataset = "digits"\n\n[training]\nepochs = [1,\n2', "s.toml:5: not TOML: "),
        ("[a]\nx = 1\n[a]\n", "s.toml:3: not TOML: "),
        ("x = 1979-99-99", "s.toml:1: not TOML: "),
        ("x = " + "[" * 10_000, "s.toml"),
        ("x = " + "9" * 5000, "s.toml"),
    ],
)
def test_syntax_error_has_its_line(problems, text, expected):
    (line,) = problems(text)
    assert line.startswith(expected)
    assert "not TOML" in line
    assert "at line" not in line


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", ".hidden", "ü"])
def test_name_that_is_no_folder_name_is_rejected(parse, name):
    with pytest.raises(StudyError, match=r"a study's name consists of .*--name"):
        parse(PLAIN, name=name)


# --set KEY=VALUE


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("training.epochs=3", lambda study: study.training["epochs"].default == 3),
        ("training.epochs = 3 ", lambda study: study.training["epochs"].default == 3),
        (
            "architecture.filters=[16,32]",
            lambda study: study.baseline("", 0).architecture.parameters["filters"] == (16, 32),
        ),
        (
            "architecture.padding=valid",
            lambda study: study.architecture.baseline().parameters["padding"] == "valid",
        ),
        (
            'architecture.padding="valid"',
            lambda study: study.architecture.baseline().parameters["padding"] == "valid",
        ),
        (
            "architecture.batch_norm=true",
            lambda study: study.architecture.baseline().parameters["batch_norm"] is True,
        ),
        ("training.momentum={low=0.1,high=0.2}", lambda study: study.training["momentum"].domain.high == 0.2),
        (
            "training.momentum.high=0.2",
            lambda study: (
                (study.training["momentum"].domain.low, study.training["momentum"].domain.high) == (0.0, 0.2)
            ),
        ),
        ("dataset=mnist", lambda study: study.dataset.name == "mnist"),
        ("dataset.name=mnist", lambda study: study.dataset.name == "mnist"),
        ("augmentation=affine", lambda study: list(study.augmentation.spaces) == ["affine"]),
        (
            "objective.direction=minimize",
            lambda study: (study.objective, study.objectives[0].direction) == ("val_accuracy", "minimize"),
        ),
        (
            'objective=["val_loss", "parameters"]',
            lambda study: [one.metric for one in study.objectives] == ["val_loss", "parameters"],
        ),
        ("validation.seed=3", lambda study: study.validation["seed"] == 3),
        ("search.trials=3", lambda study: study.search.trials == 3),
    ],
)
def test_override_is_read_like_the_file(parse, override, read):
    assert read(parse(PLAIN + 'objective = "val_accuracy"', override))


def test_override_replaces_the_file(parse):
    text = PLAIN + "[training]\nepochs = 9\nmomentum = 0.5\nlearning_rate = { low = 0.01, high = 0.1 }\n"
    study = parse(text, "training.epochs=1", "training.epochs=2", "training.learning_rate=0.5")
    assert study.training["epochs"].default == 2
    assert not study.training["learning_rate"].searched
    ranged = parse(text, "training.momentum.low=0.25", "training.learning_rate.high=0.05")
    assert (ranged.training["momentum"].searched, ranged.training["momentum"].domain.low) == (True, 0.25)
    assert (ranged.training["learning_rate"].domain.low, ranged.training["learning_rate"].domain.high) == (
        0.01,
        0.05,
    )


def test_override_keeps_a_path_unchanged(parse):
    folder = "[dataset]\nname = 'photo_folder'\npath = 'x'\n[architecture]\nname = 'conv_net'"
    for path in ("/data/#1", "2024-02-03", "a=b", "C:\\x"):
        assert parse(folder, f"dataset.path={path}").dataset.parameters["path"] == path


@pytest.mark.parametrize("override", ["training", "training.epochs", "=3", "training..epochs=3", ".=3"])
def test_override_without_key_or_value_is_rejected(problems, override):
    assert problems(PLAIN, override) == [
        f"--set {override}: expected TABLE.KEY=VALUE, such as training.epochs=3"
    ]


def test_problem_in_an_override_names_the_override(problems):
    assert problems(PLAIN + "[training]\nepochs = 3", "training.epochs=0", "training.epoch=3") == [
        "--set training.epochs=0: expected 1 … 1000, got 0. Did you mean 1?",
        "--set training.epoch=3: no such parameter. Did you mean 'epochs'?",
    ]
    assert problems(PLAIN, "trials=3") == [
        "--set trials=3: no such key. Available: architecture, augmentation, dataset, objective, "
        "plugins, search, training, validation."
    ]


def test_override_wins_over_either_table_of_a_component(parse, problems):
    text = 'dataset = "digits"\n[architecture]\nname = "conv_net"\ndropout = 0.3\n'
    own = text.replace("dropout", "[architecture.conv_net]\ndropout")

    def dropout(*study):
        return parse(*study).architecture.spaces["conv_net"]["dropout"].default

    assert dropout(text, "architecture.conv_net.dropout=0.1") == 0.1
    assert (dropout(own), dropout(own, "architecture.dropout=0.1")) == (0.3, 0.1)
    assert problems(text, "architecture.conv_net.dropout=9") == [
        "--set architecture.conv_net.dropout=9: expected 0 … 0.6, got 9. Did you mean 0.6?"
    ]
    assert problems(own.replace("0.3", "9")) == [
        "s.toml:5: [architecture.conv_net] dropout: expected 0 … 0.6, got 9. Did you mean 0.6?"
    ]


# Study definitions


def test_with_search_replaces_search_settings(parse):
    study = parse(PLAIN)
    assert study.with_search(trials=3, sampler=None).search.trials == 3
    assert study.with_search(trials=None).search == study.search
    with pytest.raises(StudyError) as refused:
        study.with_search(trials=0, sampler="gird")
    assert str(refused.value).splitlines() == [
        "--trials: expected an integer >= 1, got 0",
        "--sampler: there is no sampler \"gird\". Did you mean 'grid'?",
    ]
    several = parse('objective = ["val_loss", "parameters"]\n' + PLAIN)
    assert several.with_search(pruner="none", sampler="nsga2").search.pruner == "none"
    with pytest.raises(StudyError) as refused:
        several.with_search(pruner="hyperband", sampler="gp")
    assert [line.partition(": ")[0] for line in str(refused.value).splitlines()] == ["--pruner", "--sampler"]


def test_every_trial_has_its_own_fixed_seed(parse):
    study = parse(PLAIN)
    seeds = [study.seed_of(trial) for trial in range(200)]
    assert len(set(seeds)) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [parse(PLAIN + "[training]\nepochs = 3").seed_of(trial) for trial in range(200)]
    assert seeds[0] != parse(PLAIN + "[search]\nseed = 1").seed_of(0)


def test_policy_named_like_an_architecture_has_its_own_prefix(parse):
    """An architecture and a policy of the same name each have a `dropout`."""
    study = parse('dataset = "digits"\narchitecture = "conv_net"\naugmentation = "conv_net"')
    answers = study.encode(study.baseline("", 0))
    assert answers["conv_net.dropout"] == 0.25
    assert answers["augmentation.conv_net.dropout"] == 0.1


def test_override_of_name_leaves_other_tables_unused():
    text = """
dataset = "digits"
architecture = "conv_net"
[augmentation]
name = { choices = ["none", "affine"] }
[augmentation.affine]
rotation = { high = 15.0 }
"""
    registry = Registry.load()
    none = parse_study(text, registry, "s", overrides=["augmentation.name=none"])
    assert list(none.augmentation.spaces) == ["none"]
    fewer = parse_study(text, registry, "s", overrides=['augmentation.name.choices=["none"]'])
    assert list(fewer.augmentation.spaces) == ["none"]
    affine = parse_study(text, registry, "s", overrides=["augmentation.name=affine"])
    assert affine.augmentation.spaces["affine"]["rotation"].domain.high == 15.0
    with pytest.raises(StudyError, match=r"study:7: \[augmentation\.affine\] rotatio: .*'rotation'"):
        parse_study(
            text.replace("rotation", "rotatio"), registry, "s", overrides=["augmentation.name=affine"]
        )


class TestDatasetInMemory:
    DATA = Dataset(Split(np.zeros((2, 1, 1, 1), np.uint8), np.arange(2)), class_names=["a", "b"])

    def parse(self, registry, text, *overrides):
        return parse_study(text, registry, "study", "s.toml", overrides, self.DATA)

    @pytest.mark.parametrize(
        "dataset",
        ['dataset = "digits"\n', 'dataset = { name = "not_installed", size = 9 }\n', ""],
        ids=["known", "unknown", "none"],
    )
    def test_it_replaces_the_dataset_of_the_file(self, registry, dataset):
        study = self.parse(registry, f'{dataset}architecture = "conv_net"', "training.epochs=1")
        assert study.in_memory is self.DATA
        assert (study.dataset.name, study.dataset.parameters) == ("in memory", {})
        assert study.dataset_component.distribution == "keras-zoo"
        comment, override = study.text.splitlines()[-2:]
        assert comment == "# dataset: in memory, passed in Python in place of the file's"
        assert override == "# --set training.epochs=1"

    def test_file_may_say_that_it_is_in_memory(self, registry):
        text = 'dataset = "in memory"\narchitecture = "conv_net"'
        assert self.parse(registry, text).text == text
        assert parse_study(text, registry, "study").in_memory is None

    def test_its_settings_are_refused(self, registry):
        with pytest.raises(StudyError) as refused:
            self.parse(registry, PLAIN, "dataset.count=9")
        assert str(refused.value) == (
            "--set dataset.count=9: the dataset is passed in Python (dataset=…); "
            "remove this setting or that argument"
        )
