"""The source of sampled values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Suggester(Protocol):
    """An Optuna trial, or another object with these three methods."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...
