from __future__ import annotations

import json
import math
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from space_examples import (
    Answers,
    Drawn,
    Random,
    choices,
    floats,
    ints,
    items,
    lists,
    members,
    scalars,
    tables,
)

from zoo.errors import SpaceError
from zoo.space import Choice, Float, Int, List, Plain, Setting

domains = items | lists()


# Properties of every domain


@given(st.data(), domains)
def test_sampled_value_is_a_member_and_unchanged_by_clip(data, domain):
    value = domain.sample("x", Drawn(data.draw))
    assert domain.check(value) == value
    assert domain.clip(value) == value


@given(st.data(), domains)
def test_encode_makes_sample_return_the_value(data, domain):
    suggester = Drawn(data.draw)
    value = domain.sample("x", suggester)
    answers = domain.encode("x", value)
    assert answers.keys() == suggester.asked.keys()
    assert domain.sample("x", Answers(answers)) == value


@given(st.data(), domains)
def test_member_survives_json(data, domain):
    value = data.draw(members(domain))
    again = domain.check(json.loads(json.dumps(value)))
    assert again == value
    assert type(again) is type(value)


@given(st.data(), domains)
def test_narrowed_domain_stays_inside_the_original(data, domain):
    narrowed = domain.narrow(data.draw(tables(domain)))
    value = data.draw(members(narrowed))
    assert domain.check(value) == value
    clipped = narrowed.clip(data.draw(members(domain)))
    assert narrowed.check(clipped) == clipped


@given(items)
def test_listed_values_are_members_and_differ(domain):
    values = domain.values()
    if values is not None:
        assert [domain.check(value) for value in values] == list(values)
        assert len(set(values)) == len(values)


@given(domains)
def test_domain_has_json_and_text_and_pickles(domain):
    json.dumps(domain.as_json())
    assert str(domain)
    assert pickle.loads(pickle.dumps(domain)) == domain


@given(ints() | floats(), st.integers(-500, 500) | st.floats(-1e9, 1e9))
def test_clip_finds_the_nearest_member(domain, value):
    if isinstance(domain, Int):
        value = round(value)
    clipped = domain.clip(value)
    assert domain.check(clipped) == clipped
    if domain.values() is not None:
        assert abs(clipped - value) <= min(abs(one - value) for one in domain.values()) * (1 + 1e-9) + 1e-9


@given(items, scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(), scalars, max_size=1))
def test_check_returns_or_raises_a_one_line_space_error(domain, value):
    try:
        checked = domain.check(value)
    except SpaceError as error:
        message = str(error)
    else:
        message = f"expected {checked}."
    assert re.fullmatch(r"expected .*[.?]", message)


# Int


def test_int_bounds_are_inclusive():
    assert [Int(2, 4).check(value) for value in (2, 3, 4)] == [2, 3, 4]
    assert list(Int(2, 4).values()) == [2, 3, 4]


def test_int_high_falls_on_a_step():
    assert Int(0, 10, step=3) == Int(0, 9, step=3)
    assert Int(0, 10, step=3).clip(100) == 9
    assert Int(5, 8, step=9) == Int(5, 5, step=9)


