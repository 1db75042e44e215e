"""Trial configurations and their JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo import trial as trial_module
from zoo.trial import PluginConfig, TrialConfig, parameter_text

CONFIG = TrialConfig(
    dataset=PluginConfig("mnist"),
    digest="a" * 64,
    validation={"fraction": 0.1, "seed": 0},
    architecture=PluginConfig("conv_net", {"filters": (32, 64), "dropout": 0.1 + 0.2, "batch_norm": True}),
    augmentation=PluginConfig("affine", {"fill": "nearest"}),
    training={"epochs": 3, "learning_rate": 1e-5, "schedule": None},
    objective="val_accuracy",
    direction="maximize",
    seed=2**31 - 1,
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
PARAMETERS = st.dictionaries(st.text(min_size=1), VALUES, max_size=4)
CONFIGS = st.builds(
    replace,
    st.just(CONFIG),
    dataset=st.builds(PluginConfig, st.text(), PARAMETERS),
    architecture=st.builds(PluginConfig, st.text(), PARAMETERS),
    augmentation=st.builds(PluginConfig, st.text(), PARAMETERS),
    training=PARAMETERS,
    seed=st.integers(0, 2**31 - 1),
    measures=st.lists(st.sampled_from(["latency_ms", "val_loss"]), unique=True).map(tuple),
    inactive=st.lists(st.just("training.momentum"), max_size=1).map(tuple),
    max_parameters=st.none() | st.integers(1, 10**9),
)


def test_json_has_the_format_of_the_record():
    assert CONFIG.as_json() == {
        "dataset": {"name": "mnist", "parameters": {}},
        "digest": "a" * 64,
        "validation": {"fraction": 0.1, "seed": 0},
        "architecture": {
            "name": "conv_net",
            "parameters": {"filters": [32, 64], "dropout": 0.30000000000000004, "batch_norm": True},
        },
        "augmentation": {"name": "affine", "parameters": {"fill": "nearest"}},
        "training": {"epochs": 3, "learning_rate": 1e-05, "schedule": None},
        "objective": "val_accuracy",
        "direction": "maximize",
        "seed": 2147483647,
        "plugins": {},
    }


def test_json_has_measures_and_budget_only_if_set():
    asking = replace(CONFIG, measures=("latency_ms",), max_parameters=5000).as_json()
    assert asking == {**CONFIG.as_json(), "measures": ["latency_ms"], "max_parameters": 5000}


def test_every_fold_has_its_own_fixed_seed():
    folds = replace(CONFIG, validation={"folds": 50, "seed": 0})
    seeds = [folds.seed_of_fold(fold) for fold in range(1, 51)]
    assert len(set(seeds)) == 50
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds[0] == CONFIG.seed
    # Recorded trials depend on these values.
    assert seeds[1:4] == [1388220346, 1612634111, 1791891697]
    assert replace(folds, seed=1).seed_of_fold(2) != seeds[1]


@given(CONFIGS)
def test_config_survives_json_exactly(config):
    again = TrialConfig.from_json(json.loads(json.dumps(config.as_json())))
    assert again == config
    assert repr(again) == repr(config)  # distinguishes 1 from True, and 0.0 from -0.0


def test_nested_lists_become_tuples_again():
    config = replace(CONFIG, training={"nested": ((1, 2), ("a", (None,)))})
    assert TrialConfig.from_json(config.as_json()).training == {"nested": ((1, 2), ("a", (None,)))}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0012345, "0.001234"), ([8, 16], "8-16"), ((), "none"), ("adam", "adam"), (True, "true")],
)
def test_parameter_is_short_text(value, text):
    assert parameter_text(value, "-") == text


@pytest.mark.parametrize("metric", ["val_interval_error", "interval_error"])
def test_name_on_the_test_split_changes_the_prefix_only(metric):
    assert trial_module.test_metric(metric) == "test_interval_error"
    assert trial_module.test_metric("val_val_x") == "test_val_x"
