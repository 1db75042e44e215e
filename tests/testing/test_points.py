import random
from typing import Annotated

import pytest

from zoo import Choice, Float, Int, List
from zoo.errors import SpaceError
from zoo.space import Setting, read_space
from zoo.testing._points import (
    UnitSuggester,
    exclude,
    far_corners,
    largest_space,
    random_points,
    single_ends,
    without_defaults,
)


def unconditional(
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


SPACE, CONDITIONAL = read_space(unconditional), read_space(conditional)


def test_random_points_cover_the_space():
    points = random_points(SPACE, 400, seed=0)
    for point in points:
        assert SPACE.check(point) == point
    assert {point["whole"] for point in points} == {2, 5, 8, 11}
    assert {point["grid"] for point in points} == {0, 0.25, 0.5, 0.75, 1}
    assert {point["kind"] for point in points} == {"a", "b"}
    uniform = points[::2]  # the other points are at ends of the ranges
    assert sum(point["log"] < 32 for point in uniform) > 60  # half of the range, in logarithms
    assert all(point["log"] in (1, 1000) and point["rate"] in (1e-5, 1) for point in points[1::2])


def test_same_seed_gives_same_points():
    assert random_points(SPACE, 50, seed=0) == random_points(SPACE, 50, seed=0)
    assert random_points(SPACE, 50, seed=0) != random_points(SPACE, 50, seed=1)
    assert UnitSuggester(random.Random(0).random).suggest_int("one", 3, 3, log=True) == 3


def test_far_corners_have_all_lower_or_upper_ends():
    low, high = far_corners(CONDITIONAL)
    assert low["filters"] == (8,)
    assert low["kernels"] == (3,)
    assert low["head"] == "average"
    assert low["units"] == 64  # inactive here
    assert (high["filters"], high["kernels"], high["head"]) == ((64, 64, 64), (5, 5, 5), "deep")
    assert (high["units"], high["gate"]) == (128, "on")
    assert low["epochs"] == high["epochs"] == 3  # a study searches a Setting only if asked so


def test_single_ends_are_active():
    defaults = CONDITIONAL.defaults()
    points = exclude(single_ends(largest_space(CONDITIONAL, {})), [defaults])
    assert {**defaults, "filters": (8,), "kernels": (3,)} in points
    assert {**defaults, "filters": (64, 64, 64), "kernels": (3, 3, 3)} in points
    assert {**defaults, "kernels": (5, 5)} in points
    assert {**defaults, "head": "deep"} in points
    assert {**defaults, "head": "dense", "units": 128} in points
    assert {**defaults, "head": "dense", "units": 128, "gate": "on"} in points
    assert {**defaults, "epochs": 9} in points  # a study may search a Setting
    assert defaults not in points
    assert len(points) == len({repr(point) for point in points})
    assert {**defaults, "kernels": (5, 5)} not in single_ends(CONDITIONAL, choices_only=True)
    assert {**defaults, "head": "dense"} in single_ends(CONDITIONAL, choices_only=True)


def test_value_fixed_by_table_stays_fixed():
    space = largest_space(CONDITIONAL, {"head": "average", "filters": {"high": 20}, "epochs": {"low": 2}})
    points = [space.defaults(), *far_corners(space), *single_ends(space), *random_points(space, 20, seed=0)]
    assert {point["head"] for point in points} == {"average"}
    assert {point["units"] for point in points} == {64}  # never active
    assert max(max(point["filters"]) for point in points) == 20
    assert {point["epochs"] for point in points} >= {2, 9}
    only_deep = largest_space(CONDITIONAL, {"head": {"choices": ["average", "deep"]}})
    assert {point["head"] for point in single_ends(only_deep) if point["units"] == 128} == {"deep"}
    with pytest.raises(SpaceError, match=r"there is no parameter 'haed'\. Did you mean 'head'"):
        largest_space(CONDITIONAL, {"haed": "dense"})


def test_short_point_has_no_defaults():
    for point in [CONDITIONAL.defaults(), *single_ends(CONDITIONAL), *random_points(CONDITIONAL, 30, seed=2)]:
        short = without_defaults(CONDITIONAL, point)
        assert CONDITIONAL.check(short) == point
    assert without_defaults(CONDITIONAL, CONDITIONAL.defaults()) == {}
    assert without_defaults(CONDITIONAL, CONDITIONAL.check({"head": "deep"})) == {"head": "deep"}
