"""Properties of random valid studies, narrowed from the spaces of the built-ins."""

from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.registry import Registry
from zoo.space import REQUIRED, Choice, ClassWeights, Float, Int, List
from zoo.study import PRUNERS, SAMPLERS, parse_study
from zoo.testing._points import UnitSuggester
from zoo.training import training_space
from zoo.trial import TrialConfig

REGISTRY = Registry.load([])
DATASETS = [  # without required parameters
    entry.name
    for entry in REGISTRY.components()
    if entry.kind == "dataset" and all(one.default is not REQUIRED for one in entry.space.values())
]
FEW = settings(max_examples=30)


def numbers(domain):
    kind = st.integers if isinstance(domain, Int) else st.floats
    return kind(domain.low, domain.high).map(domain.clip)


def members(domain):
    """Members of a domain, as a study file writes them."""
    if isinstance(domain, Choice):
        return st.sampled_from(domain.options)
    if isinstance(domain, List):
        return st.lists(members(domain.item), min_size=domain.length[0], max_size=domain.length[1])
    return numbers(domain)


def choices(domain, most=3):
    key = json.dumps
    return st.lists(members(domain), min_size=1, max_size=most, unique_by=key).map(
        lambda some: {"choices": some}
    )


@st.composite
def ranges(draw, domain):
    """Tables that search inside a domain."""
    if isinstance(domain, Choice):
        return draw(choices(domain))
    if isinstance(domain, List):
        if draw(st.booleans()):
            return draw(choices(domain))
        low, high = sorted(draw(st.tuples(*[st.integers(*domain.length)] * 2)))
        length = draw(st.sampled_from([{}, {"length": [low, high]}, {"length": {"low": low, "high": high}}]))
        return {**draw(ranges(domain.item).filter(lambda table: table.keys() != {"choices"})), **length}
    if draw(st.booleans()):
        return draw(choices(domain))
    low, high = sorted(draw(st.tuples(numbers(domain), numbers(domain))))
    table = draw(st.sampled_from([{"low": low}, {"high": high}, {"low": low, "high": high}]))
    linear = {"log": False} if domain.log and draw(st.booleans()) else {}
    return {**table, **linear}


@st.composite
def narrowings(draw, space):
    """A table that fixes or searches some parameters of a space."""
    table = {}
    for name, parameter in space.items():
        setting = draw(st.sampled_from(["nothing", "value", "range"]))
        if setting == "value":
            table[name] = draw(members(parameter.domain))
        elif setting == "range":
            table[name] = draw(ranges(parameter.domain))
    return table


@st.composite
def studies(draw):
    """A study as nested tables."""
    conv_net = draw(narrowings(REGISTRY.get("architecture", "conv_net").space))
    affine = draw(narrowings(REGISTRY.get("augmentation", "affine").space))
    augmentation = draw(
        st.sampled_from(
            [
                {"name": "none"},
                {"name": "affine", **affine},
                {"name": {"choices": ["none", "affine"]}, "affine": affine},
                {"name": {"choices": ["affine", "none"]}, "affine": affine, "none": {}},
            ]
        )
    )
    objective = draw(
        st.sampled_from(
            [
                {"metric": "val_loss"},
                {"metric": "accuracy", "direction": "minimize"},
                {"metric": ["parameters", "val_accuracy", "latency_ms"]},
                {"metric": ["val_loss", "accuracy"], "direction": ["maximize", "minimize"]},
            ]
        )
    )
    one = not isinstance(objective["metric"], list)
    return {
        "dataset": {"name": draw(st.sampled_from(DATASETS))},
        "architecture": draw(
            st.sampled_from(
                [{"name": "conv_net", **conv_net}, {"name": {"choices": ["conv_net"]}, "conv_net": conv_net}]
            )
        ),
        "augmentation": augmentation,
        "training": draw(narrowings(training_space())),
        "validation": {
            **draw(
                st.one_of(
                    st.builds(lambda share: {"fraction": share}, st.floats(0.01, 0.99)),
                    st.builds(lambda count: {"folds": count}, st.integers(2, 99)),
                )
            ),
            "seed": draw(st.integers(0, 2**70)),
        },
        "search": {
            "trials": draw(st.integers(1, 10**6)),
            "sampler": draw(st.sampled_from(SAMPLERS if one else ["tpe", "random", "grid", "nsga2"])),
            "pruner": draw(st.sampled_from(PRUNERS)) if one else "none",
            "seed": draw(st.integers(0, 2**32 - 1)),
            **draw(st.sampled_from([{}, {"max_parameters": 5000}])),
        },
        "objective": objective,
    }


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def text_of(study):
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
        for name, table in study.items()
    )


