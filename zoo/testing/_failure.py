"""How a check ends other than well."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import PluginError, ZooError, one_line

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 600  # characters of another's error


class CheckFailed(PluginError, AssertionError):
    """A plugin's function broke the contract; a test that raises it counts as failed.

    `failed` has the names of the checks.
    """

    def __init__(self, text: str, failed: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.failed = tuple(failed)


class Broken(Exception):
    """What a check found: what was expected and what came.

    Args:
        call: what was called, as one would type it; the function's bare name if empty.
        again: options of the check with which it looks there alone, for the line that reproduces it.
    """

    def __init__(self, text: str, call: str = "", again: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.call = call
        self.again = dict(again or {})


class Skipped(Exception):
    """A check that cannot be made here, with the reason."""


def told(error: BaseException) -> str:
    """Another's error in one line; Keras writes paragraphs, in bold."""
    text = shortened(one_line(error))
    return text if isinstance(error, ZooError) else f"{type(error).__name__}: {text}"


def shortened(text: str) -> str:
    """Without colours, and no longer than somebody reads."""
    text = _COLOURS.sub("", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def called(name: str, positional: Sequence[Any] = (), parameters: Mapping[str, Any] | None = None) -> str:
    """The call as one would type it: `conv_net((28, 28, 1), 10, dropout=0.25)`."""
    keywords = [f"{key}={value!r}" for key, value in (parameters or {}).items()]
    return f"{name}({', '.join([*map(repr, positional), *keywords])})"


def counted(number: int, what: str) -> str:
    """`1 layer`, `12,345 weights`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def counted_of(tried: int, planned: int, what: str) -> str:
    """`3 points`; `2 of 3 points, for want of time`."""
    return counted(tried, what) if tried == planned else f"{tried:,} of {planned:,} {what}s, for want of time"
