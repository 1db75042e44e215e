"""What several of the architectures are made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from zoo import Choice, Float, Int, InvalidParameters, List, Setting, variant

Shape = tuple[int | None, int | None, int]  # (height, width, channels); a side may be unknown

# What a named network has is kept unless a study gives it a table.
Activation = Annotated[str, Setting(Choice("relu", "elu", "gelu", "silu", "tanh", "sigmoid", "linear"))]
DenseUnits = Annotated[tuple[int, ...], Setting(List(Int(1, 4096, log=True), length=(0, 6)))]
Rate = Annotated[float, Setting(Float(0.0, 0.9))]
Flag = Annotated[bool, Setting(Choice(False, True))]


def named(function: Callable[..., Any], name: str, line: str, **defaults: Any) -> Callable[..., Any]:
    """`function` as the network `name`: described by `line`, its parameters explained as they were."""
    arguments = (inspect.getdoc(function) or "").partition("Args:\n")[2]
    return variant(function, name, f"{line}\n\nArgs:\n{arguments}", **defaults)


def check_sides(input_shape: Shape, cure: str) -> None:
    """InvalidParameters where a dense layer would follow images of unknown size."""
    if None in input_shape[:2]:
        raise InvalidParameters(f"The size of the images is unknown ({_size(input_shape)}); expected {cure}.")


def check_room(
    input_shape: Shape,
    blocks: Sequence[tuple[int, bool]],
    *,
    kernel_size: int,
    padding: str,
    pool_size: int,
    fewer: str = "fewer filters (a shorter list)",
) -> None:
    """InvalidParameters where a convolution or pooling is larger than what is left of the image.

    Args:
        blocks: how many convolutions each has, and whether it ends in a pooling.
        fewer: what is to be changed where there are too many poolings.
    """
    sides = [side for side in input_shape[:2] if side is not None]
    lost = kernel_size - 1 if padding == "valid" else 0

    def refuse(block: int, what: str, cure: str) -> InvalidParameters:
        left = "×".join(map(str, sides))
        return InvalidParameters(
            f"Block {block} of {len(blocks)} {what}, but of {_size(input_shape)} pixels only "
            f"{left} are left there; expected {cure}."
        )

    for block, (convolutions, pooled) in enumerate(blocks, start=1):
        for _ in range(convolutions):
            if any(side <= lost for side in sides):
                what = f"convolves by {kernel_size}×{kernel_size} with padding 'valid'"
                cure = "padding 'same', a smaller kernel_size, or fewer filters (a shorter list)"
                raise refuse(block, what, cure)
            sides = [side - lost for side in sides]
        if pooled and any(side < pool_size for side in sides):
            cure = fewer + (" or a smaller pool_size" if pool_size > 2 else "")
            raise refuse(block, f"pools by {pool_size}×{pool_size}", cure)
        sides = [side // pool_size for side in sides] if pooled else sides


def check_head(num_classes: int, binary_head: bool) -> None:
    """InvalidParameters where one sigmoid unit would have to tell more than two classes apart."""
    if binary_head and num_classes != 2:
        raise InvalidParameters(
            f"binary_head tells two classes apart, but there are {num_classes}; expected binary_head = false."
        )


def classify(
    features: Any,
    num_classes: int,
    *,
    dense_units: Sequence[int],
    activation: str,
    dropout: float,
    binary_head: bool,
) -> Any:
    """Dense layers, each with dropout behind it, and class probabilities `(batch, num_classes)`.

    `features` are `(batch, features)`. A dropout of 0 is no layer at all.
    """
    from keras import layers

    for units in dense_units:
        features = layers.Dense(units, activation=activation)(features)
        features = drop(features, dropout)
    # Probabilities stay float32 where the rest computes in half precision.
    if not binary_head:
        return layers.Dense(num_classes, activation="softmax", dtype="float32")(features)
    second = layers.Dense(1, activation="sigmoid", dtype="float32")(features)  # (batch, 1)
    first = layers.Rescaling(-1.0, offset=1.0, dtype="float32")(second)
    return layers.Concatenate(dtype="float32")([first, second])


def drop(features: Any, rate: float) -> Any:
    """`features` with a share of `rate` of them dropped while training (Srivastava et al. 2014)."""
    from keras import layers

    return layers.Dropout(rate)(features) if rate > 0 else features


def _size(input_shape: Shape) -> str:
    return "×".join("?" if side is None else str(side) for side in input_shape[:2])
