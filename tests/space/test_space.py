from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from shared_tools import run_python
from space_examples import Answers, Random, conv_net, members, spaces, tables

from zoo.errors import SpaceError
from zoo.space import REQUIRED, Choice, Float, Int, List, Parameter, Plain, Space, read_space

seeds = st.integers(0, 2**32)


def conv_space():
    return read_space(conv_net, positional=("input_shape", "num_classes"))


def as_text(space):
    """Return the text in a study's manifest, where every difference between two spaces must show."""
    return json.dumps(space.as_json())


def space_of(*parameters):
    return Space([Parameter(*parameter) for parameter in parameters])


# Properties of every space


@given(spaces(), seeds)
def test_sampled_values_pass_check(space, seed):
    values = space.sample(Random(seed))
    assert list(values) == list(space)
    assert space.check(values) == values


@given(spaces())
def test_defaults_pass_check_and_complete_missing_values(space):
    assert space.check(space.defaults()) == space.check({}) == space.defaults()


@given(spaces(), seeds)
def test_encoded_values_replay_exactly(space, seed):
    suggester = Random(seed)
    values = space.sample(suggester, "net.")
    replay = Answers(space.encode(values, "net."))
    assert space.sample(replay, "net.") == values
    assert replay.asked == replay.answers.keys() == suggester.asked.keys()


@given(spaces(), seeds)
def test_values_survive_json(space, seed):
    values = space.sample(Random(seed))
    again = space.check(json.loads(json.dumps(values)))
    assert again == values
    assert [type(value) for value in again.values()] == [type(value) for value in values.values()]


@given(spaces(), seeds)
def test_parallel_lists_have_equal_lengths(space, seed):
    for values in (space.sample(Random(seed)), space.defaults()):
        for name, parameter in space.items():
            if parameter.same_length_as is not None:
                assert len(values[name]) == len(values[parameter.same_length_as])


@given(spaces(), seeds)
def test_inactive_and_fixed_parameters_keep_their_default(space, seed):
    suggester = Random(seed)
    values = space.sample(suggester)
    active = space.active(values)
    asked = {name.partition(".")[0] for name in suggester.asked}
    for name, parameter in space.items():
        if name in active and parameter.searched:
            continue
        assert name not in asked
        expected = parameter.default
        if parameter.same_length_as is not None:
            expected = parameter.domain.resize(expected, len(values[parameter.same_length_as]))
        assert values[name] == expected


@given(spaces(), seeds)
def test_inactive_parameter_meets_no_condition(space, seed):
    values = space.sample(Random(seed))
    active = space.active(values)
    for name, parameter in space.items():
        met = [other in active and values[other] in wanted for other, wanted in _when(parameter)]
        assert (name in active) == all(met)


def _when(parameter):
    return (parameter.domain.when or {}).items()


@given(st.data(), spaces(), seeds)
def test_narrowed_space_stays_inside_the_original(data, space, seed):
    table = {}
    for name, parameter in space.items():
        if isinstance(parameter.domain, Plain):
            continue
        kind = data.draw(st.sampled_from(["unmentioned", "fix", "search"]))
        if kind == "fix" and parameter.same_length_as is None:
            table[name] = data.draw(members(parameter.domain))
        if kind == "search" or (parameter.same_length_as is not None and not parameter.searched):
            table[name] = data.draw(tables(parameter.domain))
    narrowed = space.narrow(table)
    values = narrowed.sample(Random(seed))
    assert space.check(values) == values
    for name, wanted in table.items():
        assert narrowed[name].searched == isinstance(wanted, dict)
        if not isinstance(wanted, dict):
            assert values[name] == wanted
    assert narrowed.check(narrowed.defaults()) == narrowed.defaults()
    for name in space.keys() - table.keys():
        assert narrowed[name] == space[name]


@given(one=spaces())
def test_equal_spaces_have_equal_json(one):
    assert as_text(Space(list(one.values()))) == as_text(one)


