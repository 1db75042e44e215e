"""Domains: what one parameter may be. Bounds are inclusive everywhere.

Every domain can
    check(value)              give back the member that `value` is, or raise SpaceError
    clip(value)               give back the member nearest to `value`
    narrow(table)             become what a study's table asks for, inside itself
    values()                  list its members, or say None where they are too many to list
    as_json(), str()          describe itself to machines, to people
and all but Plain can
    sample(name, suggester)   ask a suggester for a member
    encode(name, value)       tell what the suggester would have to answer for that
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, ClassVar, Protocol, TypeVar

from zoo.errors import SpaceError
from zoo.space._values import (
    Condition,
    Scalar,
    check_keys,
    frozen,
    is_int,
    is_plain,
    is_real,
    misfit,
    plain,
    same,
    show,
    when_as_json,
)


class Suggester(Protocol):
    """Where sampled values come from: an Optuna trial, a random generator, an enumeration."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included, in steps of `step`.

    A `high` between two steps becomes the lower one. `when={"optimizer": "sgd"}` makes the
    parameter count only where an earlier one has that value (or one of a tuple of values);
    elsewhere the default is used.
    """

    low: int
    high: int
    step: int = field(default=1, kw_only=True)
    log: bool = field(default=False, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if not is_int(value):
                raise SpaceError(f"Int's {name} is a whole number, but got {show(value)}.")
        if self.step < 1:
            raise SpaceError(f"Int's step is at least 1, but got {self.step}.")
        _check_range(self, stepped=self.step != 1)
        object.__setattr__(self, "high", self.high - (self.high - self.low) % self.step)

    def check(self, value: Any) -> int:
        """`value` itself, if this domain holds it; SpaceError otherwise."""
        if is_int(value) and self.clip(value) == value:
            return value
        raise misfit(self, value, self.clip(round(value)) if is_real(value) else None)

    def sample(self, name: str, suggester: Suggester) -> int:
        return self.check(int(suggester.suggest_int(name, self.low, self.high, step=self.step, log=self.log)))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: self.check(value)}

    def narrow(self, table: Mapping[str, Any]) -> Int | Choice:
        return _narrow_range(self, table)

    def _holds_steps_of(self, other: Int) -> bool:
        return (other.low - self.low) % self.step == 0 and other.step % self.step == 0

    def clip(self, value: int) -> int:
        """The member nearest to `value`."""
        steps = (min(max(value, self.low), self.high) - self.low + self.step // 2) // self.step
        return self.low + steps * self.step

    def values(self) -> Sequence[int]:
        return range(self.low, self.high + 1, self.step)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "int", **_range_as_json(self)}

    def __str__(self) -> str:
        extra = f" (step {self.step})" if self.step != 1 else " (log)" if self.log else ""
        return f"{self.low} … {self.high}{extra}"


@dataclass(frozen=True)
class Float:
    """A number from `low` to `high`, both included; `low`, `low + step` … where `step` is given.

    Steps are counted in decimals, as they are written: the third step of 0.1 is 0.3.
    `high` and `when` as in Int.
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
                raise SpaceError(f"Float's {name} is a finite number, but got {show(value)}.")
        if self.step is not None and self.step <= 0:
            raise SpaceError(f"Float's step is above 0, but got {self.step}.")
        _check_range(self, stepped=self.step is not None)
        if self.step is not None:
            object.__setattr__(self, "high", self._after(math.floor(self._steps_to(self.high))))

    def check(self, value: Any) -> float:
        """`value` as a float, if this domain holds it; SpaceError otherwise."""
        if not is_real(value):
            raise misfit(self, value)
        nearest = self.clip(value)
        # A step may have been computed in floats: 0.1 + 2 * 0.1 is 0.30000000000000004.
        if abs(nearest - float(value)) <= 1e-6 * (self.step or 0.0):
            return nearest
        raise misfit(self, value, nearest)

    def sample(self, name: str, suggester: Suggester) -> float:
        return self.check(suggester.suggest_float(name, self.low, self.high, step=self.step, log=self.log))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: self.check(value)}

    def narrow(self, table: Mapping[str, Any]) -> Float | Choice:
        return _narrow_range(self, table)

    def _holds_steps_of(self, other: Float) -> bool:
        if self.step is None:
            return True
        if other.step is None:
            return False
        start, stride = self._steps_to(other.low), _decimal(other.step) / _decimal(self.step)
        return start.denominator == stride.denominator == 1

    def clip(self, value: float) -> float:
        """The member nearest to `value`."""
        inside = min(max(float(value), self.low), self.high)
        return inside if self.step is None else self._after(round(self._steps_to(inside)))

    def values(self) -> Sequence[float] | None:
        if self.low == self.high:
            return [self.low]
        if self.step is None:
            return None
        count = round(self._steps_to(self.high)) + 1
        return _Steps(self, count) if count <= sys.maxsize else None

    def _steps_to(self, value: float) -> Fraction:
        """How many steps `value` lies above `low`."""
        return (_decimal(value) - _decimal(self.low)) / _decimal(self.step or 1.0)

    def _after(self, steps: int) -> float:
        return float(_decimal(self.low) + steps * _decimal(self.step or 1.0))

    def as_json(self) -> dict[str, Any]:
        return {"kind": "float", **_range_as_json(self)}

    def __str__(self) -> str:
        extra = f" (step {self.step:.12g})" if self.step is not None else " (log)" if self.log else ""
        return f"{self.low:.12g} … {self.high:.12g}{extra}"


