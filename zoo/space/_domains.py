"""Choices and ranges: the domains of a single value. The methods are explained in `_space.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, Self

from zoo.errors import SpaceError
from zoo.space._values import (
    Condition,
    Scalar,
    Suggester,
    are_equal,
    as_lists,
    check_keys,
    invalid_value,
    is_int,
    is_real,
    show,
    when_as_json,
)


@dataclass(frozen=True, init=False)
class Choice:
    """One of several scalars: strings, finite numbers, booleans, None."""

    options: tuple[Any, ...]
    when: Condition | None = None

    def __init__(self, *options: Scalar, when: Condition | None = None) -> None:
        for option in options:
            if not (option is None or isinstance(option, str | bool) or is_real(option)):
                raise _option_error(option)
        self._set(options, when)

    @classmethod
    def from_options(cls, options: Sequence[Any], when: Condition | None) -> Choice:
        """Return the choice that a study writes as `choices = […]`; its options can also be tuples."""
        choice = cls.__new__(cls)
        choice._set(options, when)
        return choice

    def _set(self, options: Sequence[Any], when: Condition | None) -> None:
        if not options:
            raise SpaceError("Choice needs at least one option, got none.")
        for position, option in enumerate(options):
            # Optuna compares options with ==, for which True, 1 and 1.0 are equal.
            for earlier in options[:position]:
                if option == earlier:
                    text = f"{show(earlier)} equals {show(option)}; remove one of them"
                    raise SpaceError(f"choices must differ, but {text}.")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "when", when)

    def check(self, value: Any) -> Any:
        """Return the option that equals `value`; 1 equals 1.0 but not True."""
        for option in self.options:
            if are_equal(option, value):
                return option
        by_text = {str(option).casefold(): option for option in self.options}
        close = get_close_matches(str(value).casefold(), by_text, n=1)
        raise invalid_value(self, value, by_text[close[0]] if close else None)

    def sample(self, name: str, suggester: Suggester) -> Any:
        options = [_storable(option) for option in self.options]
        return self.options[options.index(suggester.suggest_categorical(name, options))]

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: _storable(self.check(value))}

    def narrow(self, table: Mapping[str, Any]) -> Choice:
        if "choices" not in table:
            raise SpaceError(f"expected choices = […] with values from {self}, got {', '.join(table)}.")
        return narrow_to_choices(self, table)

    def clip(self, value: Any) -> Any:
        """Return `value` if it is an option, else the first option."""
        return next((option for option in self.options if are_equal(option, value)), self.options[0])

    def values(self) -> Sequence[Any]:
        return self.options

    def as_json(self) -> dict[str, Any]:
        return {"kind": "choice", "options": as_lists(self.options), **when_as_json(self.when)}

    def __str__(self) -> str:
        return " | ".join(show(option) for option in self.options)


def narrow_to_choices(domain: Any, table: Mapping[str, Any]) -> Choice:
    """Return the choice among `table["choices"]`, which must be members of `domain`, a domain of any kind."""
    choices = table["choices"]
    others = [key for key in table if key != "choices"]
    if others:
        raise SpaceError(f"choices cannot be combined with {', '.join(others)}; remove one of them.")
    if not isinstance(choices, list | tuple) or not choices:
        raise SpaceError(f"choices must be a list with at least one value, got {show(choices)}.")
    return Choice.from_options([domain.check(option) for option in choices], domain.when)


def _option_error(option: Any) -> SpaceError:
    hint = f"; write Choice({str(list(option))[1:-1]})" if isinstance(option, list | tuple) else ""
    return SpaceError(f"Choice takes strings, numbers, booleans or None, got {show(option)}{hint}.")


def _storable(option: Any) -> Any:
    """Return `option` in a form that Optuna can store: a scalar unchanged, a tuple as JSON text."""
    return show(option) if isinstance(option, tuple) else option


@dataclass(frozen=True)
class _Range:
    """Bounds, step and scale of `Int` and `Float`."""

    low: Any
    high: Any
    step: Any = field(default=None, kw_only=True)
    log: bool = field(default=False, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def check(self, value: Any) -> Any: ...

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: self.check(value)}

    def narrow(self, table: Mapping[str, Any]) -> Self | Choice:
        """Return the part of the range that `table` selects; a `step` makes a logarithmic range linear."""
        if "choices" in table:
            return narrow_to_choices(self, table)
        check_keys(table, "low", "high", "step", "log", "choices")
        low, high = table.get("low", self.low), table.get("high", self.high)
        if is_real(low) and is_real(high):
            if low > high and {"low", "high"} <= table.keys():
                raise SpaceError(f"expected low <= high, got low = {low} and high = {high}; exchange them.")
            if not self.low <= low <= high <= self.high:
                raise SpaceError(f"expected a range inside {self}, got {low} … {high}.")
        narrowed = replace(self, **({"log": False, **table} if "step" in table else table))
        if self.step is not None and not (
            narrowed.step is not None
            and self._steps_to(narrowed.low).denominator == 1
            and (_decimal(narrowed.step) / _decimal(self.step)).denominator == 1
        ):
            raise SpaceError(f"expected only values of {self}, got {narrowed}; change low or step.")
        return narrowed

    def as_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("low", "high", "step", "log")}
        return {"kind": type(self).__name__.lower(), **numbers, **when_as_json(self.when)}

    def _steps_to(self, value: float) -> Fraction:
        return (_decimal(value) - _decimal(self.low)) / _decimal(self.step or 1)

    def _check_bounds(self, has_step: bool) -> None:
        kind, low, high, log = type(self).__name__, self.low, self.high, self.log
        if low > high:
            raise SpaceError(f"{kind} needs low <= high, got low={low} and high={high}.")
        if self.step is not None and self.step <= 0:
            raise SpaceError(f"{kind}: step must be > 0, got {self.step}.")
        if not isinstance(log, bool):
            raise SpaceError(f"{kind}: log must be true or false, got {show(log)}.")
        if log and low <= 0:
            raise SpaceError(f"{kind} with log=True needs low > 0, got low={low}.")
        if log and has_step:
            raise SpaceError(f"{kind} takes either log or step, got log=True and step={self.step}.")


@dataclass(frozen=True)
class Int(_Range):
    """An integer from `low` to `high`, both included, in steps of `step`.

    A `high` between two steps is lowered to the step below. With `when={"optimizer": "sgd"}`, the parameter
    is active only if the earlier parameter `optimizer` is "sgd". A tuple in `when` lists several such
    values. An inactive parameter keeps its default.
    """

    low: int
    high: int
    step: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            if not is_int(getattr(self, name)):
                raise SpaceError(f"Int: {name} must be an integer, got {show(getattr(self, name))}.")
        self._check_bounds(has_step=self.step != 1)
        object.__setattr__(self, "high", self.high - (self.high - self.low) % self.step)

    def check(self, value: Any) -> int:
        if is_int(value) and self.clip(value) == value:
            return value
        raise invalid_value(self, value, self.clip(round(value)) if is_real(value) else None)

    def sample(self, name: str, suggester: Suggester) -> int:
        return self.check(int(suggester.suggest_int(name, self.low, self.high, step=self.step, log=self.log)))

    def clip(self, value: int) -> int:
        steps = (min(max(value, self.low), self.high) - self.low + self.step // 2) // self.step
        return self.low + steps * self.step

    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)

    def __str__(self) -> str:
        extra = f" (step {self.step})" if self.step != 1 else " (log)" if self.log else ""
        return f"{self.low} … {self.high}{extra}"


@dataclass(frozen=True)
class Float(_Range):
    """A number from `low` to `high`, both included; with `step`, one of `low`, `low + step` ….

    Steps are exact decimal numbers: three steps of 0.1 are 0.3. `high` and `when` are as in Int.
    """

    low: float
    high: float
    step: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if is_real(value):
                object.__setattr__(self, name, float(value))
            elif name != "step" or value is not None:
                raise SpaceError(f"Float: {name} must be a finite number, got {show(value)}.")
        self._check_bounds(has_step=self.step is not None)
        if self.step is not None:
            object.__setattr__(self, "high", self._value_at(math.floor(self._steps_to(self.high))))

    def check(self, value: Any) -> float:
        if not is_real(value):
            raise invalid_value(self, value)
        nearest = self.clip(value)
        # The caller may have computed `value` in floats: 0.1 + 2 * 0.1 is 0.30000000000000004.
        if abs(nearest - float(value)) <= 1e-6 * (self.step or 0.0):
            return nearest
        raise invalid_value(self, value, nearest)

    def sample(self, name: str, suggester: Suggester) -> float:
        return self.check(suggester.suggest_float(name, self.low, self.high, step=self.step, log=self.log))

    def clip(self, value: float) -> float:
        inside = min(max(float(value), self.low), self.high)
        return inside if self.step is None else self._value_at(round(self._steps_to(inside)))

    def values(self) -> Sequence[float] | None:
        if self.low == self.high:
            return [self.low]
        return None if self.step is None else _Steps(self, round(self._steps_to(self.high)) + 1)

    def _value_at(self, steps: int) -> float:
        return float(_decimal(self.low) + steps * _decimal(self.step or 1))

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


def _decimal(number: float) -> Fraction:
    """Return the exact value of the decimal text of `number`: 0.1 is one tenth."""
    return Fraction(str(number))
