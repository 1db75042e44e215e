"""Parameters, checks and layers that several architectures share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from zoo import Choice, Float, Int, InvalidParameters, List, Setting, variant

Shape = tuple[int | None, int | None, int]  # (height, width, channels); None is an unknown side

# A study searches a `Setting` only if its file has a table for it.
Activation = Annotated[str, Setting(Choice("relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear"))]
DenseUnits = Annotated[tuple[int, ...], Setting(List(Int(1, 4096, log=True), length=(0, 6)))]
Rate = Annotated[float, Setting(Float(0.0, 0.9))]
Flag = Annotated[bool, Setting(Choice(False, True))]


class Block(NamedTuple):
    """One convolution for each of `filters`, and a pooling after them if `is_pooled`."""

    filters: Sequence[int]
    is_pooled: bool


def named_variant(
    function: Callable[..., Any], name: str, summary: str, defaults: Mapping[str, Any]
) -> Callable[..., Any]:
    """Return a variant of `function` with another name, summary and defaults, and the same `Args`."""
    arguments = (inspect.getdoc(function) or "").partition("Args:\n")[2]
    return variant(function, name, f"{summary}\n\nArgs:\n{arguments}", **defaults)


def check_sides(input_shape: Shape, parameter: str = "", pooling: str = "flatten") -> None:
    """Raise InvalidParameters if the image size is unknown and `pooling` is `flatten`.

    `parameter` is the name of the parameter that sets `pooling`, if there is one.
    """
    if pooling == "flatten" and None in input_shape[:2]:
        other = f'{parameter} = "average" or "max", or ' if parameter else ""
        raise InvalidParameters(
            f"the image size is unknown ({_size(input_shape)}); expected {other}images of one size."
        )


def check_image_size(
    input_shape: Shape,
    blocks: Sequence[Block],
    kernel_size: int,
    padding: str,
    pool_size: int,
    pooling_fix: str = "fewer filters (a shorter list)",
) -> None:
    """Raise InvalidParameters if a convolution or pooling is larger than its input.

    `pooling_fix` is the advice for a pooling that is too large.
    """
    sides = [side for side in input_shape[:2] if side is not None]
    lost_pixels = kernel_size - 1 if padding == "valid" else 0

    def size_error(block: int, action: str, expected: str) -> InvalidParameters:
        left = "×".join(map(str, sides))
        return InvalidParameters(
            f"block {block} of {len(blocks)} {action}, but only {left} of {_size(input_shape)} pixels "
            f"are left; expected {expected}."
        )

    for block, (filters, is_pooled) in enumerate(blocks, start=1):
        for _ in filters:
            if any(side <= lost_pixels for side in sides):
                action = f"convolves by {kernel_size}×{kernel_size} with padding 'valid'"
                expected = "padding 'same', a smaller kernel_size, or fewer filters (a shorter list)"
                raise size_error(block, action, expected)
            sides = [side - lost_pixels for side in sides]
        if is_pooled and any(side < pool_size for side in sides):
            expected = pooling_fix + (" or a smaller pool_size" if pool_size > 2 else "")
            raise size_error(block, f"pools by {pool_size}×{pool_size}", expected)
        sides = [side // pool_size for side in sides] if is_pooled else sides


def check_head(num_classes: int, binary_head: bool) -> None:
    """Raise InvalidParameters if one sigmoid unit is used for more than two classes."""
    if binary_head and num_classes != 2:
        raise InvalidParameters(
            f"binary_head is for two classes, got {num_classes}; expected binary_head = false."
        )


def add_head(
    maps: Any,
    num_classes: int,
    pooling: str,
    feature_dropout: float,
    dense_units: Sequence[int],
    activation: str,
    dropout: float,
    binary_head: bool,
) -> Any:
    """Return class probabilities `(batch, num_classes)` of feature maps `(batch, height, width, filters)`.

    The maps are pooled (`flatten`, `max` or `average`) to `(batch, features)`. There is one dense layer for
    each item of `dense_units`, followed by dropout.
    """
    from keras import layers

    poolings = {
        "flatten": layers.Flatten,
        "max": layers.GlobalMaxPooling2D,
        "average": layers.GlobalAveragePooling2D,
    }
    features = add_dropout(poolings[pooling]()(maps), feature_dropout)
    for units in dense_units:
        features = add_dropout(layers.Dense(units, activation=activation)(features), dropout)
    # Probabilities stay float32 under mixed precision.
    if not binary_head:
        return layers.Dense(num_classes, activation="softmax", dtype="float32")(features)
    second = layers.Dense(1, activation="sigmoid", dtype="float32")(features)  # (batch, 1)
    first = layers.Rescaling(-1.0, offset=1.0, dtype="float32")(second)
    return layers.Concatenate(dtype="float32")([first, second])


def add_dropout(features: Any, rate: float) -> Any:
    """Apply dropout (Srivastava et al. 2014); a rate of 0 adds no layer."""
    from keras import layers

    return layers.Dropout(rate)(features) if rate > 0 else features


def _size(input_shape: Shape) -> str:
    return "×".join("?" if side is None else str(side) for side in input_shape[:2])