def parse(study, *overrides):
    return parse_study(text_of(study), REGISTRY, "random", overrides=overrides)


class Answers:
    """A suggester that answers from a dictionary, each name once."""

    def __init__(self, answers):
        self.answers = dict(answers)

    def suggest_float(self, name, low, high, *, step=None, log=False):
        answer = self.answers.pop(name)
        assert low <= answer <= high
        return answer

    suggest_int = suggest_float

    def suggest_categorical(self, name, choices):
        answer = self.answers.pop(name)
        assert answer in choices
        return answer


def check_replays(definition, config):
    """Check that `encode` gives exactly the suggestions that reproduce the trial."""
    suggester = Answers(definition.encode(config))
    assert definition.sample(suggester, config.digest, config.seed) == config
    assert suggester.answers == {}


def check_json(config):
    document = config.as_json()
    again = TrialConfig.from_json(json.loads(json.dumps(document)))
    assert again == config
    assert again.as_json() == document
    assert json.dumps(again.as_json()) == json.dumps(document)


@FEW
@given(studies())
def test_valid_study_keeps_its_settings(study):
    definition = parse(study)
    table = study["training"]
    for name, parameter in definition.training.items():
        wanted = table.get(name)
        if wanted is not None and not isinstance(wanted, dict):
            assert not parameter.searched
            assert parameter.default == wanted
        elif isinstance(wanted, dict):
            assert parameter.searched
            assert parameter.domain.check(parameter.default) == parameter.default
    assert definition.validation == study["validation"]
    assert definition.search.trials == study["search"]["trials"]


@FEW
@given(studies())
def test_baseline_is_inside_the_space_and_replays(study):
    definition = parse(study)
    config = definition.baseline("0" * 64, 7)
    for chosen, searched in (
        (config.architecture, definition.architecture),
        (config.augmentation, definition.augmentation),
    ):
        assert searched.spaces[chosen.name].check(chosen.parameters) == chosen.parameters
    assert definition.training.check(config.training) == config.training
    check_replays(definition, config)
    check_json(config)


@FEW
@given(studies(), st.integers(0, 2**32))
def test_random_trial_replays_and_survives_json(study, seed):
    definition = parse(study)
    config = definition.sample(UnitSuggester(random.Random(seed).random), "f" * 64, definition.seed_of(3))
    check_replays(definition, config)
    check_json(config)


@FEW
@given(studies())
def test_manifest_content_is_deterministic(study):
    one, other = parse(study), parse(study)
    assert json.dumps(one.space_as_json()) == json.dumps(other.space_as_json())
    assert json.loads(json.dumps(one.space_as_json())) == one.space_as_json()
    assert one.plugin_versions() == other.plugin_versions()
    assert one.baseline("", 0) == other.baseline("", 0)


@FEW
@given(studies())
def test_study_from_overrides_equals_study_from_file(study):
    overrides = [
        f"{table}.{key}={toml(value)}" for table, keys in study.items() for key, value in keys.items()
    ]
    from_file, from_line = parse(study), parse_study("", REGISTRY, "random", overrides=overrides)
    assert from_line.space_as_json() == from_file.space_as_json()
    assert from_line.baseline("", 0) == from_file.baseline("", 0)
    assert (from_line.search, from_line.objectives) == (from_file.search, from_file.objectives)


def test_strategy_covers_every_domain():
    kinds = {type(parameter.domain) for parameter in training_space().values()}
    kinds |= {type(parameter.domain) for parameter in REGISTRY.get("architecture", "conv_net").space.values()}
    assert kinds == {Int, Float, Choice, ClassWeights, List}