@dataclass(frozen=True)
class _Steps(Sequence[float]):
    """The members of a Float with a step, as `range` has those of an Int: each made when it is asked for."""

    domain: Float
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: Any) -> Any:
        steps = range(self.size)[place]
        return self.domain._after(steps) if isinstance(steps, int) else [*map(self.domain._after, steps)]


@dataclass(frozen=True, init=False)
class Choice:
    """One of several scalars: strings, finite numbers, booleans, None."""

    options: tuple[Any, ...]
    when: Condition | None = None

    def __init__(self, *options: Scalar, when: Condition | None = None) -> None:
        for option in options:
            if not (option is None or isinstance(option, str | bool) or is_real(option)):
                raise _no_scalar(option)
        self._set(options, when)

    @classmethod
    def among(cls, options: Sequence[Any], when: Condition | None) -> Choice:
        """A choice among whole values, lists too; what a study's `choices = […]` becomes."""
        choice = cls.__new__(cls)
        choice._set(options, when)
        return choice

    def _set(self, options: Sequence[Any], when: Condition | None) -> None:
        if not options:
            raise SpaceError("Choice needs at least one option, but got none.")
        for position, option in enumerate(options):
            # Optuna finds an option by ==, where True is 1 and 1.0 is 1.
            for earlier in options[:position]:
                if option == earlier:
                    raise SpaceError(f"choices have to differ, but {show(earlier)} equals {show(option)}.")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "when", when)

    def check(self, value: Any) -> Any:
        """The option that `value` is; SpaceError otherwise. A 1 will do for 1.0, not for true."""
        for option in self.options:
            if same(option, value):
                return option
        texts = {str(option).casefold(): option for option in self.options}
        near = get_close_matches(str(value).casefold(), texts, n=1)
        raise misfit(self, value, texts[near[0]] if near else None)

    def sample(self, name: str, suggester: Suggester) -> Any:
        labels = [_label(option) for option in self.options]
        return self.options[labels.index(suggester.suggest_categorical(name, labels))]

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: _label(self.check(value))}

    def narrow(self, table: Mapping[str, Any]) -> Choice:
        if "choices" not in table:
            raise SpaceError(f"expected choices = […] out of {self}, but got {', '.join(table)}.")
        return _choose(self, table)

    def clip(self, value: Any) -> Any:
        """`value` if it is an option, else the first one."""
        return next((option for option in self.options if same(option, value)), self.options[0])

    def values(self) -> Sequence[Any]:
        return self.options

    def as_json(self) -> dict[str, Any]:
        return {"kind": "choice", "options": plain(self.options), **when_as_json(self.when)}

    def __str__(self) -> str:
        return " | ".join(show(option) for option in self.options)


def _no_scalar(option: Any) -> SpaceError:
    hint = f"; write Choice({str(list(option))[1:-1]})" if isinstance(option, list | tuple) else ""
    return SpaceError(f"Choice takes strings, numbers, booleans or None, but got {show(option)}{hint}.")