@given(st.data(), spaces(), seeds)
def test_different_spaces_have_different_json(data, space, seed):
    assume(len(space))
    name = data.draw(st.sampled_from(list(space)))
    parameter = space[name]
    changed = [
        [replace(one, name="other") if one is parameter else one for one in space.values()],
        [one for one in space.values() if one is not parameter],
        [*space.values(), Parameter("more", Int(1, 2), 1)],
    ]
    if not isinstance(parameter.domain, Plain):
        flipped = replace(parameter, searched=not parameter.searched)
        changed.append([flipped if one is parameter else one for one in space.values()])
    default = replace(parameter, default="a new default")
    changed.append([default if one is parameter else one for one in space.values()])
    for parameters in changed:
        assert as_text(Space(parameters)) != as_text(space)


# JSON, one difference at a time


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Int(1, 8), Int(1, 9)),
        (Int(1, 8), Int(2, 8)),
        (Int(1, 8), Int(1, 8, log=True)),
        (Int(1, 7), Int(1, 7, step=2)),
        (Int(1, 8), Float(1, 8)),
        (Int(1, 8), Int(1, 8, when={"a": 1})),
        (Int(1, 8, when={"a": 1}), Int(1, 8, when={"a": 2})),
        (Int(1, 8, when={"a": 1}), Int(1, 8, when={"b": 1})),
        (Choice(1, 2), Choice(2, 1)),
        (Choice(1, 2), Choice(1.0, 2.0)),
        (Choice(0, 2), Choice(False, 2)),
        (Choice("1"), Choice(1)),
        (List(Int(1, 8), 1), List(Int(1, 8), (1, 2))),
        (List(Int(1, 8), 1), List(Int(1, 9), 1)),
        (List(Int(1, 8), 1), List(Int(1, 8), same_length_as="a")),
        (List(Int(1, 8), same_length_as="a"), List(Int(1, 8), same_length_as="b")),
    ],
)
def test_different_domains_have_different_json(one, other):
    assert as_text(space_of(("p", one, None))) != as_text(space_of(("p", other, None)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Int(0, 9, step=3), Int(0, 10, step=3)),
        (Float(0, 1), Float(0.0, 1.0)),
        (List(Int(1, 2), 3), List(Int(1, 2), (3, 3))),
        (Int(1, 2, when={"a": 1, "b": 2}), Int(1, 2, when={"b": 2, "a": 1})),
        (Int(1, 2, when={"a": 1}), Int(1, 2, when={"a": (1,)})),
        (Int(1, 2, when={}), Int(1, 2)),
    ],
)
def test_equivalent_domains_have_equal_json(one, other):
    assert as_text(space_of(("p", one, None))) == as_text(space_of(("p", other, None)))


def test_order_of_parameters_shows_in_json():
    first, second = ("a", Int(1, 2), 1), ("b", Int(1, 2), 1)
    assert as_text(space_of(first, second)) != as_text(space_of(second, first))


def test_json_of_a_fixed_parameter_has_no_range():
    wide, small = space_of(("a", Int(1, 9), 1)), space_of(("a", Int(1, 3), 1))
    assert as_text(wide.narrow({"a": 2})) == as_text(small.narrow({"a": 2}))
    assert as_text(wide.narrow({"a": 2})) != as_text(wide.narrow({"a": 3}))


# A space with known results


def test_json_has_domains_defaults_and_fixed_values():
    assert conv_space().narrow({"dropout": 0.5}).as_json() == {
        "filters": {
            "kind": "list",
            "item": {"kind": "int", "low": 8, "high": 128, "step": 1, "log": True},
            "length": [1, 4],
            "default": [32, 64],
        },
        "kernel_size": {
            "kind": "list",
            "item": {"kind": "choice", "options": [3, 5]},
            "same_length_as": "filters",
            "default": [3, 3],
        },
        "pooling": {"kind": "choice", "options": ["max", "average", "none"], "default": "max"},
        "pool_size": {
            "kind": "int",
            "low": 2,
            "high": 4,
            "step": 1,
            "log": False,
            "when": {"pooling": ["max", "average"]},
            "default": 2,
        },
        "dropout": {"kind": "fixed", "value": 0.5},
    }


