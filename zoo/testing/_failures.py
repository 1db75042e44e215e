"""The failures of checks, and the wording of their texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import PluginError, ZooError, one_line

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MAX_ERROR_TEXT = 600  # characters


class CheckFailed(PluginError, AssertionError):
    """A plugin's function broke the contract. pytest counts it as a failure, not as an error.

    `failed` has the names of the checks.
    """

    def __init__(self, text: str, failed: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.failed = tuple(failed)


class Violation(Exception):
    """A breach of the contract that a check found: what was expected and what was found.

    Args:
        call: the call as one would type it; the function's name if empty.
        options: options with which the check looks at this place only, for the line that reproduces it.
        cause: the exception that the plugin raised.
    """

    def __init__(
        self,
        text: str,
        call: str = "",
        options: Mapping[str, Any] | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(text)
        self.call = call
        self.options = dict(options or {})
        self.__cause__ = cause


class Skipped(Exception):
    """The reason why a check cannot run here."""


def error_text(error: BaseException) -> str:
    """Return a plugin's or Keras's error in one line, without the class of zoo's own errors."""
    text = shortened(one_line(error))
    return text if isinstance(error, ZooError) else f"{type(error).__name__}: {text}"


def shortened(text: str) -> str:
    """Return `text` without terminal colours, and not longer than an error should be."""
    text = _COLOURS.sub("", text)
    return text if len(text) <= _MAX_ERROR_TEXT else f"{text[:_MAX_ERROR_TEXT]} …"


def call_text(name: str, positional: Sequence[Any], parameters: Mapping[str, Any]) -> str:
    """Return the call as one would type it: `conv_net((28, 28, 1), 10, dropout=0.25)`."""
    keywords = [f"{key}={value!r}" for key, value in parameters.items()]
    return f"{name}({', '.join([*map(repr, positional), *keywords])})"


def counted(number: int, noun: str) -> str:
    """Return `1 layer` or `12,345 weights`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def counted_of(tried: int, planned: int, noun: str) -> str:
    """Return `3 points`, or `2 of 3 points (time limit)`."""
    return counted(tried, noun) if tried == planned else f"{tried:,} of {planned:,} {noun}s (time limit)"
