"""How a check fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zoo.errors import InvalidParameters, PluginError, ZooError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class CheckFailed(PluginError, AssertionError):
    """A plugin's function broke the contract; a test that raises it counts as failed."""


@contextmanager
def checking(
    function: Callable[..., Any], what: str, parameters: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Turn what is raised inside into a CheckFailed that names the function and its parameters.

    InvalidParameters passes: it is an answer, and the caller knows whether it may be given there.
    """
    try:
        yield
    except InvalidParameters:
        raise
    except Exception as error:
        kind = "" if isinstance(error, ZooError) else f"{type(error).__name__}: "
        text = " ".join(_COLOURS.sub("", str(error)).split())  # Keras writes paragraphs, in bold
        raise CheckFailed(f"{called(function, parameters)}: {what}: {kind}{text}") from error


def called(function: Callable[..., Any], parameters: Mapping[str, Any] | None = None) -> str:
    """The call as one would type it: `conv_net(dropout=0.25)`; the bare name without parameters."""
    name = getattr(function, "__name__", repr(function))
    if parameters is None:
        return name
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in parameters.items())})"
