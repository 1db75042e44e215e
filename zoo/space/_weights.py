"""Class weights: words that a study can search, or a table of numbers that it fixes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.errors import SpaceError
from zoo.space._domains import Choice, narrow_to_choices
from zoo.space._values import contains, invalid_value, is_real, show


class ClassWeights(Choice):
    """One of several words, or a table of weights by class name: `{cat = 2.0, dog = 1}`.

    A study searches the words with `{choices = ["none", "balanced"]}`. Any other table is a table of weights.
    """

    def check(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return super().check(value)
        for weight in value.values():
            if not is_real(weight) or weight <= 0:
                raise invalid_value("a weight > 0 for each class that the table names", value)
        return {str(name): float(weight) for name, weight in value.items()}

    @staticmethod
    def is_range(table: Mapping[str, Any]) -> bool:
        """Return True if a study's table is a range to search, not a table of weights."""
        return not table or (set(table) == {"choices"} and isinstance(table["choices"], list | tuple))

    def narrow(self, table: Mapping[str, Any]) -> Choice:
        for option in table["choices"]:
            if not contains(Choice(*self.options), option):
                words = " | ".join(map(show, self.options))
                raise SpaceError(
                    f"expected choices from {words}, got {show(option)}; "
                    "a table of weights can be fixed, not searched."
                )
        return narrow_to_choices(self, table)

    def clip(self, value: Any) -> Any:
        return value if isinstance(value, Mapping) else super().clip(value)

    def __str__(self) -> str:
        return f"{super().__str__()}, or a table of weights by class name"
