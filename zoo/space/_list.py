"""Lists: tuples of items from one domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.errors import SpaceError
from zoo.space._scalars import Choice, Float, Int, narrow_to_choices
from zoo.space._values import (
    Condition,
    Suggester,
    check_keys,
    contains,
    invalid_value,
    is_int,
    show,
    when_as_json,
)


@dataclass(frozen=True)
class List:
    """A tuple of `length[0]` to `length[1]` items, each from the domain `item`.

    A single number as `length` fixes the length. `same_length_as="filters"` instead of `length` gives
    the list the length of an earlier one.
    """

    item: Int | Float | Choice
    length: tuple[int, int] | None = None
    same_length_as: str | None = field(default=None, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.item, Int | Float | Choice):
            raise SpaceError(f"List: item must be an Int, Float or Choice, got {show(self.item)}.")
        if self.item.when is not None:
            raise SpaceError("List: item has a `when`; give it to the List instead.")
        if (self.length is None) == (self.same_length_as is None):
            raise SpaceError("List takes either length=(low, high) or same_length_as='other'.")
        if self.length is not None:
            object.__setattr__(self, "length", _as_length(self.length))

    def check(self, value: Any) -> tuple[Any, ...]:
        """Return `value` as a tuple if it is in the domain; raise SpaceError otherwise."""
        if not isinstance(value, list | tuple):
            raise invalid_value(f"a list of {self}", value, [value] if contains(self, [value]) else None)
        if self.length is not None and not self.length[0] <= len(value) <= self.length[1]:
            raise SpaceError(f"expected {self._count()}, got {len(value)}: {show(value)}.")
        return tuple(self.item.check(item) for item in value)

    def sample(self, name: str, suggester: Suggester, length: int | None = None) -> tuple[Any, ...]:
        """Ask for `NAME.length`, unless it is fixed or given, then for `NAME.0`, `NAME.1` …."""
        if length is None:
            low, high = self.length or (0, 0)
            length = low if low == high else int(suggester.suggest_int(f"{name}.length", low, high))
        return tuple(self.item.sample(f"{name}.{index}", suggester) for index in range(length))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        items = self.check(value)
        has_varying_length = self.length is not None and self.length[0] < self.length[1]
        answers: dict[str, Any] = {f"{name}.length": len(items)} if has_varying_length else {}
        for index, item in enumerate(items):
            answers |= self.item.encode(f"{name}.{index}", item)
        return answers

    def narrow(self, table: Mapping[str, Any]) -> List | Choice:
        """Narrow the length by `length`, the items by every other key; `choices` may list whole lists."""
        check_keys(table, "length", "low", "high", "step", "log", "choices")
        choices = table.get("choices")
        if isinstance(choices, list | tuple) and any(isinstance(one, list | tuple) for one in choices):
            if self.same_length_as is not None:
                raise SpaceError(
                    f"expected choices for one item, got whole lists; the length is that of "
                    f"'{self.same_length_as}'."
                )
            return narrow_to_choices(self, table)
        item_table = {key: value for key, value in table.items() if key != "length"}
        item = self.item.narrow(item_table) if item_table else self.item
        length = self._narrow_length(table["length"]) if "length" in table else self.length
        return replace(self, item=item, length=length)

    def clip(self, value: Sequence[Any]) -> tuple[Any, ...]:
        """Return `value` with every item clipped, and resized to an allowed length."""
        low, high = self.length or (len(value), len(value))
        items = [self.item.clip(item) for item in value]
        return self.resize(items, min(max(len(items), low), high))

    def resize(self, items: Sequence[Any], length: int) -> tuple[Any, ...]:
        """Return the first `length` items; the last one is repeated if there are fewer."""
        lowest = self.item.options[0] if isinstance(self.item, Choice) else self.item.low
        filler = items[-1] if items else lowest
        return (*items[:length], *[filler] * (length - len(items)))

    def values(self) -> None:
        return None

    def as_json(self) -> dict[str, Any]:
        length = {"length": list(self.length)} if self.length else {"same_length_as": self.same_length_as}
        return {"kind": "list", "item": self.item.as_json(), **length, **when_as_json(self.when)}

    def _narrow_length(self, table: Any) -> tuple[int, int]:
        if self.length is None:
            leader = self.same_length_as
            raise SpaceError(f"the length is that of '{leader}'; set the length of '{leader}' instead.")
        low, high = self.length
        if isinstance(table, Mapping):
            check_keys(table, "low", "high")
            table = table.get("low", low), table.get("high", high)
        length = _as_length(table)
        if length[0] < low or length[1] > high:
            raise SpaceError(f"expected a length inside {low} … {high}, got {length[0]} … {length[1]}.")
        return length

    def _count(self) -> str:
        if self.length is None:
            return f"as many items as '{self.same_length_as}'"
        low, high = self.length
        return f"{low} … {high} items" if low < high else "1 item" if low == 1 else f"{low} items"

    def __str__(self) -> str:
        return f"{self._count()}, each {self.item}"


def _as_length(length: Any) -> tuple[int, int]:
    low, high = length if isinstance(length, list | tuple) and len(length) == 2 else (length, length)
    if not is_int(low) or not is_int(high) or not 0 <= low <= high:
        raise SpaceError(f"length must be (low, high) with 0 <= low <= high, got {show(length)}.")
    return low, high