def test_sample_asks_for_prefixed_names():
    answers = {
        "conv_net.filters.length": 3,
        "conv_net.filters.0": 8,
        "conv_net.filters.1": 16,
        "conv_net.filters.2": 32,
        "conv_net.kernel_size.0": 5,
        "conv_net.kernel_size.1": 3,
        "conv_net.kernel_size.2": 3,
        "conv_net.pooling": "none",
        "conv_net.dropout": 0.5,
    }
    values = conv_space().sample(Answers(answers), "conv_net.")
    assert values == {
        "filters": (8, 16, 32),
        "kernel_size": (5, 3, 3),
        "pooling": "none",
        "pool_size": 2,
        "dropout": 0.5,
    }
    assert conv_space().encode(values, "conv_net.") == answers


def test_encode_accepts_values_from_json():
    space = conv_space().narrow({"filters": {"choices": [[8, 16], [32]]}})
    assert space.encode({"filters": [32], "pooling": "none"}) == {
        "filters": "[32]",
        "kernel_size.0": 3,
        "pooling": "none",
        "dropout": 0.25,
    }


def test_encode_rejects_values_outside_the_space():
    with pytest.raises(SpaceError, match=r"dropout: expected 0 … 0\.3, got 0\.5\."):
        conv_space().narrow({"dropout": {"high": 0.3}}).encode({"dropout": 0.5})


def test_suggestion_outside_the_range_is_rejected():
    with pytest.raises(SpaceError, match=r"expected 1 … 2, got 3\."):
        space_of(("a", Int(1, 2), 1)).sample(Answers({"a": 3}))


def test_conditions_chain():
    space = space_of(
        ("optimizer", Choice("adam", "sgd"), "sgd"),
        ("momentum", Float(0, 1, when={"optimizer": "sgd"}), 0.0),
        ("nesterov", Choice(True, False, when={"momentum": 0, "optimizer": "sgd"}), False),
        ("warm", Int(0, 1, when={"nesterov": (True, False)}), 0),
    )
    assert space.active(space.defaults()) == {"optimizer", "momentum", "nesterov", "warm"}
    assert space.active({**space.defaults(), "momentum": 0.5}) == {"optimizer", "momentum"}
    # With adam, momentum is 0.0, but it is inactive and meets no condition.
    assert space.sample(Answers({"optimizer": "adam"})) == {
        "optimizer": "adam",
        "momentum": 0.0,
        "nesterov": False,
        "warm": 0,
    }


def test_condition_distinguishes_true_from_one():
    space = space_of(("a", Choice(False, 2), False), ("b", Int(1, 2, when={"a": 0}), 1))
    assert space.active(space.defaults()) == {"a"}


def test_empty_following_list_is_filled_with_lowest_value():
    space = space_of(
        ("widths", List(Int(1, 9), (0, 3)), ()),
        ("sides", List(Choice(3, 5), same_length_as="widths"), (), False),
        ("rates", List(Float(0.5, 1, when=None), same_length_as="widths", when={"sides": ((9,),)}), ()),
    )
    assert space.check({"widths": [4, 4]}) == {"widths": (4, 4), "sides": (3, 3), "rates": (0.5, 0.5)}
    answers = {"widths.length": 1, "widths.0": 4}
    assert space.sample(Answers(answers)) == {"widths": (4,), "sides": (3,), "rates": (0.5,)}


