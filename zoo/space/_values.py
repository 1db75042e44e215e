"""Helpers for values and conditions, shared by the domains and the spaces."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeGuard

from zoo.errors import SpaceError, did_you_mean

Scalar = str | int | float | bool | None
Condition = Mapping[str, Any]


class Suggester(Protocol):
    """An Optuna trial, or another object with these three methods."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


def is_int(value: Any) -> TypeGuard[int]:
    """Return True for an integer other than True and False."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_real(value: Any) -> TypeGuard[float]:
    """Return True for a finite number within the range of float, other than True and False."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_plain(value: Any) -> bool:
    """Return True for scalars, and lists of them, that JSON can store without change.

    NaN is excluded: it is not equal to itself, so the manifest of a study with NaN would always differ.
    """
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, Scalar) and not (isinstance(value, float) and not math.isfinite(value))


def are_equal(one: Any, other: Any) -> bool:
    """Compare values: 1 equals 1.0 but not True, and [1] equals (1,)."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(are_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def as_lists(value: Any) -> Any:
    """Return `value` with tuples as lists, at every level, as JSON has them."""
    return [as_lists(item) for item in value] if isinstance(value, list | tuple) else value


def as_tuples(value: Any) -> Any:
    """Return `value` with lists as tuples, at every level, as a space has them."""
    if isinstance(value, Mapping):
        return {name: as_tuples(item) for name, item in value.items()}
    return tuple(as_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def show(value: Any) -> str:
    """Return `value` as a study file would write it."""
    try:
        return json.dumps(as_lists(value), ensure_ascii=False)
    except TypeError:
        return repr(value)


def invalid_value(expected: object, value: Any, nearest: Any = None) -> SpaceError:
    """Return the error about a `value` that is not in the domain `expected`; `nearest` is a valid value."""
    hint = "" if nearest is None else f" Did you mean {show(nearest)}?"
    return SpaceError(f"expected {expected}, got {show(value)}.{hint}")


def contains(domain: Any, value: Any) -> bool:
    """Return True if `value` is a member of `domain`."""
    try:
        domain.check(value)
    except SpaceError:
        return False
    return True


@contextmanager
def error_prefix(prefix: str) -> Iterator[None]:
    """Start the message of every SpaceError with `prefix`, the location of the problem."""
    try:
        yield
    except SpaceError as error:
        raise SpaceError(f"{prefix}: {error}") from None


def check_keys(table: Mapping[str, Any], *allowed: str) -> None:
    """Raise SpaceError if `table` has a key that is not allowed."""
    for key in table:
        if key not in allowed:
            raise SpaceError(f"no such key '{key}' in a range. {did_you_mean(key, allowed)}")


def conditions(when: Condition | None) -> dict[str, tuple[Any, ...]]:
    """Return the parameters that `when` names, each with the values that meet the condition."""
    return {
        name: tuple(values) if isinstance(values, list | tuple) else (values,)
        for name, values in (when or {}).items()
    }


def when_as_json(when: Condition | None) -> dict[str, Any]:
    """Return `{"when": {"optimizer": ["sgd"]}}`, or {} without a condition."""
    table = {name: as_lists(values) for name, values in sorted(conditions(when).items())}
    return {"when": table} if table else {}
