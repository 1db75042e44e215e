"""The built-in components pass the conformance kit."""

from __future__ import annotations

import os

import pytest

from zoo import ZooError
from zoo.registry import Registry
from zoo.testing.subjects import SUBJECTS

# name of a component -> options of its checks
OPTIONS: dict[str, dict] = {
    # Networks at the upper ends of the space are too large for a test.
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
# Variants for which all checks run at their defaults, because no other component has such a head.
IN_FULL = {"cats_and_dogs_net"}
# (name, check) -> reason why it fails
EXPECTED: dict[tuple[str, str], str] = {
    ("notmnist", "separate_splits"): "the published letters contain copies",
}
# Architectures that take longer to check than all others together.
SLOW: set[str] = set()


def registered(kind, marks=lambda component: ()):
    components = [component for component in Registry.load([]).components() if component.kind == kind]
    return pytest.mark.parametrize(
        "component",
        [pytest.param(component, id=component.name, marks=marks(component)) for component in components],
    )


@registered("architecture", lambda component: [pytest.mark.slow] if component.name in SLOW else [])
def test_builtin_architecture_passes(component):
    options = OPTIONS.get(component.name, {})
    if is_variant(component):
        checks = None if component.name in IN_FULL else ["signature", "docstring", "defaults"]
        assert_conforms(component, {"points": []} | options, checks)
    else:
        assert_conforms(component, {"samples": 2} | options)


@registered("augmentation")
def test_builtin_policy_passes(component):
    """The image sizes include 8×8, the size of `digits`."""
    options = {"input_shapes": [(33, 20, 3), (8, 8, 1)]}
    options |= {"points": []} if is_variant(component) else {"samples": 2}
    assert_conforms(component, options | OPTIONS.get(component.name, {}))


def is_variant(component):
    """Return whether the component is a `variant`; all checks run for the function itself."""
    return hasattr(component.function, "__wrapped__")


@registered("dataset", lambda component: [] if component.name == "digits" else [pytest.mark.real_data])
def test_builtin_dataset_passes(component):
    if component.name != "digits" and not os.environ.get("ZOO_DATA_DIR"):
        pytest.skip("ZOO_DATA_DIR is not set")
    options = OPTIONS.get(component.name, {})
    try:
        component.function(**component.space.check(options))
    except ZooError as error:
        pytest.skip(f"the dataset is not available: {error}")
    assert_conforms(component, options)


def assert_conforms(component, options, checks=None):
    subject = SUBJECTS[component.kind](component.function, options)
    subject.validate()
    results = list(subject.results(checks or list(subject.suite.checks)))
    for result in results:
        print(f"{result.check:16} {result.state:8} {result.text}")
    failed = {result.check for result in results if result.state == "failed"}
    assert failed == {check for name, check in EXPECTED if name == component.name}
