"""The four hooks of the plugin contract; the entry-point group is `zoo`.

zoo calls each hook of a plugin once. The hook calls `register(function)` for each component that the plugin
has. The function's name is the component's name, the first line of its docstring is the description, and its
keyword-only parameters are the search space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

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

    `register(function, direction="minimize")` registers a metric of which lower is better.
    """
