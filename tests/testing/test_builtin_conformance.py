"""The built-in components pass the kit."""

from __future__ import annotations

import os

import pytest

from zoo import ZooError
from zoo.registry import Registry
from zoo.testing.subjects import SUBJECTS

# Options of the kit for components that need some.
OPTIONS: dict[str, dict] = {
    # The ends of the space are too large to build here.
    "perceptron": {"space": {"dense_units": {"high": 64, "length": [0, 2]}}},
    "typical_conv_net": {
        "space": {
            "filters": {"high": 16, "length": [1, 4]},
            "dense_units": {"high": 32, "length": [0, 1]},
            "binary_head": False,
        }
    },
    "pretrained": {
        "space": {"base": "MobileNetV2", "weights": "none"},
        "input_shape": (32, 32, 3),
        "points": [],
        "class_counts": [2],
    },
    "cats_and_dogs_net": {"input_shape": (46, 50, 3), "num_classes": 2, "class_counts": []},
}
# Variants that run all checks, at their defaults: their head is unlike that of all other defaults.
IN_FULL = {"cats_and_dogs_net"}
# (name, check) -> reason why it fails
EXPECTED: dict[tuple[str, str], str] = {
    ("notmnist", "separate_splits"): "the published letters contain copies",
}
# Networks that take longer to build than all others together.
SLOW: set[str] = set()


def registered(kind, marks=lambda entry: ()):
    entries = [entry for entry in Registry.load([]).components() if entry.kind == kind]
    return pytest.mark.parametrize(
        "entry", [pytest.param(entry, id=entry.name, marks=marks(entry)) for entry in entries]
    )


@registered("architecture", lambda entry: [pytest.mark.slow] if entry.name in SLOW else [])
def test_builtin_architecture_passes(entry):
    options = OPTIONS.get(entry.name, {})
    if is_variant(entry):
        checks = None if entry.name in IN_FULL else ["signature", "docstring", "defaults"]
        assert_conforms(entry, {"points": []} | options, checks)
    else:
        assert_conforms(entry, {"samples": 5} | options)


@registered("augmentation")
def test_builtin_policy_passes(entry):
    """The sizes include that of `digits`."""
    options = {"input_shapes": [(28, 28, 1), (33, 20, 3), (8, 8, 1)]}
    options |= {"points": []} if is_variant(entry) else {"samples": 5}
    assert_conforms(entry, options | OPTIONS.get(entry.name, {}))


def is_variant(entry):
    """Return whether it is a variant of a function that is checked in full."""
    return hasattr(entry.function, "__wrapped__")


@registered("dataset", lambda entry: [] if entry.name == "digits" else [pytest.mark.real_data])
def test_builtin_dataset_passes(entry):
    if entry.name != "digits" and not os.environ.get("ZOO_DATA_DIR"):
        pytest.skip("ZOO_DATA_DIR names no folder with data")
    options = OPTIONS.get(entry.name, {})
    try:
        entry.function(**entry.space.check(options))
    except ZooError as error:
        pytest.skip(f"it is not available here: {error}")
    assert_conforms(entry, options)


def assert_conforms(entry, options, checks=None):
    subject = SUBJECTS[entry.kind](entry.function, options)
    subject.validate()
    results = list(subject.results(checks or list(subject.suite.checks)))
    for result in results:
        print(f"{result.check:16} {result.state:8} {result.text}")
    failed = {result.check for result in results if result.state == "failed"}
    assert failed == {check for name, check in EXPECTED if name == entry.name}
