"""zoo's own plugins pass the kit: whatever is registered, in this checkout alone."""

from __future__ import annotations

import os

import pytest

from zoo import ZooError
from zoo.registry import Registry
from zoo.testing.subjects import subject_of

# Options of the kit for those that are not tried as they are.
OPTIONS: dict[str, dict] = {
    # Both may be made far larger than anyone would train here: their ends are no networks to build.
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
# Variants that all checks are made of, at their defaults: a head that no other default has.
IN_FULL = {"cats_and_dogs_net"}
# (name, check) → why it fails, and may.
EXPECTED: dict[tuple[str, str], str] = {
    ("notmnist", "separate_splits"): "the published letters have repetitions among them",
}
# Networks that take longer to build than the others together.
SLOW: set[str] = set()


def registered(kind, marks=lambda entry: ()):
    entries = [entry for entry in Registry.load([]).entries() if entry.kind == kind]
    return pytest.mark.parametrize(
        "entry", [pytest.param(entry, id=entry.name, marks=marks(entry)) for entry in entries]
    )


@registered("architecture", lambda entry: [pytest.mark.slow] if entry.name in SLOW else [])
def test_architectures(entry):
    options = OPTIONS.get(entry.name, {})
    if is_variant(entry):
        checks = None if entry.name in IN_FULL else ["signature", "docstring", "defaults"]
        keeps_the_contract(entry, {"points": []} | options, checks)
    else:
        keeps_the_contract(entry, {"samples": 5} | options)


@registered("augmentation")
def test_augmentations(entry):
    """At the size of `digits` too."""
    options = {"input_shapes": [(28, 28, 1), (33, 20, 3), (8, 8, 1)]}
    options |= {"points": []} if is_variant(entry) else {"samples": 5}
    keeps_the_contract(entry, options | OPTIONS.get(entry.name, {}))


def is_variant(entry):
    """Whether it is a zoo.variant: another's function, which is checked in full, at other numbers."""
    return hasattr(entry.function, "__wrapped__")


@registered("dataset", lambda entry: [] if entry.name == "digits" else [pytest.mark.real_data])
def test_datasets(entry):
    if entry.name != "digits" and not os.environ.get("ZOO_DATA_DIR"):
        pytest.skip("ZOO_DATA_DIR names no folder with data")
    options = OPTIONS.get(entry.name, {})
    try:
        entry.function(**entry.space.check(options))
    except ZooError as error:
        pytest.skip(f"it cannot be had here: {error}")
    keeps_the_contract(entry, options)


def keeps_the_contract(entry, options, checks=None):
    subject = subject_of(entry.kind, entry.function, options)
    subject.validate()
    results = list(subject.results(checks or list(subject.suite.checks)))
    for result in results:
        print(f"{result.check:16} {result.state:8} {result.text}")
    failed = {result.check for result in results if result.state == "failed"}
    assert failed == {check for name, check in EXPECTED if name == entry.name}