@dataclass(frozen=True)
class List:
    """A tuple of `length[0]` to `length[1]` items, each from `item`; the list owns its length.

    `same_length_as="filters"` instead of `length` makes it follow an earlier list; a single number
    as `length` fixes it.
    """

    item: Int | Float | Choice
    length: tuple[int, int] | None = None
    same_length_as: str | None = field(default=None, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.item, Int | Float | Choice):
            raise SpaceError(f"List's item is an Int, Float or Choice, but got {show(self.item)}.")
        if self.item.when is not None:
            raise SpaceError("List's item has a `when`, which belongs on the List itself.")
        if (self.length is None) == (self.same_length_as is None):
            raise SpaceError("List takes either length=(low, high) or same_length_as='other'.")
        if self.length is not None:
            object.__setattr__(self, "length", _as_length(self.length))

    def check(self, value: Any) -> tuple[Any, ...]:
        """`value` as a tuple, if this domain holds it; SpaceError otherwise."""
        if not isinstance(value, list | tuple):
            raise misfit(f"a list of {self}", value, [value] if self._holds([value]) else None)
        if self.length is not None and not self.length[0] <= len(value) <= self.length[1]:
            raise SpaceError(f"expected {self._count()}, but got {len(value)}: {show(value)}.")
        return tuple(self.item.check(item) for item in value)

    def _holds(self, value: Any) -> bool:
        try:
            self.check(value)
        except SpaceError:
            return False
        return True

    def sample(self, name: str, suggester: Suggester, length: int | None = None) -> tuple[Any, ...]:
        """Asks for `NAME.length` unless that is fixed or given, then for `NAME.0`, `NAME.1` …"""
        if length is None:
            low, high = self.length or (0, 0)
            length = low if low == high else int(suggester.suggest_int(f"{name}.length", low, high))
        return tuple(self.item.sample(f"{name}.{position}", suggester) for position in range(length))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        items = self.check(value)
        varies = self.length is not None and self.length[0] < self.length[1]
        answers: dict[str, Any] = {f"{name}.length": len(items)} if varies else {}
        for position, item in enumerate(items):
            answers |= self.item.encode(f"{name}.{position}", item)
        return answers

    def narrow(self, table: Mapping[str, Any]) -> List | Choice:
        """`length` narrows the list, everything else its items; `choices` may also be whole lists."""
        check_keys(table, "length", "low", "high", "step", "log", "choices")
        choices = table.get("choices")
        if isinstance(choices, list | tuple) and any(isinstance(one, list | tuple) for one in choices):
            if self.same_length_as is not None:
                raise SpaceError(
                    f"whole lists cannot be its choices, for it is as long as '{self.same_length_as}'; "
                    "name the choices of one item."
                )
            return _choose(self, table)
        of_items = {key: value for key, value in table.items() if key != "length"}
        item = self.item.narrow(of_items) if of_items else self.item
        length = self._narrow_length(table["length"]) if "length" in table else self.length
        return replace(self, item=item, length=length)

    def _narrow_length(self, wanted: Any) -> tuple[int, int]:
        if self.length is None:
            leader = self.same_length_as
            raise SpaceError(f"its length is that of '{leader}'; give '{leader}' the length instead.")
        low, high = self.length
        if isinstance(wanted, Mapping):
            check_keys(wanted, "low", "high")
            wanted = wanted.get("low", low), wanted.get("high", high)
        length = _as_length(wanted)
        if length[0] < low or length[1] > high:
            raise SpaceError(
                f"expected a length inside {low} … {high}, but got {' … '.join(map(str, length))}."
            )
        return length

    def clip(self, value: Sequence[Any]) -> tuple[Any, ...]:
        """Every item clipped, the last one repeated or dropped for the length."""
        low, high = self.length or (len(value), len(value))
        items = [self.item.clip(item) for item in value]
        return self.resize(items, min(max(len(items), low), high))

    def resize(self, items: Sequence[Any], length: int) -> tuple[Any, ...]:
        """The first `length` items, the last one repeated where there are too few."""
        lowest = self.item.options[0] if isinstance(self.item, Choice) else self.item.low
        filler = items[-1] if items else lowest
        return (*items[:length], *[filler] * (length - len(items)))

    def values(self) -> None:
        return None

    def as_json(self) -> dict[str, Any]:
        length = {"length": list(self.length)} if self.length else {"same_length_as": self.same_length_as}
        return {"kind": "list", "item": self.item.as_json(), **length, **when_as_json(self.when)}

    def _count(self) -> str:
        if self.length is None:
            return f"as many items as '{self.same_length_as}'"
        low, high = self.length
        return f"{low} … {high} items" if low < high else "1 item" if low == 1 else f"{low} items"

    def __str__(self) -> str:
        return f"{self._count()}, each {self.item}"


