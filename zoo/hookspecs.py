"""The three hooks of the plugin contract; the entry-point group is `zoo`.

Each hook is called once with `register`. The plugin calls `register(function)` for each component:
the function's name is the registered name, the first line of its docstring the description, and its
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
