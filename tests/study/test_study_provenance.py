"""Plugins of a study and of each trial."""

from __future__ import annotations

import pytest

import zoo
from zoo.registry import Plugin, Registry
from zoo.study import parse_study
from zoo.trial import TrialConfig

STUDY = """
dataset = "{dataset}"
[architecture]
name = { choices = ["conv_net", "two_net", "three_net"] }
[augmentation]
name = { choices = ["none", "four"] }
"""


def module(kind, name, positional=""):
    """Return a plugin module with one hook that registers one component."""

    def function(): ...

    if positional:

        def function(input_shape, num_classes): ...

    function.__name__ = name

    def hook(register):
        register(function)

    return type("Module", (), {f"register_{kind}s": staticmethod(zoo.hookimpl(hook))})()


@pytest.fixture(scope="module")
def registry():
    registry = Registry.load([])
    for number, kind, name in [
        (1, "dataset", "one"),
        (2, "architecture", "two_net"),
        (3, "architecture", "three_net"),
        (4, "augmentation", "four"),
    ]:
        plugin = Plugin(name, f"zoo-{name}", f"{number}.0")
        made = module(kind, name, positional="yes" if kind == "architecture" else "")
        registry.add(plugin, lambda made=made: made)
    assert registry.problems == []
    return registry


class Choosing:
    """A suggester that answers from keyword arguments, else with the first choice."""

    def __init__(self, **chosen):
        self._chosen = chosen

    def suggest_categorical(self, name, choices):
        return self._chosen.get(name, choices[0])

    def suggest_int(self, name, low, high, **_):
        return low

    def suggest_float(self, name, low, high, **_):
        return low


OURS = {"keras-zoo": zoo.__version__}


@pytest.mark.parametrize(
    ("dataset", "chosen", "plugins"),
    [
        ("digits", {}, {}),
        ("one", {}, {"zoo-one": "1.0"}),
        ("digits", {"architecture": "two_net"}, {"zoo-two_net": "2.0"}),
        ("digits", {"architecture": "three_net"}, {"zoo-three_net": "3.0"}),
        ("digits", {"augmentation": "four"}, {"zoo-four": "4.0"}),
        (
            "one",
            {"architecture": "two_net", "augmentation": "four"},
            {"zoo-one": "1.0", "zoo-two_net": "2.0", "zoo-four": "4.0"},
        ),
    ],
)
def test_trial_names_exactly_its_plugins(registry, dataset, chosen, plugins):
    study = parse_study(STUDY.replace("{dataset}", dataset), registry, "example")
    trial = study.sample(Choosing(**chosen), "a" * 64, seed=0)
    strange = {f"{name}:{name.removeprefix('zoo-')}": version for name, version in plugins.items()}
    used = {
        "keras-zoo:datasets": dataset != "one",
        "keras-zoo:architectures": "architecture" not in chosen,
        "keras-zoo:augmentations": "augmentation" not in chosen,
    }
    assert trial.plugins == {**{name: zoo.__version__ for name in used if used[name]}, **strange}
    assert TrialConfig.from_json(trial.as_json()) == trial


def test_study_names_all_plugins_of_its_trials(registry):
    study = parse_study(STUDY.replace("{dataset}", "one"), registry, "example")
    assert study.plugin_versions() == {
        **OURS,
        "zoo-one": "1.0",
        "zoo-two_net": "2.0",
        "zoo-three_net": "3.0",
        "zoo-four": "4.0",
    }


def test_record_without_plugins_is_readable():
    document = {
        "dataset": {"name": "digits", "parameters": {}},
        "digest": "a" * 64,
        "validation": {"fraction": 0.1, "seed": 0},
        "architecture": {"name": "conv_net", "parameters": {}},
        "augmentation": {"name": "none", "parameters": {}},
        "training": {},
        "objective": "val_accuracy",
        "direction": "maximize",
        "seed": 7,
    }
    assert TrialConfig.from_json(document).plugins == {}
