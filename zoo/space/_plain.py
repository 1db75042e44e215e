"""Plain types: parameters that a study fixes and never searches, such as a path."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from zoo.errors import SpaceError
from zoo.space._values import Condition, as_tuples, invalid_value, is_plain, is_real

_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Plain:
    """A value of one of several plain types: scalars, and lists of them such as `list[int]`."""

    types: tuple[Any, ...]
    when: ClassVar[Condition | None] = None

    def check(self, value: Any) -> Any:
        """Return `value` with lists as tuples; an integer becomes a float if only a float is expected."""
        for kind in sorted(self.types, key=lambda kind: kind is float):
            with suppress(SpaceError):
                return self._convert(value, kind)
        raise invalid_value(self, value)

    def _convert(self, value: Any, kind: Any) -> Any:
        if not is_plain(value):
            raise invalid_value(self, value)
        if kind in _SCALARS:
            if kind is float and is_real(value):
                return float(value)
            if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
                return value
        elif isinstance(value, list | tuple):
            return tuple(
                as_tuples(item) if domain is None else domain.check(item)
                for item, domain in zip(value, _item_domains(kind, len(value)), strict=True)
            )
        raise invalid_value(self, value)

    def narrow(self, table: Mapping[str, Any]) -> Plain:
        raise SpaceError(f"it cannot be searched: expected {self}, got a table; write one value.")

    def clip(self, value: Any) -> Any:
        return value

    def values(self) -> None:
        return None

    def as_json(self) -> dict[str, Any]:
        return {"kind": "plain", "types": [_type_name(kind) for kind in self.types]}

    def __str__(self) -> str:
        return " or ".join(_type_name(kind) for kind in self.types)


def plain_domain(annotation: Any) -> Plain | None:
    """Return the domain of a plain annotation: `str`, `int | None`, `list[int]`; None for any other."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if is_union else (annotation,)
    kinds = tuple(type(None) if member is None else member for member in members)
    is_known = all(kind in _SCALARS or (typing.get_origin(kind) or kind) in (list, tuple) for kind in kinds)
    return Plain(kinds) if is_known else None


def _item_domains(kind: Any, length: int) -> list[Plain | None]:
    """Return the domain of each item of a list; None for an item type that is not plain."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and len(arguments) > 1 and arguments[-1] is not ...:
        if len(arguments) != length:
            raise SpaceError(f"expected {len(arguments)} items, got {length}.")
        return [plain_domain(argument) for argument in arguments]
    return [plain_domain(arguments[0]) if arguments else None] * length


def _type_name(kind: Any) -> str:
    if kind is type(None):
        return "None"
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
