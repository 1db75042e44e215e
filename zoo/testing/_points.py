"""Points of a search space to try a function at."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.errors import SpaceError
from zoo.space import Choice, List, Parameter, Plain, Space, Suggester

Point = dict[str, Any]


class RandomSuggester:
    """Answers like an Optuna trial, from Python's own random numbers."""

    def __init__(self, random_numbers: random.Random) -> None:
        self._random = random_numbers

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return min(max(round(self.suggest_float(name, low, high, log=True)), low), high)
        return self._random.randrange(low, high + 1, step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if log:
            value = math.exp(self._random.uniform(math.log(low), math.log(high)))
        elif step is not None:
            value = low + step * self._random.randint(0, math.floor((high - low) / step + 1e-8))
        else:
            value = self._random.uniform(low, high)
        return min(max(value, low), high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._random.choice(choices)


class EndsSuggester:
    """Answers with an end of every range: the lower, the upper, or one of both at random."""

    def __init__(self, pick: Any) -> None:
        self._pick = pick  # takes a sequence, gives one of its members

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._pick((low, high)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._pick((low, high)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._pick(choices)


def walked(space: Space, table: Mapping[str, Any]) -> Space:
    """`space` as a study's `table` narrows it, with every range open that a study may search.

    That is also those of a `Setting`, which a study has to name; what `table` pins stays pinned.
    """
    pinned = {name for name, wanted in table.items() if not isinstance(wanted, Mapping)}
    return Space(
        [
            replace(one, searched=name not in pinned and not isinstance(one.domain, Plain))
            for name, one in space.narrow(table).items()
        ]
    )


def far_corners(space: Space) -> list[Point]:
    """Everything at its lower end, everything at its upper one; a choice at its first and last option."""
    return _without_defaults(space, [space.sample(EndsSuggester(pick)) for pick in (_first, _last)])


def alone(space: Space, *, choices_only: bool = False) -> list[Point]:
    """Each parameter at each of its ends, or at each option of its choice; the others at their defaults.

    Where it counts only under a condition, the condition is met.
    """
    points = []
    for name, parameter in space.items():
        if parameter.searched and (isinstance(parameter.domain, Choice) or not choices_only):
            met = _conditions_met(space, name)
            if met is not None:
                points += [space.check({**met, name: value}) for value in _ends(parameter)]
    return _without_defaults(space, points)


def sampled(space: Space, samples: int, seed: int) -> list[Point]:
    """`samples` random points, every other one a corner; the same for the same seed."""
    random_numbers = random.Random(seed)
    suggesters: list[Suggester] = [RandomSuggester(random_numbers), EndsSuggester(random_numbers.choice)]
    return [space.sample(suggesters[number % 2]) for number in range(samples)]


def different(points: Sequence[Point]) -> Iterator[Point]:
    """Each of `points` once, in order."""
    seen = set()
    for point in points:
        if repr(point) not in seen:
            seen.add(repr(point))
            yield point


def changed(space: Space, point: Point) -> Point:
    """What of `point` is not the default: enough for `space.check` to give `point` again."""
    defaults = space.defaults()
    short = {name: value for name, value in point.items() if value != defaults[name]}
    return short if space.check(short) == point else point


def _ends(parameter: Parameter) -> list[Any]:
    domain = parameter.domain
    if isinstance(domain, Choice):
        return list(domain.options)
    if isinstance(domain, List):
        count = len(parameter.default)
        low, high = domain.length or (count, count)
        return [(_ends_of(domain.item)[0],) * low, (_ends_of(domain.item)[1],) * high]
    return list(_ends_of(domain))


def _ends_of(domain: Any) -> tuple[Any, Any]:
    if isinstance(domain, Choice):
        return domain.options[0], domain.options[-1]
    return domain.low, domain.high


def _conditions_met(space: Space, name: str) -> Point | None:
    """Values of earlier parameters with which `name` counts; None where it never does."""
    met: Point = {}
    for other, wanted in (space[name].domain.when or {}).items():
        options = wanted if isinstance(wanted, list | tuple) else (wanted,)
        possible = [value for value in options if _may_be(space[other], value)]
        before = _conditions_met(space, other)
        if not possible or before is None:
            return None
        default = space[other].default
        met |= {**before, other: default if default in possible else possible[0]}
    return met


def _may_be(parameter: Parameter, value: Any) -> bool:
    if not parameter.searched:
        return bool(parameter.default == value)
    try:
        parameter.domain.check(value)
    except SpaceError:  # a study's table left it out
        return False
    return True


def _without_defaults(space: Space, points: Sequence[Point]) -> list[Point]:
    defaults = space.defaults()
    return [point for point in different(points) if repr(point) != repr(defaults)]


def _first(sequence: Sequence[Any]) -> Any:
    return sequence[0]


def _last(sequence: Sequence[Any]) -> Any:
    return sequence[-1]
