"""Ranges: domains of numbers between two bounds, both included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeVar

from zoo.errors import SpaceError
from zoo.space._choice import Choice, narrow_to_choices
from zoo.space._suggester import Suggester
from zoo.space._values import Condition, check_keys, invalid_value, is_int, is_real, show, when_as_json


@dataclass(frozen=True)
class Int:
    """An integer from `low` to `high`, both included, in steps of `step`.

    A `high` between two steps is lowered to the step below. With `when={"optimizer": "sgd"}` the
    parameter is active only where an earlier parameter has that value, or one of a tuple of values;
    elsewhere it keeps its default.
    """

    low: int
    high: int
    step: int = field(default=1, kw_only=True)
    log: bool = field(default=False, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            if not is_int(getattr(self, name)):
                raise SpaceError(f"Int: {name} must be an integer, got {show(getattr(self, name))}.")
        _check_range(self, has_step=self.step != 1)
        object.__setattr__(self, "high", self.high - (self.high - self.low) % self.step)

    def check(self, value: Any) -> int:
        """Return `value` if it is in the range; raise SpaceError otherwise."""
        if is_int(value) and self.clip(value) == value:
            return value
        raise invalid_value(self, value, self.clip(round(value)) if is_real(value) else None)

    def sample(self, name: str, suggester: Suggester) -> int:
        return self.check(int(suggester.suggest_int(name, self.low, self.high, step=self.step, log=self.log)))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: self.check(value)}

    def narrow(self, table: Mapping[str, Any]) -> Int | Choice:
        return _narrow_range(self, table)

    def clip(self, value: int) -> int:
        """Return the nearest value of the range."""
        steps = (min(max(value, self.low), self.high) - self.low + self.step // 2) // self.step
        return self.low + steps * self.step

    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "int", **_range_as_json(self)}

    def _has_steps_of(self, other: Int) -> bool:
        return (other.low - self.low) % self.step == 0 and other.step % self.step == 0

    def __str__(self) -> str:
        extra = f" (step {self.step})" if self.step != 1 else " (log)" if self.log else ""
        return f"{self.low} … {self.high}{extra}"


@dataclass(frozen=True)
class Float:
    """A number from `low` to `high`, both included; with `step`, one of `low`, `low + step` ….

    Steps are counted in decimals, as they are written: the third step of 0.1 is 0.3. `high` and
    `when` are as in Int.
    """

    low: float
    high: float
    step: float | None = field(default=None, kw_only=True)
    log: bool = field(default=False, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if is_real(value):
                object.__setattr__(self, name, float(value))
            elif name != "step" or value is not None:
                raise SpaceError(f"Float: {name} must be a finite number, got {show(value)}.")
        _check_range(self, has_step=self.step is not None)
        if self.step is not None:
            object.__setattr__(self, "high", self._value_at(math.floor(self._steps_to(self.high))))

    def check(self, value: Any) -> float:
        """Return `value` as a float if it is in the range; raise SpaceError otherwise."""
        if not is_real(value):
            raise invalid_value(self, value)
        nearest = self.clip(value)
        # A step may have been computed in floats: 0.1 + 2 * 0.1 is 0.30000000000000004.
        if abs(nearest - float(value)) <= 1e-6 * (self.step or 0.0):
            return nearest
        raise invalid_value(self, value, nearest)

    def sample(self, name: str, suggester: Suggester) -> float:
        return self.check(suggester.suggest_float(name, self.low, self.high, step=self.step, log=self.log))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: self.check(value)}

    def narrow(self, table: Mapping[str, Any]) -> Float | Choice:
        return _narrow_range(self, table)

    def clip(self, value: float) -> float:
        """Return the nearest value of the range."""
        inside = min(max(float(value), self.low), self.high)
        return inside if self.step is None else self._value_at(round(self._steps_to(inside)))

    def values(self) -> Sequence[float] | None:
        if self.low == self.high:
            return [self.low]
        return None if self.step is None else _Steps(self, round(self._steps_to(self.high)) + 1)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "float", **_range_as_json(self)}

    def _has_steps_of(self, other: Float) -> bool:
        if self.step is None:
            return True
        if other.step is None:
            return False
        start, stride = self._steps_to(other.low), _decimal(other.step) / _decimal(self.step)
        return start.denominator == stride.denominator == 1

    def _steps_to(self, value: float) -> Fraction:
        return (_decimal(value) - _decimal(self.low)) / _decimal(self.step or 1.0)

    def _value_at(self, steps: int) -> float:
        return float(_decimal(self.low) + steps * _decimal(self.step or 1.0))

    def __str__(self) -> str:
        extra = f" (step {self.step:.12g})" if self.step is not None else " (log)" if self.log else ""
        return f"{self.low:.12g} … {self.high:.12g}{extra}"


@dataclass(frozen=True)
class _Steps(Sequence[float]):
    """The values of a Float with a step, computed on access like those of a `range`."""

    domain: Float
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        steps = range(self.size)[index]
        if isinstance(steps, int):
            return self.domain._value_at(steps)
        return [self.domain._value_at(step) for step in steps]


_Range = TypeVar("_Range", Int, Float)


def _check_range(domain: Int | Float, has_step: bool) -> None:
    kind, low, high, log = type(domain).__name__, domain.low, domain.high, domain.log
    if low > high:
        raise SpaceError(f"{kind} needs low <= high, got low={low} and high={high}.")
    if domain.step is not None and domain.step <= 0:
        raise SpaceError(f"{kind}: step must be > 0, got {domain.step}.")
    if not isinstance(log, bool):
        raise SpaceError(f"{kind}: log must be true or false, got {show(log)}.")
    if log and low <= 0:
        raise SpaceError(f"{kind} with log=True needs low > 0, got low={low}.")
    if log and has_step:
        raise SpaceError(f"{kind} takes either log or step, got log=True and step={domain.step}.")


def _narrow_range(domain: _Range, table: Mapping[str, Any]) -> _Range | Choice:
    """Return the part of `domain` that `table` selects; a `step` makes a logarithmic range linear."""
    if "choices" in table:
        return narrow_to_choices(domain, table)
    check_keys(table, "low", "high", "step", "log", "choices")
    low, high = table.get("low", domain.low), table.get("high", domain.high)
    if is_real(low) and is_real(high) and not domain.low <= low <= high <= domain.high:
        raise SpaceError(f"expected a range inside {domain}, got {low} … {high}.")
    narrowed = replace(domain, **({"log": False, **table} if "step" in table else table))
    if not domain._has_steps_of(narrowed):
        raise SpaceError(f"expected steps that fall on {domain}, got {narrowed}.")
    return narrowed


def _range_as_json(domain: Int | Float) -> dict[str, Any]:
    numbers = {name: getattr(domain, name) for name in ("low", "high", "step", "log")}
    return {**numbers, **when_as_json(domain.when)}


def _decimal(number: float) -> Fraction:
    """Return the decimal that `number` is written as, exactly, so that 0.1 is a tenth."""
    return Fraction(repr(float(number)))