def test_check_resizes_a_missing_following_list():
    assert conv_space().check({"filters": [8, 8, 8]})["kernel_size"] == (3, 3, 3)
    assert conv_space().check({"filters": [8]})["kernel_size"] == (3,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dropuot": 0.5}, r"there is no parameter 'dropuot'\. Did you mean 'dropout'\?"),
        ({"dropout": 0.7}, r"dropout: expected 0 … 0\.6, got 0\.7\. Did you mean 0\.6\?"),
        ({"filters": [8, 200]}, r"filters: expected 8 … 128 \(log\), got 200\. Did you mean 128\?"),
        (
            {"kernel_size": [3]},
            r"kernel_size: expected as many items as 'filters' has \(2\), got \[3\]\.",
        ),
        ({"filters": [8], "kernel_size": [3, 3]}, r"as many items as 'filters' has \(1\)"),
    ],
)
def test_space_check_rejects_invalid_values(values, message):
    with pytest.raises(SpaceError, match=message):
        conv_space().check(values)


# Narrowing


def test_value_fixes_and_table_searches():
    narrowed = conv_space().narrow({"dropout": 0.1, "filters": {"low": 16, "high": 64, "length": 3}})
    assert narrowed["dropout"] == Parameter("dropout", Float(0, 0.6), 0.1, searched=False)
    assert narrowed["filters"].domain == List(Int(16, 64, log=True), 3)
    assert narrowed["pooling"] == conv_space()["pooling"]
    assert narrowed.defaults() == {
        "filters": (32, 64, 64),
        "kernel_size": (3, 3, 3),
        "pooling": "max",
        "pool_size": 2,
        "dropout": 0.1,
    }


def test_default_outside_the_narrowed_range_is_clipped():
    narrowed = conv_space().narrow({"dropout": {"low": 0.4}, "pooling": {"choices": ["none", "average"]}})
    assert (narrowed["dropout"].default, narrowed["pooling"].default) == (0.4, "none")


def test_setting_with_a_table_is_searched():
    space = space_of(("epochs", Int(1, 1000), 12, False))
    assert space.sample(Answers({})) == {"epochs": 12}
    assert space.narrow({"epochs": 5}).sample(Answers({})) == {"epochs": 5}
    assert space.narrow({"epochs": {"high": 20}}).sample(Answers({"epochs": 20})) == {"epochs": 20}


def test_narrowed_space_can_be_narrowed_again():
    once = conv_space().narrow({"filters": {"choices": [[8], [16, 16]]}, "dropout": {"high": 0.5}})
    twice = once.narrow({"filters": {"choices": [[8]]}, "dropout": 0.5})
    assert twice.defaults()["filters"] == (8,)
    with pytest.raises(SpaceError, match=r"filters: expected \[8\] \| \[16, 16\], got \[9\]\."):
        once.narrow({"filters": [9]})
    with pytest.raises(SpaceError, match=r"dropout: expected 0 … 0\.5, got 0\.6"):
        once.narrow({"dropout": 0.6})


@pytest.mark.parametrize(
    "table",
    [
        {"filters": [8, 8, 8], "kernel_size": [3, 5, 3]},
        {"filters": {"length": 3}, "kernel_size": [3, 5, 3]},
        {"filters": {"choices": [[8, 8, 8], [9, 9, 9]]}, "kernel_size": [3, 5, 3]},
    ],
)
def test_fixed_following_list_with_equal_length_is_accepted(table):
    assert conv_space().narrow(table).sample(Random(0))["kernel_size"] == (3, 5, 3)


@pytest.mark.parametrize(
    "filters",
    [{}, {"filters": [8, 8]}, {"filters": {"length": [3, 4]}}, {"filters": {"choices": [[8, 8, 8], [9]]}}],
)
def test_fixed_following_list_with_other_length_is_rejected(filters):
    message = (
        r"kernel_size: it has the length of 'filters', so fix 'filters' to 3 items too, or search both\."
    )
    with pytest.raises(SpaceError, match=message):
        conv_space().narrow({**filters, "kernel_size": [3, 5, 3]})


