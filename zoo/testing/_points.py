"""Points of a search space at which a function is tried."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.space import Choice, List, Parameter, Plain, Space, contains

Point = dict[str, Any]


@dataclass
class UnitSuggester:
    """A replacement for an Optuna trial, whose suggestions are at a position between the ends of a range."""

    position: Callable[[], float]  # from 0 (lower end, first option) to 1 (upper end, last option)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return round(self.suggest_float(name, low, high, log=True))
        return int(self.suggest_categorical(name, range(low, high + 1, step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if log:
            value = low * math.exp(self.position() * math.log(high / low))
        elif step is not None:
            value = low + step * self.suggest_int(name, 0, math.floor((high - low) / step + 1e-8))
        else:
            value = low + self.position() * (high - low)
        return min(max(value, low), high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[min(int(self.position() * len(choices)), len(choices) - 1)]


def largest_space(space: Space, table: Mapping[str, Any]) -> Space:
    """Return the largest space that a study with this table can search.

    This space includes the range of each `Setting`, which a study searches only if the study file gives it a
    table. A parameter that `table` fixes stays fixed.
    """
    fixed = {name for name, value in table.items() if not isinstance(value, Mapping)}
    fixed |= {name for name, parameter in space.items() if isinstance(parameter.domain, Plain)}
    narrowed = space.narrow(table)
    return Space([replace(narrowed[name], searched=name not in fixed) for name in narrowed])


def far_corners(space: Space) -> list[Point]:
    """Return the point with all lower ends and first options, and the point with all upper and last ones."""
    return [space.sample(UnitSuggester(end)) for end in (lambda: 0, lambda: 1)]


def single_ends(space: Space, *, choices_only: bool = False) -> list[Point]:
    """Return points that set one parameter to an end of its range, or to an option of its choice.

    The parameter's `when` condition is met. All other parameters keep their defaults.
    """
    points = []
    for name, parameter in space.items():
        if parameter.searched and (isinstance(parameter.domain, Choice) or not choices_only):
            condition = _meet_condition(space, name)
            if condition is not None:
                points += [space.check({**condition, name: value}) for value in _ends(parameter)]
    return points


def random_points(space: Space, samples: int, seed: int) -> list[Point]:
    """Return `samples` random points; in every second point, all parameters are at ends of their ranges."""
    generator = random.Random(seed)
    suggesters = UnitSuggester(generator.random), UnitSuggester(lambda: generator.choice((0, 1)))
    return [space.sample(suggesters[number % 2]) for number in range(samples)]


def exclude(points: Sequence[Point], excluded: Sequence[Point]) -> list[Point]:
    """Return the points without those in `excluded` and without repetitions, in order."""
    texts = set(map(repr, excluded))
    unique = {repr(point): point for point in points}
    return [point for text, point in unique.items() if text not in texts]


def without_defaults(space: Space, point: Point) -> Point:
    """Return the parameters of `point` that `space.check` needs to restore the whole point."""
    defaults = space.defaults()
    short = {name: value for name, value in point.items() if value != defaults[name]}
    return short if space.check(short) == point else point


def _ends(parameter: Parameter) -> list[Any]:
    """Return the two ends of a parameter's range; all options of a choice."""
    domain = parameter.domain
    if isinstance(domain, Choice):
        return list(domain.options)
    if isinstance(domain, List):
        low, high = domain.length or 2 * (len(parameter.default),)
        first, last = _item_ends(domain.item)
        return [(first,) * low, (last,) * high]
    return list(_item_ends(domain))


def _item_ends(domain: Any) -> tuple[Any, Any]:
    """Return the lower and upper end of a range, or the first and last option of a choice."""
    if isinstance(domain, Choice):
        return domain.options[0], domain.options[-1]
    return domain.low, domain.high


def _meet_condition(space: Space, name: str) -> Point | None:
    """Return values of earlier parameters with which `name` is active; None if `name` is never active."""
    values: Point = {}
    for other, condition in (space[name].domain.when or {}).items():
        options = condition if isinstance(condition, list | tuple) else (condition,)
        possible = [value for value in options if _is_possible(space[other], value)]
        earlier = _meet_condition(space, other)
        if not possible or earlier is None:
            return None
        default = space[other].default
        values |= {**earlier, other: default if default in possible else possible[0]}
    return values


def _is_possible(parameter: Parameter, value: Any) -> bool:
    """Return whether the parameter can have this value in its space."""
    if not parameter.searched:
        return bool(parameter.default == value)
    return contains(parameter.domain, value)  # False if the study's table excludes it
