"""Variants: a function with other defaults, such as a published network of the same architecture."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from zoo.errors import SpaceError, did_you_mean

Result = TypeVar("Result")

_ATTRIBUTE = "zoo_variant_defaults"


def variant(
    function: Callable[..., Result], name: str, description: str, **defaults: Any
) -> Callable[..., Result]:
    """Return `function` under another name, with another description and some other defaults.

    The result registers like any function; its keywords and ranges are those of `function`. A keyword
    with a new default becomes a `Setting`: it keeps that default unless a study has a table for it.

    Args:
        name: the name to register.
        description: the docstring; `zoo list` shows its first line.
        defaults: new defaults for keywords of `function`, each inside its range.

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
    def call(*positional: Any, **keywords: Any) -> Result:
        return function(*positional, **{**defaults, **keywords})

    call.__name__ = call.__qualname__ = name
    call.__doc__ = description
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            one.replace(default=defaults.get(one.name, one.default)) for one in signature.parameters.values()
        ]
    )
    setattr(call, _ATTRIBUTE, {**(variant_defaults(function) or {}), **defaults})
    return call


def variant_defaults(function: Callable[..., Any]) -> Mapping[str, Any] | None:
    """Return all defaults that `variant` changed, also those of a variant of a variant.

    None for a function that is not a variant. The original of a variant is `function.__wrapped__`.
    """
    defaults: Mapping[str, Any] | None = getattr(function, _ATTRIBUTE, None)
    return defaults
