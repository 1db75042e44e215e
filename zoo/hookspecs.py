"""The four hooks of the plugin contract, and the marks that replace them; the entry-point group is `zoo`.

zoo calls each hook of a plugin once. The hook calls `register(function)` for each component of the plugin.
The function's name is the component's name, the first line of its docstring is the description, and its
keyword-only parameters are the search space.

A function under `@zoo.architecture`, `@zoo.dataset`, `@zoo.augmentation` or `@zoo.metric` in the plugin's
module is registered without a hook.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

import pluggy

from zoo.errors import PluginError, one_line

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")

Register = Callable[[Callable[..., Any]], Any]


@hookspec
def register_datasets(register: Register) -> None:
    """Register datasets: `name(*, …) -> zoo.Dataset`."""


@hookspec
def register_architectures(register: Register) -> None:
    """Register architectures: `name(input_shape, num_classes, *, …) -> keras.Model`, uncompiled."""


@hookspec
def register_augmentations(register: Register) -> None:
    """Register augmentation policies: `name(*, …) -> list[keras.layers.Layer]`."""


@hookspec
def register_metrics(register: Register) -> None:
    """Register metrics: `name(y_true, probabilities) -> float`, higher is better.

    `register(function, direction="minimize")` registers a metric whose lower values are better.
    """


Function = TypeVar("Function", bound=Callable[..., Any])

# Attributes of a marked function.
_MARKS = "zoo_kinds"
_DIRECTION = "zoo_direction"


def architecture(function: Function) -> Function:
    """Mark a function as an architecture: `@zoo.architecture` above it; the function does not change."""
    return _mark(function, "architecture")


def dataset(function: Function) -> Function:
    """Mark a function as a dataset: `@zoo.dataset` above it; the function does not change."""
    return _mark(function, "dataset")


def augmentation(function: Function) -> Function:
    """Mark a function as an augmentation policy: `@zoo.augmentation` above it; it does not change."""
    return _mark(function, "augmentation")


@overload
def metric(function: Function) -> Function: ...
@overload
def metric(*, direction: str) -> Callable[[Function], Function]: ...
def metric(function: Any = None, *, direction: str = "maximize") -> Any:
    """Mark a function as a metric: `@zoo.metric`, or `@zoo.metric(direction="minimize")`, above it."""
    if function is None:
        return partial(metric, direction=direction)
    _mark(function, "metric")
    setattr(function, _DIRECTION, direction)
    return function


def marked_direction(function: Any) -> str | None:
    """Return the direction of a function that is marked as a metric; None for other kinds."""
    return getattr(function, "__dict__", {}).get(_DIRECTION)


def marked_kinds(function: Any) -> tuple[str, ...]:
    """Return the kinds of components as which a function is marked."""
    kinds = getattr(function, "__dict__", {}).get(_MARKS, ())
    return kinds if isinstance(kinds, tuple) else ()


def _mark(function: Function, kind: str) -> Function:
    if not callable(function):
        raise PluginError(
            f"expected @zoo.{kind} above a function, without arguments, got {one_line(repr(function))}."
        )
    try:
        setattr(function, _MARKS, (*marked_kinds(function), kind))
    except AttributeError:  # an object without attributes, which zoo cannot register
        raise PluginError(f"expected @zoo.{kind} above a function, got {one_line(repr(function))}.") from None
    return function