def test_int_passes_its_range_to_the_suggester():
    calls = []

    class Recording(Random):
        def suggest_int(self, name, low, high, *, step=1, log=False):
            calls.append((name, low, high, step, log))
            return low

    Int(8, 128, log=True).sample("filters", Recording(0))
    Int(0, 10, step=3).sample("depth", Recording(0))
    assert calls == [("filters", 8, 128, 1, True), ("depth", 0, 9, 3, False)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (200, r"expected 8 … 128 \(step 8\), got 200\. Did you mean 128\?"),
        (-1, r"Did you mean 8\?"),
        (13, r"Did you mean 16\?"),
        (16.0, r"got 16\.0\. Did you mean 16\?"),
        (True, r"got true\.$"),
        ("16", r'got "16"\.$'),
        (None, r"got null\.$"),
        ([16], r"got \[16\]\.$"),
        (math.nan, r"got NaN\.$"),
        ({1, 2}, r"got \{1, 2\}\.$"),
    ],
)
def test_int_check_rejects_other_values(value, message):
    with pytest.raises(SpaceError, match=message):
        Int(8, 128, step=8).check(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Int(1.0, 2), r"Int: low must be an integer, got 1\.0\."),
        (lambda: Int(1, "2"), r'Int: high must be an integer, got "2"\.'),
        (lambda: Int(True, 2), r"Int: low must be an integer, got true\."),
        (lambda: Int(1, 2, step=0.5), r"Int: step must be an integer, got 0\.5\."),
        (lambda: Int(1, 2, step=0), r"Int: step must be > 0, got 0\."),
        (lambda: Int(3, 2), r"Int needs low <= high, got low=3 and high=2\."),
        (lambda: Int(1, 2, log=1), r"Int: log must be true or false, got 1\."),
        (lambda: Int(0, 2, log=True), r"Int with log=True needs low > 0, got low=0\."),
        (lambda: Int(1, 9, log=True, step=2), r"Int takes either log or step, .* log=True and step=2\."),
    ],
)
def test_invalid_int_is_rejected(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


@pytest.mark.parametrize(
    ("domain", "table", "narrowed"),
    [
        (Int(8, 128), {"low": 16}, Int(16, 128)),
        (Int(8, 128, log=True), {"low": 16, "high": 64}, Int(16, 64, log=True)),
        (Int(8, 128, log=True), {"log": False}, Int(8, 128)),
        (Int(8, 128), {"log": True}, Int(8, 128, log=True)),
        (Int(8, 128, log=True), {"step": 8}, Int(8, 128, step=8)),
        (Int(8, 128, step=8), {"low": 16, "step": 16}, Int(16, 128, step=16)),
        (Int(8, 128, step=8), {"high": 60}, Int(8, 56, step=8)),
        (Int(8, 128), {"choices": [32, 16]}, Choice(32, 16)),
        (Int(1, 2, when={"a": 1}), {"high": 1}, Int(1, 1, when={"a": 1})),
        (Int(1, 2, when={"a": 1}), {"choices": [1]}, Choice(1, when={"a": 1})),
    ],
)
def test_int_narrows_to_a_table(domain, table, narrowed):
    assert domain.narrow(table) == narrowed


@pytest.mark.parametrize(
    ("domain", "table", "message"),
    [
        (Int(8, 128), {"high": 200}, r"expected a range inside 8 … 128, got 8 … 200\."),
        (Int(8, 128), {"low": 4}, r"expected a range inside 8 … 128, got 4 … 128\."),
        (Int(8, 128), {"low": 64, "high": 32}, r"expected low <= high, got low = 64 and high = 32; exchange"),
        (Int(8, 128), {"low": 200}, r"expected a range inside 8 … 128, got 200 … 128\."),
        (Int(8, 128), {"high": 200, "step": 200}, r"expected a range inside 8 … 128, got 8 … 200\."),
        (Int(8, 128), {"high": 64.0}, r"Int: high must be an integer, got 64\.0\."),
        (Int(8, 128), {"low": None}, r"Int: low must be an integer, got null\."),
        (Int(8, 128), {"hihg": 64}, r"no such key 'hihg' in a range\. Did you mean 'high'\?"),
        (Int(8, 128), {"log": "yes"}, r'Int: log must be true or false, got "yes"\.'),
        (
            Int(8, 128, step=8),
            {"low": 12},
            r"expected only values of 8 … 128 \(step 8\), got 12 … 124",
        ),
        (
            Int(8, 128, step=8),
            {"step": 4},
            r"expected only values of .* got 8 … 128 \(step 4\); change low or step\.",
        ),
        (Int(8, 128, step=8), {"log": True}, r"Int takes either log or step"),
        (Int(8, 128), {"choices": [8, 200]}, r"expected 8 … 128, got 200\. Did you mean 128\?"),
        (Int(8, 128), {"choices": [8, 8]}, r"choices must differ, but 8 equals 8; remove one of them\."),
        (Int(8, 128), {"choices": []}, r"choices must be a list with at least one value, got \[\]\."),
        (Int(8, 128), {"choices": 8}, r"choices must be a list with at least one value, got 8\."),
        (
            Int(8, 128),
            {"choices": [8], "low": 1},
            r"choices cannot be combined with low; remove one of them\.",
        ),
    ],
)
def test_int_rejects_invalid_tables(domain, table, message):
    with pytest.raises(SpaceError, match=message):
        domain.narrow(table)


# Float


def test_float_bounds_are_inclusive_and_accept_integers():
    assert [Float(0, 1).check(value) for value in (0, 0.5, 1)] == [0.0, 0.5, 1.0]
    assert type(Float(0, 1).check(1)) is float
    assert Float(0, 1) == Float(0.0, 1.0)


def test_float_steps_are_decimals():
    assert list(Float(0.1, 0.8, step=0.1).values()) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert Float(0.1, 0.9, step=0.1).check(0.1 + 2 * 0.1) == 0.3
    assert Float(0.0, 0.3, step=0.1).check(3 * 0.1) == 0.3
    assert list(Float(1e-05, 3e-05, step=1e-05).values()) == [1e-05, 2e-05, 3e-05]


def test_float_high_falls_on_a_step():
    assert Float(0, 1, step=0.3) == Float(0, 0.9, step=0.3)
    assert Float(0, 1, step=2) == Float(0, 0, step=2)


def test_float_without_step_lists_no_values():
    assert Float(0, 1).values() is None
    assert Float(0.5, 0.5).values() == [0.5]


def test_float_values_are_computed_on_access():
    values = Float(0, 1, step=1e-12).values()
    assert len(values) == 10**12 + 1
    assert (values[3], values[-1], values[1:3]) == (3e-12, 1.0, [1e-12, 2e-12])
    with pytest.raises(IndexError):
        values[10**13]


def test_float_text_is_short_and_exact():
    assert str(Float(1e-5, 0.1, log=True)) == "1e-05 … 0.1 (log)"
    assert str(Float(0, 1_000_001)) == "0 … 1000001"
    assert str(Float(0, 1, step=0.25)) == "0 … 1 (step 0.25)"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.01, r"expected 0 … 1 \(step 0\.1\), got 1\.01\. Did you mean 1\.0\?"),
        (0.25, r"Did you mean 0\.2\?"),
        (-3, r"got -3\. Did you mean 0\.0\?"),
        (math.nan, r"got NaN\.$"),
        (math.inf, r"got Infinity\.$"),
        (10**400, r"got 1000"),
        (False, r"got false\.$"),
        ("0.5", r'got "0\.5"\.$'),
    ],
)
def test_float_check_rejects_other_values(value, message):
    with pytest.raises(SpaceError, match=message):
        Float(0, 1, step=0.1).check(value)


