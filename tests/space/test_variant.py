"""Variants: functions under another name with other defaults."""

from __future__ import annotations

from typing import Annotated

import pytest
from space_examples import conv_net

from zoo.errors import SpaceError
from zoo.space import Choice, Int, List, read_space, variant, variant_defaults

POSITIONAL = ("input_shape", "num_classes")


def scaled(factor, *, offset: int = 1):
    """Scale."""
    return factor * 10 + offset


def test_variant_has_its_own_name_description_and_defaults():
    small = variant(scaled, "small", "Scale a little.", offset=5)
    assert (small.__name__, small.__doc__) == ("small", "Scale a little.")
    assert small(1) == 15
    assert small(1, offset=2) == 12
    assert scaled(1) == 11


def test_variant_has_the_ranges_of_the_function():
    original = read_space(conv_net, positional=POSITIONAL)
    changed = read_space(variant(conv_net, "tiny", "Tiny.", dropout=0.5), positional=POSITIONAL)
    assert changed.defaults() == {**original.defaults(), "dropout": 0.5}
    assert [one.domain for one in changed.values()] == [one.domain for one in original.values()]


def test_changed_defaults_are_searched_only_with_a_table():
    space = read_space(variant(conv_net, "tiny", "Tiny.", dropout=0.5), positional=POSITIONAL)
    assert [one.name for one in space.values() if not one.searched] == ["dropout"]
    assert space.narrow({"dropout": {"high": 0.55}})["dropout"].searched


def test_variant_of_a_variant_keeps_other_defaults():
    first = variant(conv_net, "first", "First.", dropout=0.5, filters=(8, 8))
    second = variant(first, "second", "Second.", filters=(16, 16))
    defaults = read_space(second, positional=POSITIONAL).defaults()
    assert (defaults["dropout"], defaults["filters"]) == (0.5, (16, 16))


def test_unknown_keyword_is_rejected():
    with pytest.raises(SpaceError, match=r"tiny: conv_net has no keyword 'droput'.*dropout"):
        variant(conv_net, "tiny", "Tiny.", droput=0.5)


def stacked(
    input_shape,
    num_classes,
    *,
    filters: Annotated[tuple, List(Int(8, 64), length=(1, 3))] = (16,),
    kernels: Annotated[tuple, List(Choice(3, 5), same_length_as="filters")] = (3,),
):
    """Convolutions with a kernel size each."""


def test_fixed_following_list_needs_a_fixed_leader():
    with pytest.raises(SpaceError) as refused:
        read_space(variant(stacked, "wide", "Wide.", kernels=(5,)), positional=POSITIONAL)
    assert str(refused.value) == (
        "wide: parameter 'kernels': the variant changes its default, but not the default of 'filters', "
        "which sets its length; change both."
    )
    wide = variant(stacked, "wide", "Wide.", filters=(8, 8), kernels=(5, 5))
    space = read_space(wide, positional=POSITIONAL)
    assert space.narrow({}).defaults() == {"filters": (8, 8), "kernels": (5, 5)}


def test_default_outside_the_range_is_rejected_on_reading():
    with pytest.raises(SpaceError, match="outside its own range"):
        read_space(variant(conv_net, "wild", "Wild.", dropout=7.0), positional=POSITIONAL)


def test_variant_defaults_include_those_of_its_base():
    first = variant(conv_net, "first", "First.", dropout=0.5, filters=(8, 8))
    second = variant(first, "second", "Second.", filters=(16, 16))
    assert variant_defaults(second) == {"dropout": 0.5, "filters": (16, 16)}
    assert variant_defaults(first) == {"dropout": 0.5, "filters": (8, 8)}
    assert variant_defaults(conv_net) is None