@dataclass(frozen=True)
class Plain:
    """A value of a plain Python type, such as a path: set by a study, never searched."""

    types: tuple[type, ...]
    when: ClassVar[Condition | None] = None

    def check(self, value: Any) -> Any:
        """`value`, lists as tuples and whole numbers as floats where floats are expected."""
        if isinstance(value, list | tuple):
            fits = is_plain(value) and not {list, tuple}.isdisjoint(self.types)
            value = frozen(value)
        elif isinstance(value, bool):
            fits = bool in self.types
        elif is_int(value) and is_real(value) and int not in self.types:
            fits = float in self.types
            value = float(value) if fits else value
        else:
            # NaN differs from itself, and so would the manifest of every study that has one.
            fits = isinstance(value, self.types) and is_plain(value)
        if not fits:
            raise misfit(self, value)
        return value

    def narrow(self, table: Mapping[str, Any]) -> Plain:
        raise SpaceError(f"it is set, not searched: expected {self}, but got a table.")

    def clip(self, value: Any) -> Any:
        return value

    def values(self) -> None:
        return None

    def as_json(self) -> dict[str, Any]:
        return {"kind": "plain", "types": [_name(kind) for kind in self.types]}

    def __str__(self) -> str:
        return " or ".join(_name(kind) for kind in self.types)


@dataclass(frozen=True)
class Setting:
    """Marks a parameter that keeps its default unless a study gives it a table, as `epochs` does."""

    domain: Int | Float | Choice | List

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Int | Float | Choice | List):
            raise SpaceError(f"Setting takes an Int, Float, Choice or List, but got {show(self.domain)}.")
        if isinstance(self.domain, List) and self.domain.same_length_as is not None:
            raise SpaceError("Setting takes a List with a length of its own, but got same_length_as.")


Domain = Int | Float | Choice | List | Plain


def narrow_domain(domain: Domain, table: Mapping[str, Any]) -> Domain:
    """`domain` as a study's table wants it; always inside what the author allowed."""
    return domain.narrow(table)


_Range = TypeVar("_Range", Int, Float)


def _check_range(domain: Int | Float, stepped: bool) -> None:
    kind, low, high, log = type(domain).__name__, domain.low, domain.high, domain.log
    if low > high:
        raise SpaceError(f"{kind} needs low <= high, but got low={low} and high={high}.")
    if not isinstance(log, bool):
        raise SpaceError(f"{kind}'s log is true or false, but got {show(log)}.")
    if log and low <= 0:
        raise SpaceError(f"{kind} with log=True needs low > 0, but got low={low}.")
    if log and stepped:
        raise SpaceError(f"{kind} takes either log or step, but got log=True and step={domain.step}.")


def _narrow_range(domain: _Range, table: Mapping[str, Any]) -> _Range | Choice:
    """A part of `domain`. Giving a `step` makes a logarithmic range a linear one."""
    if "choices" in table:
        return _choose(domain, table)
    check_keys(table, "low", "high", "step", "log", "choices")
    low, high = table.get("low", domain.low), table.get("high", domain.high)
    if is_real(low) and is_real(high) and not domain.low <= low <= high <= domain.high:
        raise SpaceError(f"expected a range inside {domain}, but got {low} … {high}.")
    narrowed = replace(domain, **({"log": False, **table} if "step" in table else table))
    if not domain._holds_steps_of(narrowed):
        raise SpaceError(f"expected steps that fall on {domain}, but got {narrowed}.")
    return narrowed


def _choose(domain: Int | Float | Choice | List, table: Mapping[str, Any]) -> Choice:
    """The members of `domain` that `choices = […]` names."""
    choices = table["choices"]
    others = [key for key in table if key != "choices"]
    if others:
        raise SpaceError(f"choices stands alone, but {', '.join(others)} came with it.")
    if not isinstance(choices, list | tuple) or not choices:
        raise SpaceError(f"choices is a list of at least one value, but got {show(choices)}.")
    return Choice.among([domain.check(option) for option in choices], domain.when)


def _range_as_json(domain: Int | Float) -> dict[str, Any]:
    numbers = {name: getattr(domain, name) for name in ("low", "high", "step", "log")}
    return {**numbers, **when_as_json(domain.when)}


def _as_length(length: Any) -> tuple[int, int]:
    low, high = length if isinstance(length, list | tuple) and len(length) == 2 else (length, length)
    if not is_int(low) or not is_int(high) or not 0 <= low <= high:
        raise SpaceError(f"a length is (low, high) with 0 <= low <= high, but got {show(length)}.")
    return low, high


def _label(option: Any) -> Any:
    """What a storage keeps for `option`: scalars as they are, a list as its JSON text."""
    return show(option) if isinstance(option, tuple) else option


def _decimal(number: float) -> Fraction:
    """Exactly the decimal that `number` is written as, so that 0.1 is a tenth."""
    return Fraction(repr(float(number)))


def _name(kind: type) -> str:
    return "None" if kind is type(None) else kind.__name__