def test_float_check_rejects_the_next_float_above_high():
    with pytest.raises(SpaceError, match="expected 0 … 1"):
        Float(0, 1).check(math.nextafter(1, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float("0", 1), r'Float: low must be a finite number, got "0"\.'),
        (lambda: Float(0, math.inf), r"Float: high must be a finite number, got Infinity\."),
        (lambda: Float(math.nan, 1), r"Float: low must be a finite number, got NaN\."),
        (lambda: Float(0, True), r"Float: high must be a finite number, got true\."),
        (lambda: Float(0, None), r"Float: high must be a finite number, got null\."),
        (lambda: Float(0, 1, step="a"), r'Float: step must be a finite number, got "a"\.'),
        (lambda: Float(0, 1, step=0), r"Float: step must be > 0, got 0\.0\."),
        (lambda: Float(1, 0), r"Float needs low <= high, got low=1\.0 and high=0\.0\."),
        (lambda: Float(0, 1, log=True), r"Float with log=True needs low > 0, got low=0\.0\."),
        (lambda: Float(1, 2, log="no"), r'Float: log must be true or false, got "no"\.'),
        (lambda: Float(1, 2, log=True, step=1), r"Float takes either log or step, .* step=1\.0\."),
    ],
)
def test_invalid_float_is_rejected(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


@pytest.mark.parametrize(
    ("domain", "table", "narrowed"),
    [
        (Float(0, 1), {"low": 0.5}, Float(0.5, 1)),
        (Float(1e-5, 1, log=True), {"high": 0.1}, Float(1e-5, 0.1, log=True)),
        (Float(1e-5, 1), {"log": True}, Float(1e-5, 1, log=True)),
        (Float(0.1, 1, log=True), {"step": 0.1}, Float(0.1, 1, step=0.1)),
        (Float(0, 1, step=0.1), {"low": 0.3}, Float(0.3, 1, step=0.1)),
        (Float(0, 1, step=0.1), {"step": 0.3}, Float(0, 0.9, step=0.3)),
        (Float(0, 1), {"choices": [0, 0.5]}, Choice(0.0, 0.5)),
    ],
)
def test_float_narrows_to_a_table(domain, table, narrowed):
    assert domain.narrow(table) == narrowed


@pytest.mark.parametrize(
    ("domain", "table", "message"),
    [
        (Float(0, 0.6), {"high": 0.7}, r"expected a range inside 0 … 0\.6, got 0\.0 … 0\.7\."),
        (
            Float(0, 1, step=0.1),
            {"low": 0.05},
            r"expected only values of 0 … 1 \(step 0\.1\)",
        ),
        (
            Float(0, 1, step=0.1),
            {"step": 0.15},
            r"expected only values of 0 … 1 \(step 0\.1\)",
        ),
        (
            Float(0, 1, step=0.1),
            {"step": None},
            r"expected only values of 0 … 1 \(step 0\.1\)",
        ),
        (Float(0, 1), {"log": True}, r"Float with log=True needs low > 0"),
        (Float(0, 1), {"low": math.nan}, r"Float: low must be a finite number, got NaN\."),
        (Float(0, 1), {"length": 2}, r"no such key 'length' in a range\. Available: choices, high,"),
    ],
)
def test_float_rejects_invalid_tables(domain, table, message):
    with pytest.raises(SpaceError, match=message):
        domain.narrow(table)


# Choice


def test_choice_check_returns_the_option_with_its_type():
    assert type(Choice(1.0, 2.0).check(1)) is float
    assert type(Choice(1, 2).check(1.0)) is int
    assert Choice(True, 3).check(True) is True
    assert Choice(None, "a").check(None) is None
    assert Choice(3, 5).clip(4) == 3


@pytest.mark.parametrize(
    ("domain", "value", "message"),
    [
        (Choice("adam", "sgd"), "adma", r'expected "adam" \| "sgd", got "adma"\. Did you mean "adam"\?'),
        (Choice("adam", "sgd"), "x", r'got "x"\.$'),
        (Choice(3, 5), "3", r'expected 3 \| 5, got "3"\. Did you mean 3\?'),
        (Choice(0, 1), True, r"expected 0 \| 1, got true\."),
        (Choice(True, False), 1, r"expected true \| false, got 1\."),
        (Choice(True, False), "true", r'got "true"\. Did you mean true\?'),
    ],
)
def test_choice_check_rejects_other_values(domain, value, message):
    with pytest.raises(SpaceError, match=message):
        domain.check(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice(), r"Choice needs at least one option, got none\."),
        (
            lambda: Choice([3, 5]),
            r"Choice takes strings, numbers, booleans or None, got \[3, 5\]; write Choice\(3, 5\)\.",
        ),
        (lambda: Choice(math.nan), r"Choice takes strings, numbers, booleans or None, got NaN\."),
        (lambda: Choice("a", "b", "a"), r'choices must differ, but "a" equals "a"; remove one of them\.'),
        (lambda: Choice(1, True), r"choices must differ, but 1 equals true; remove one of them\."),
        (lambda: Choice(1, 1.0), r"choices must differ, but 1 equals 1\.0; remove one of them\."),
        (lambda: Choice("a").narrow({"low": 1}), r'expected choices = \[…\] with values from "a", got low\.'),
        (lambda: Choice("a").narrow({"choices": ["b"]}), r'expected "a", got "b"\.'),
        (
            lambda: Choice("a").narrow({"choices": "a"}),
            r'choices must be a list with at least one value, got "a"\.',
        ),
    ],
)
def test_invalid_choice_is_rejected(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


# List


def test_list_check_returns_tuples():
    domain = List(Int(8, 128), (1, 2))
    assert domain.check([8, 128]) == (8, 128)
    assert List(Int(1, 2), 3) == List(Int(1, 2), (3, 3)) == List(Int(1, 2), [3, 3])
    assert domain.values() is None


def test_fixed_length_is_not_suggested():
    suggester = Random(0)
    assert len(List(Int(1, 9), 2).sample("sides", suggester)) == 2
    assert suggester.asked.keys() == {"sides.0", "sides.1"}


@pytest.mark.parametrize(
    ("value", "clipped"),
    [
        ((1, 999, 64), (8, 128, 64)),
        ((16,), (16, 16)),
        ((), (8, 8)),
        ((9, 10, 11, 12), (9, 10, 11)),
    ],
)
def test_list_clips_its_items_then_its_length(value, clipped):
    assert List(Int(8, 128), (2, 3)).clip(value) == clipped


def test_empty_list_is_filled_with_a_member():
    assert List(Float(0.5, 1.0), 2).clip(()) == (0.5, 0.5)
    assert List(Choice("a", "b"), 1).clip(()) == ("a",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (32, r"expected a list of 1 … 3 items, each 8 … 128, got 32\. Did you mean \[32\]\?"),
        ("ab", r'expected a list of .* got "ab"\.$'),
        (300, r"expected a list of .* got 300\.$"),
        ([], r"expected 1 … 3 items, got 0: \[\]\."),
        ([8, 8, 8, 8], r"expected 1 … 3 items, got 4: \[8, 8, 8, 8\]\."),
        ([8, 200], r"expected 8 … 128, got 200\. Did you mean 128\?"),
    ],
)
def test_list_check_rejects_other_values(value, message):
    with pytest.raises(SpaceError, match=message):
        List(Int(8, 128), (1, 3)).check(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: List(3, (1, 2)), r"List: item must be an Int, Float or Choice, got 3\."),
        (lambda: List(List(Int(1, 2), 1), 1), r"List: item must be an Int, Float or Choice, got List\("),
        (
            lambda: List(Int(1, 2, when={"a": 1}), 1),
            r"List: its item has a `when` condition; write `when` in the List",
        ),
        (lambda: List(Int(1, 2)), r"List takes either length=\(low, high\) or same_length_as="),
        (lambda: List(Int(1, 2), 1, same_length_as="a"), r"List takes either length"),
        (
            lambda: List(Int(1, 2), (2, 1)),
            r"length must be \(low, high\) with 0 <= low <= high, got \[2, 1\]",
        ),
        (lambda: List(Int(1, 2), (-1, 1)), r"length must be \(low, high\) .* got \[-1, 1\]\."),
        (lambda: List(Int(1, 2), (1, 2, 3)), r"length must be \(low, high\) .* got \[1, 2, 3\]\."),
        (lambda: List(Int(1, 2), (1, 2.0)), r"length must be \(low, high\) .* got \[1, 2\.0\]\."),
        (lambda: List(Int(1, 2), "12"), r'length must be \(low, high\) .* got "12"\.'),
    ],
)
def test_invalid_list_is_rejected(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


FILTERS = List(Int(8, 128), (1, 4))


@pytest.mark.parametrize(
    ("table", "narrowed"),
    [
        ({"low": 16}, List(Int(16, 128), (1, 4))),
        ({"length": [2, 3]}, List(Int(8, 128), (2, 3))),
        ({"length": 2, "high": 64}, List(Int(8, 64), (2, 2))),
        ({"length": {"high": 2}}, List(Int(8, 128), (1, 2))),
        ({"length": {"low": 2}}, List(Int(8, 128), (2, 4))),
        ({"choices": [8, 16]}, List(Choice(8, 16), (1, 4))),
        ({"choices": [8, 16], "length": 1}, List(Choice(8, 16), (1, 1))),
    ],
)
def test_list_narrows_to_a_table(table, narrowed):
    assert FILTERS.narrow(table) == narrowed


def test_whole_lists_can_be_choices():
    narrowed = FILTERS.narrow({"choices": [[32, 64], [16]]})
    assert narrowed.values() == ((32, 64), (16,))
    assert narrowed.check([16]) == (16,)
    assert narrowed.encode("filters", [32, 64]) == {"filters": "[32, 64]"}
    assert narrowed.sample("filters", Answers({"filters": "[32, 64]"})) == (32, 64)
    assert narrowed.as_json() == {"kind": "choice", "options": [[32, 64], [16]]}


@pytest.mark.parametrize(
    ("domain", "table", "message"),
    [
        (FILTERS, {"low": 4}, r"expected a range inside 8 … 128, got 4 … 128\."),
        (FILTERS, {"length": 5}, r"expected a length inside 1 … 4, got 5 … 5\."),
        (FILTERS, {"length": [0, 2]}, r"expected a length inside 1 … 4, got 0 … 2\."),
        (FILTERS, {"length": {"low": 5}}, r"expected a length inside 1 … 4, got low = 5\."),
        (FILTERS, {"length": {"low": 3, "high": 2}}, r"with 0 <= low <= high, got \[3, 2\]"),
        (FILTERS, {"length": "2"}, r'length must be \(low, high\) .* got "2"\.'),
        (FILTERS, {"length": {"hi": 2}}, r"no such key 'hi' in a range\. Did you mean 'high'\?"),
        (FILTERS, {"lenght": 2}, r"no such key 'lenght' in a range\. Did you mean 'length'\?"),
        (FILTERS, {"choices": [[8], [200]]}, r"expected 8 … 128, got 200\."),
        (FILTERS, {"choices": [[8], 8]}, r"expected a list of 1 … 4 items, .* got 8\."),
        (
            FILTERS,
            {"choices": [[8]], "length": 1},
            r"choices cannot be combined with length; remove one of them\.",
        ),
        (FILTERS, {"choices": [8], "low": 8}, r"choices cannot be combined with low; remove one of them\."),
        (FILTERS, {"choices": []}, r"choices must be a list with at least one value, got \[\]\."),
        (
            List(Int(1, 2), same_length_as="filters"),
            {"length": 2},
            r"the list has the length of 'filters'; set the length of 'filters' instead\.",
        ),
        (
            List(Int(1, 2), same_length_as="filters"),
            {"choices": [[1], [2]]},
            r"expected choices for one item, got lists; 'filters' sets the length\.",
        ),
        (List(Choice(3, 5), 1), {"low": 3}, r"expected choices = \[…\] with values from 3 \| 5, got low\."),
    ],
)
def test_list_rejects_invalid_tables(domain, table, message):
    with pytest.raises(SpaceError, match=message):
        domain.narrow(table)


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (List(Int(8, 128, log=True), (1, 4)), "1 … 4 items, each 8 … 128 (log)"),
        (List(Int(8, 128), 2), "2 items, each 8 … 128"),
        (List(Int(8, 128), 1), "1 item, each 8 … 128"),
        (List(Choice(3, 5), same_length_as="filters"), "as many items as 'filters', each 3 | 5"),
    ],
)
def test_list_text_has_length_and_items(domain, text):
    assert str(domain) == text


