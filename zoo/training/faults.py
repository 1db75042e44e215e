"""Errors of a trial, and the plugin and the line of code at fault."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import PluginError, ZooError, one_line
from zoo.registry import Component

_MAX_CHARACTERS = 1000


class NotFinite(ZooError):
    """A loss or metric became NaN or infinite, so no later result of the training is valid."""


class TooLarge(ZooError):
    """A network has more parameters than the study allows."""

    def __init__(self, num_parameters: int, limit: int) -> None:
        super().__init__(f"{num_parameters:,} parameters, but max_parameters is {limit:,}")
        self.num_parameters = num_parameters


class PluginFault(PluginError):
    """An error in the code of a plugin, or a breach of its contract; names the plugin and its version."""


@contextmanager
def blame(component: Component) -> Iterator[None]:
    """Name the plugin of `component` in any error of the block.

    Errors that name their cause themselves pass unchanged: InvalidParameters and zoo's other errors, and
    those for lack of memory.

    Raises:
        PluginFault: the plugin broke the contract, or raised an error of its own.
    """
    try:
        yield
    except PluginError as error:
        raise PluginFault(f"{_subject(component)}: {error}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, ZooError) or _is_out_of_memory(error):
            raise
        raise _fault(component, error) from error


@contextmanager
def blame_by_location(*components: Component) -> Iterator[None]:
    """Name the plugin whose code raised the error, where the block runs code of zoo and Keras too."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        for component in components:
            if _location(error, component) and not _is_out_of_memory(error):
                raise _fault(component, error) from error
        raise


def describe_error(error: BaseException) -> str:
    """Return `error` in one line: `KeyError: 'sharpness'`, or its text alone for one of zoo's errors."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", one_line(error))  # Keras writes some words in bold
    if _is_out_of_memory(error):
        return f"out of memory: {text[:300]}" if text else "out of memory"
    text = text[:_MAX_CHARACTERS]
    return text if isinstance(error, ZooError) else f"{type(error).__name__}: {text}"


def _fault(component: Component, error: BaseException) -> PluginFault:
    location = _location(error, component)
    place = f", at {location}" if location else ""
    return PluginFault(f"{_subject(component)} raised {describe_error(error)}{place}")


def _subject(component: Component) -> str:
    return f"The {component.kind} '{component.name}' of {component.origin}"


def _is_out_of_memory(error: BaseException) -> bool:
    """Every backend has its own error for lack of memory."""
    names = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
    return type(error).__name__ in names or "RESOURCE_EXHAUSTED" in one_line(error)


def _location(error: BaseException, component: Component) -> str:
    """Return the innermost line of the plugin's code in the traceback: `zoo_x/nets.py:12`; "" if none."""
    package = component.function.__module__.partition(".")[0]
    if package == "zoo":
        package = "zoo.builtin"
    location = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if f"{module}.".startswith(f"{package}."):
            path = Path(frame.f_code.co_filename)
            depth = module.count(".") + (2 if path.stem == "__init__" else 1)
            location = f"{'/'.join(path.parts[-depth:])}:{line}"
    return location
