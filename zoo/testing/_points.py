"""Points of a search space at which a function is tried."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.errors import SpaceError
from zoo.space import Choice, List, Parameter, Plain, Space

Point = dict[str, Any]


class UnitSuggester:
    """Suggests like an Optuna trial, at a position in `[0, 1]` between the two ends of each range.

    Args:
        position: returns 0 for the lower end or the first option, 1 for the upper end or the last one.
    """

    def __init__(self, position: Callable[[], float]) -> None:
        self._position = position

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return round(self.suggest_float(name, low, high, log=True))
        return int(self.suggest_categorical(name, range(low, high + 1, step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if log:
            value = low * math.exp(self._position() * math.log(high / low))
        elif step is not None:
            value = low + step * self.suggest_int(name, 0, math.floor((high - low) / step + 1e-8))
        else:
            value = low + self._position() * (high - low)
        return min(max(value, low), high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[min(int(self._position() * len(choices)), len(choices) - 1)]


def opened(space: Space, table: Mapping[str, Any]) -> Space:
    """Return `space` as a study's `table` narrows it, with every range open that a study may search.

    This includes the ranges of a `Setting`, which a study must name. What `table` fixes stays fixed.
    """
    fixed = {name for name, value in table.items() if not isinstance(value, Mapping)}
    return Space(
        [
            replace(one, searched=name not in fixed and not isinstance(one.domain, Plain))
            for name, one in space.narrow(table).items()
        ]
    )


def far_corners(space: Space) -> list[Point]:
    """Return the point with everything at its lower end or first option, and the opposite one."""
    ends = (lambda: 0, lambda: 1)
    return _not_defaults(space, [space.sample(UnitSuggester(end)) for end in ends])


def single_ends(space: Space, *, choices_only: bool = False) -> list[Point]:
    """Return points with one parameter at an end or option, and the others at their defaults.

    The `when` condition of the parameter is met.
    """
    points = []
    for name, parameter in space.items():
        if parameter.searched and (isinstance(parameter.domain, Choice) or not choices_only):
            condition = _meet_condition(space, name)
            if condition is not None:
                points += [space.check({**condition, name: value}) for value in _ends(parameter)]
    return _not_defaults(space, points)


def sampled(space: Space, samples: int, seed: int) -> list[Point]:
    """Return `samples` random points, every other one a corner; the same points for the same seed."""
    generator = random.Random(seed)
    suggesters = UnitSuggester(generator.random), UnitSuggester(lambda: generator.choice((0, 1)))
    return [space.sample(suggesters[number % 2]) for number in range(samples)]


def unique(points: Sequence[Point]) -> list[Point]:
    """Return each of `points` once, in order."""
    return list({repr(point): point for point in points}.values())


def without_defaults(space: Space, point: Point) -> Point:
    """Return the part of `point` from which `space.check` makes the whole `point` again."""
    defaults = space.defaults()
    short = {name: value for name, value in point.items() if value != defaults[name]}
    return short if space.check(short) == point else point


def _ends(parameter: Parameter) -> list[Any]:
    domain = parameter.domain
    if isinstance(domain, Choice):
        return list(domain.options)
    if isinstance(domain, List):
        length = len(parameter.default)
        low, high = domain.length or (length, length)
        first, last = _item_ends(domain.item)
        return [(first,) * low, (last,) * high]
    return list(_item_ends(domain))


def _item_ends(domain: Any) -> tuple[Any, Any]:
    if isinstance(domain, Choice):
        return domain.options[0], domain.options[-1]
    return domain.low, domain.high


def _meet_condition(space: Space, name: str) -> Point | None:
    """Return values of earlier parameters with which `name` is active; None if it cannot be."""
    values: Point = {}
    for other, wanted in (space[name].domain.when or {}).items():
        options = wanted if isinstance(wanted, list | tuple) else (wanted,)
        possible = [value for value in options if _is_possible(space[other], value)]
        earlier = _meet_condition(space, other)
        if not possible or earlier is None:
            return None
        default = space[other].default
        values |= {**earlier, other: default if default in possible else possible[0]}
    return values


def _is_possible(parameter: Parameter, value: Any) -> bool:
    if not parameter.searched:
        return bool(parameter.default == value)
    try:
        parameter.domain.check(value)
    except SpaceError:  # a study's table excludes it
        return False
    return True


def _not_defaults(space: Space, points: Sequence[Point]) -> list[Point]:
    defaults = repr(space.defaults())
    return [point for point in unique(points) if repr(point) != defaults]
