"""A function like another, under a name and with defaults of its own: a network as data, not as a copy."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from zoo.errors import SpaceError, did_you_mean
from zoo.space._signature import SETTINGS

Result = TypeVar("Result")


def variant(
    function: Callable[..., Result], name: str, description: str, **defaults: Any
) -> Callable[..., Result]:
    """`function` under another name, described anew, with some of its defaults changed.

    What comes back registers like any function, and its keywords and their ranges are those of
    `function`. A keyword with a new default is a setting: left alone it is what the name stands for,
    and a study that gives it a table searches it.

    Args:
        name: under which it registers.
        description: its docstring; the first line is what `zoo list` shows.
        defaults: keyword of `function` → default; each inside the range the author gave it.

    Raises:
        SpaceError: `function` has no such keyword.
    """
    signature = inspect.signature(function)
    keywords = [one.name for one in signature.parameters.values() if one.kind is one.KEYWORD_ONLY]
    for keyword in defaults:
        if keyword not in keywords:
            hint = did_you_mean(keyword, keywords)
            raise SpaceError(f"{name}: {function.__name__} has no keyword '{keyword}'. {hint}")

    @functools.wraps(function)
    def call(*positional: Any, **given: Any) -> Result:
        return function(*positional, **{**defaults, **given})

    call.__name__ = call.__qualname__ = name
    call.__doc__ = description
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            one.replace(default=defaults.get(one.name, one.default)) for one in signature.parameters.values()
        ]
    )
    setattr(call, SETTINGS, getattr(function, SETTINGS, frozenset()) | defaults.keys())
    return call