def test_fixed_list_can_follow_a_following_list():
    follower = List(Int(1, 9), same_length_as="a")
    space = space_of(
        ("a", List(Int(1, 9), (1, 2)), (1,)),
        ("b", follower, (1,)),
        ("c", replace(follower, same_length_as="b"), (1,)),
    )
    assert space.narrow({"a": {"length": 2}, "c": [1, 2]}).sample(Random(0))["c"] == (1, 2)
    with pytest.raises(SpaceError, match="c: it has the length of 'b', so fix 'b' to 2 items too"):
        space.narrow({"c": [1, 2]})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"dropuot": 0.5}, r"there is no parameter 'dropuot'\. Did you mean 'dropout'\?"),
        ({"dropout": 0.7}, r"dropout: expected 0 … 0\.6, got 0\.7\."),
        ({"dropout": [0.1]}, r"dropout: expected 0 … 0\.6, got \[0\.1\]\."),
        ({"dropout": {}}, r"dropout: the table is empty; expected low, high or choices inside 0 … 0\.6\."),
        ({"dropout": {"high": 0.9}}, r"dropout: expected a range inside 0 … 0\.6, got 0\.0 … 0\.9\."),
        ({"pooling": {"choices": []}}, r"pooling: choices must be a list with at least one value"),
        ({"pooling": "maxx"}, r'pooling: expected .* got "maxx"\. Did you mean "max"\?'),
    ],
)
def test_space_rejects_invalid_tables(table, message):
    with pytest.raises(SpaceError, match=message):
        conv_space().narrow(table)


# Required parameters


def test_required_parameter_without_value_is_rejected():
    space = space_of(("path", Plain((str,)), REQUIRED, False), ("size", Int(1, 9), 3))
    message = r"'path' has no default; give it a value: str\."
    for demand in (space.defaults, lambda: space.check({}), lambda: space.sample(Random(0))):
        with pytest.raises(SpaceError, match=message):
            demand()
    with pytest.raises(SpaceError, match=message):
        space.narrow({"size": 3})
    assert space.check({"path": "here"}) == {"path": "here", "size": 3}
    given_path = space.narrow({"path": "here"})
    assert given_path.defaults() == {"path": "here", "size": 3}
    assert as_text(given_path) != as_text(space)
    assert space.as_json()["path"] == {"kind": "plain", "types": ["str"]}


def test_space_is_a_mapping():
    space = conv_space()
    assert len(space) == 5
    assert "filters" in space
    assert space == conv_space()
    assert space != space.narrow({"dropout": 0.1})
    assert repr(Space([])) == "Space([])"
    assert Space().defaults() == {}


# Optuna and imports


def test_optuna_samples_and_replays_without_warnings():
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = space_of(
        *[(name, one.domain, one.default) for name, one in conv_space().items()],
        ("step", Int(0, 10, step=3), 3),
        ("grid", Float(0.1, 1, step=0.2), 0.3),
        ("rate", Float(1e-5, 1, log=True), 1e-3),
        ("shape", Choice(None, True, 2, 0.5, "a"), None),
    ).narrow({"filters": {"choices": [[8, 16], [32], [8, 8, 8]]}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.enqueue_trial(space.encode(space.defaults()))
        assert space.sample(study.ask()) == space.defaults()
        for _ in range(20):
            trial = study.ask()
            values = space.sample(trial)
            assert space.check(values) == values
            assert space.encode(values).keys() == trial.params.keys()
            study.enqueue_trial(space.encode(values))
            assert space.sample(study.ask()) == values


def test_space_imports_only_the_standard_library():
    program = """if True:
        import sys
        before = set(sys.modules)
        import zoo.space
        names = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(sorted(names - set(sys.stdlib_module_names) - {"zoo"}))
    """
    root = Path(__file__).parents[2]
    assert run_python("-c", program, cwd=root).stdout.strip() == "[]"
