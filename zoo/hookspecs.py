"""The three hooks a plugin may implement. Entry-point group: `zoo`.

Each is called once with `register`; the plugin calls `register(function)` for everything it offers.
The function's name is the registered name, its docstring's first line the description, its
keyword-only parameters the search space.
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
