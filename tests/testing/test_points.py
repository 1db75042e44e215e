import random
from typing import Annotated

import pytest

from zoo import Choice, Float, Int, List
from zoo.errors import SpaceError
from zoo.space import Setting, read_space
from zoo.testing._points import (
    UnitSuggester,
    far_corners,
    opened,
    sampled,
    single_ends,
    unseen,
    without_defaults,
)


def function(
    *,
    whole: Annotated[int, Int(2, 11, step=3)] = 5,
    log: Annotated[int, Int(1, 1000, log=True)] = 10,
    grid: Annotated[float, Float(0, 1, step=0.25)] = 0.5,
    rate: Annotated[float, Float(1e-5, 1, log=True)] = 1e-3,
    kind: Annotated[str, Choice("a", "b")] = "a",
): ...


def conditional(
    *,
    filters: Annotated[tuple, List(Int(8, 64), length=(1, 3))] = (16, 32),
    kernels: Annotated[tuple, List(Choice(3, 5), same_length_as="filters")] = (3, 3),
    head: Annotated[str, Choice("average", "dense", "deep")] = "average",
    units: Annotated[int, Int(16, 128, when={"head": ("dense", "deep")})] = 64,
    gate: Annotated[str, Choice("off", "on", when={"units": 128})] = "off",
    weights: str = "none",
    epochs: Annotated[int, Setting(Int(1, 9))] = 3,
): ...


SPACE, CONDITIONAL = read_space(function), read_space(conditional)


def test_sampled_points_cover_the_space():
    points = sampled(SPACE, 400, seed=0)
    for point in points:
        assert SPACE.check(point) == point
    assert {point["whole"] for point in points} == {2, 5, 8, 11}
    assert {point["grid"] for point in points} == {0, 0.25, 0.5, 0.75, 1}
    assert {point["kind"] for point in points} == {"a", "b"}
    within = points[::2]  # the others are corners
    assert sum(point["log"] < 32 for point in within) > 60  # half of it, in logarithms
    assert all(point["log"] in (1, 1000) and point["rate"] in (1e-5, 1) for point in points[1::2])


def test_same_seed_gives_same_points():
    assert sampled(SPACE, 50, seed=0) == sampled(SPACE, 50, seed=0)
    assert sampled(SPACE, 50, seed=0) != sampled(SPACE, 50, seed=1)
    assert UnitSuggester(random.Random(0).random).suggest_int("one", 3, 3, log=True) == 3


def test_far_corners_are_all_low_and_all_high():
    low, high = far_corners(CONDITIONAL)
    assert low["filters"] == (8,)
    assert low["kernels"] == (3,)
    assert low["head"] == "average"
    assert low["units"] == 64  # inactive here
    assert (high["filters"], high["kernels"], high["head"]) == ((64, 64, 64), (5, 5, 5), "deep")
    assert (high["units"], high["gate"]) == (128, "on")
    assert low["epochs"] == high["epochs"] == 3  # a study does not search it by itself


def test_single_ends_meet_their_conditions():
    defaults = CONDITIONAL.defaults()
    points = unseen(single_ends(opened(CONDITIONAL, {})), [defaults])
    assert {**defaults, "filters": (8,), "kernels": (3,)} in points
    assert {**defaults, "filters": (64, 64, 64), "kernels": (3, 3, 3)} in points
    assert {**defaults, "kernels": (5, 5)} in points
    assert {**defaults, "head": "deep"} in points
    assert {**defaults, "head": "dense", "units": 128} in points
    assert {**defaults, "head": "dense", "units": 128, "gate": "on"} in points
    assert {**defaults, "epochs": 9} in points  # a study may search it
    assert defaults not in points
    assert len(points) == len({repr(point) for point in points})
    assert {**defaults, "kernels": (5, 5)} not in single_ends(CONDITIONAL, choices_only=True)
    assert {**defaults, "head": "dense"} in single_ends(CONDITIONAL, choices_only=True)


def test_value_fixed_by_table_stays_fixed():
    space = opened(CONDITIONAL, {"head": "average", "filters": {"high": 20}, "epochs": {"low": 2}})
    points = [space.defaults(), *far_corners(space), *single_ends(space), *sampled(space, 20, seed=0)]
    assert {point["head"] for point in points} == {"average"}
    assert {point["units"] for point in points} == {64}  # it is never active
    assert max(max(point["filters"]) for point in points) == 20
    assert {point["epochs"] for point in points} >= {2, 9}
    only_deep = opened(CONDITIONAL, {"head": {"choices": ["average", "deep"]}})
    assert {point["head"] for point in single_ends(only_deep) if point["units"] == 128} == {"deep"}
    with pytest.raises(SpaceError, match=r"there is no parameter 'haed'\. Did you mean 'head'"):
        opened(CONDITIONAL, {"haed": "dense"})


def test_short_point_has_no_defaults():
    for point in [CONDITIONAL.defaults(), *single_ends(CONDITIONAL), *sampled(CONDITIONAL, 30, seed=2)]:
        short = without_defaults(CONDITIONAL, point)
        assert CONDITIONAL.check(short) == point
    assert without_defaults(CONDITIONAL, CONDITIONAL.defaults()) == {}
    assert without_defaults(CONDITIONAL, CONDITIONAL.check({"head": "deep"})) == {"head": "deep"}
