"""The domain of lists, whose items are from a domain of single values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.errors import SpaceError, count_text
from zoo.space._domains import Choice, Float, Int, narrow_to_choices
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

    A single number as `length` fixes the length. With `same_length_as="filters"` instead of `length`, the
    list has the length of the earlier list `filters`.
    """

    item: Int | Float | Choice
    length: tuple[int, int] | None = None
    same_length_as: str | None = field(default=None, kw_only=True)
    when: Condition | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.item, Int | Float | Choice):
            raise SpaceError(f"List: item must be an Int, Float or Choice, got {show(self.item)}.")
        if self.item.when is not None:
            raise SpaceError("List: its item has a `when` condition; write `when` in the List instead.")
        if (self.length is None) == (self.same_length_as is None):
            raise SpaceError("List takes either length=(low, high) or same_length_as='other'.")
        if self.length is not None:
            object.__setattr__(self, "length", _as_length(self.length))

    def check(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise invalid_value(f"a list of {self}", value, [value] if contains(self, [value]) else None)
        if self.length is not None and not self.length[0] <= len(value) <= self.length[1]:
            raise SpaceError(f"expected {self._length_text()}, got {len(value)}: {show(value)}.")
        return tuple(self.item.check(item) for item in value)

    def sample(self, name: str, suggester: Suggester, length: int | None = None) -> tuple[Any, ...]:
        """Suggest `NAME.length`, unless the length is fixed or given, and then `NAME.0`, `NAME.1` …."""
        if length is None:
            low, high = self.length or (0, 0)
            length = low if low == high else int(suggester.suggest_int(f"{name}.length", low, high))
        return tuple(self.item.sample(f"{name}.{index}", suggester) for index in range(length))

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        items = self.check(value)
        has_varying_length = self.length is not None and self.length[0] < self.length[1]
        suggestions: dict[str, Any] = {f"{name}.length": len(items)} if has_varying_length else {}
        for index, item in enumerate(items):
            suggestions |= self.item.encode(f"{name}.{index}", item)
        return suggestions

    def narrow(self, table: Mapping[str, Any]) -> List | Choice:
        """Return the part that `table` selects: `length` narrows the length, every other key the items.

        `choices` can also contain whole lists.
        """
        check_keys(table, "length", "low", "high", "step", "log", "choices")
        choices = table.get("choices")
        if isinstance(choices, list | tuple) and any(isinstance(one, list | tuple) for one in choices):
            if self.same_length_as is not None:
                other = self.same_length_as
                raise SpaceError(f"expected choices for one item, got lists; '{other}' sets the length.")
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
        """Return `length` items: the first ones, or all with the last one repeated.

        An empty list is filled with the lowest number or the first option.
        """
        first = self.item.options[0] if isinstance(self.item, Choice) else self.item.low
        last = items[-1] if items else first
        return (*items[:length], *[last] * (length - len(items)))

    def values(self) -> None:
        return None

    def as_json(self) -> dict[str, Any]:
        length = {"length": list(self.length)} if self.length else {"same_length_as": self.same_length_as}
        return {"kind": "list", "item": self.item.as_json(), **length, **when_as_json(self.when)}

    def _narrow_length(self, table: Any) -> tuple[int, int]:
        if self.length is None:
            other = self.same_length_as
            raise SpaceError(f"the list has the length of '{other}'; set the length of '{other}' instead.")
        low, high = self.length
        if isinstance(table, Mapping):
            check_keys(table, "low", "high")
            for bound, value in table.items():
                if is_int(value) and not low <= value <= high:
                    raise SpaceError(f"expected a length inside {low} … {high}, got {bound} = {value}.")
            table = table.get("low", low), table.get("high", high)
        length = _as_length(table)
        if length[0] < low or length[1] > high:
            raise SpaceError(f"expected a length inside {low} … {high}, got {length[0]} … {length[1]}.")
        return length

    def _length_text(self) -> str:
        if self.length is None:
            return f"as many items as '{self.same_length_as}'"
        low, high = self.length
        return f"{low} … {high} items" if low < high else count_text(low, "item")

    def __str__(self) -> str:
        return f"{self._length_text()}, each {self.item}"


def _as_length(length: Any) -> tuple[int, int]:
    low, high = length if isinstance(length, list | tuple) and len(length) == 2 else (length, length)
    if not is_int(low) or not is_int(high) or not 0 <= low <= high:
        raise SpaceError(f"length must be (low, high) with 0 <= low <= high, got {show(length)}.")
    return low, high
