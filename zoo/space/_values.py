"""Small judgements about values, shared by the domains and the spaces."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

from zoo.errors import SpaceError, did_you_mean

Scalar = str | int | float | bool | None
Condition = Mapping[str, Any]


def is_int(value: Any) -> TypeGuard[int]:
    """A whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_real(value: Any) -> TypeGuard[float]:
    """A finite number that a float can hold; True and False are none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_plain(value: Any) -> bool:
    """Whether JSON can hold `value`, and gives back one that equals it: scalars and lists of them."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return isinstance(value, Scalar) and not (isinstance(value, float) and not math.isfinite(value))


def same(one: Any, other: Any) -> bool:
    """Equal, where 1 and 1.0 are the same number but True is not 1, and [1] is as good as (1,)."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def plain(value: Any) -> Any:
    """`value` as JSON gives it back: tuples become lists, all the way down."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def frozen(value: Any) -> Any:
    """The way back: lists become tuples, all the way down."""
    return tuple(frozen(item) for item in value) if isinstance(value, list | tuple) else value


def show(value: Any) -> str:
    """`value` as a study file would write it."""
    try:
        return json.dumps(plain(value), ensure_ascii=False)
    except TypeError:
        return repr(value)


def misfit(domain: object, value: Any, near: Any = None) -> SpaceError:
    """The error about a `value` that `domain` does not hold; `near` is one that it does."""
    hint = "" if near is None else f" Did you mean {show(near)}?"
    return SpaceError(f"expected {domain}, but got {show(value)}.{hint}")


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Puts `subject` in front of a SpaceError, so that it says where."""
    try:
        yield
    except SpaceError as error:
        raise SpaceError(f"{subject}: {error}") from None


def check_keys(table: Mapping[str, Any], *allowed: str) -> None:
    for key in table:
        if key not in allowed:
            raise SpaceError(f"there is no '{key}' in a range. {did_you_mean(key, allowed)}")


def conditions(when: Condition | None) -> dict[str, tuple[Any, ...]]:
    """The parameters that `when` looks at, each with the values that meet it."""
    return {
        name: tuple(wanted) if isinstance(wanted, list | tuple) else (wanted,)
        for name, wanted in (when or {}).items()
    }


def holds(value: Any, wanted: Iterable[Any]) -> bool:
    return any(same(value, one) for one in wanted)


def when_as_json(when: Condition | None) -> dict[str, Any]:
    """`{"when": {"optimizer": ["sgd"]}}`, or nothing."""
    table = {name: plain(wanted) for name, wanted in sorted(conditions(when).items())}
    return {"when": table} if table else {}