# Plain and Setting


@pytest.mark.parametrize(
    ("types", "value", "checked"),
    [
        ((str,), "a path", "a path"),
        ((str, type(None)), None, None),
        ((bool,), True, True),
        ((int,), 3, 3),
        ((float,), 3, 3.0),
        ((int, float), 3, 3),
        ((tuple,), [[1, 2], [3]], ((1, 2), (3,))),
        ((list,), (1, 2), (1, 2)),
        ((list[int],), [1, 2], (1, 2)),
        ((list[float],), [1, 2.5], (1.0, 2.5)),
        ((int, list[int | None]), [28, None], (28, None)),
        ((tuple[int, ...],), [1, 2, 3], (1, 2, 3)),
        ((tuple[int],), [1, 2], (1, 2)),
        ((tuple[int, str],), [1, "a"], (1, "a")),
        ((list[complex],), ["not checked"], ("not checked",)),
    ],
)
def test_plain_check_accepts_its_types(types, value, checked):
    again = Plain(types).check(value)
    assert again == checked
    assert type(again) is type(checked)
    assert Plain(types).clip(value) == value
    assert Plain(types).values() is None


@pytest.mark.parametrize(
    ("types", "value", "message"),
    [
        ((str,), 3, r"expected str, got 3\."),
        ((str, type(None)), True, r"expected str or None, got true\."),
        ((int,), True, r"expected int, got true\."),
        ((int,), 3.0, r"expected int, got 3\.0\."),
        ((str,), None, r"expected str, got null\."),
        ((float,), 10**400, r"expected float, got 1000"),
        ((float,), math.nan, r"expected float, got NaN\."),
        ((int, float), -math.inf, r"expected int or float, got -Infinity\."),
        ((list,), [1.0, [math.nan]], r"expected list, got \[1\.0, \[NaN\]\]\."),
        ((str,), ["a"], r'expected str, got \["a"\]\.'),
        ((tuple,), "ab", r'expected tuple, got "ab"\.'),
        ((tuple,), [object()], r"expected tuple, got \[<object"),
        ((list[int],), [1, "a"], r'expected list\[int\], got \[1, "a"\]\.'),
        ((list[int], type(None)), [True], r"expected list\[int\] or None, got \[true\]\."),
        ((tuple[int, int],), [28], r"expected tuple\[int, int\], got \[28\]\."),
        ((list[list[int]],), [[1], ["a"]], r"expected list\[list\[int\]\], got "),
    ],
)
def test_plain_check_rejects_other_types(types, value, message):
    with pytest.raises(SpaceError, match=message):
        Plain(types).check(value)


def test_plain_cannot_be_searched():
    with pytest.raises(
        SpaceError, match=r"it cannot be searched: expected str, got a table; write one value\."
    ):
        Plain((str,)).narrow({"choices": ["a"]})


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (3, r"Setting takes an Int, Float, Choice or List, got 3\."),
        (Int, r"Setting takes an Int, Float, Choice or List, got <class"),
        (List(Int(1, 2), same_length_as="a"), r"Setting takes no List with same_length_as"),
    ],
)
def test_invalid_setting_is_rejected(domain, message):
    with pytest.raises(SpaceError, match=message):
        Setting(domain)


@given(choices, scalars)
def test_choice_check_accepts_exactly_its_options(domain, value):
    held = any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in domain.options)
    if held:
        assert domain.check(value) == value
    else:
        with pytest.raises(SpaceError, match="expected"):
            domain.check(value)
