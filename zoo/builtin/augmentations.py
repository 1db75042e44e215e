"""The augmentation policies zoo ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Float, hookimpl

if TYPE_CHECKING:
    import keras


@hookimpl
def register_augmentations(register: Any) -> None:
    register(none)
    register(affine)


def none() -> list[keras.layers.Layer]:
    """Leave the images as they are."""
    return []


def affine(
    *,
    rotation: Annotated[float, Float(0.0, 45.0)] = 8.0,
    shift: Annotated[float, Float(0.0, 0.3)] = 0.08,
    shear: Annotated[float, Float(0.0, 30.0)] = 5.0,
    zoom: Annotated[float, Float(0.0, 0.4)] = 0.08,
    fill: Annotated[str, Choice("nearest", "constant", "reflect")] = "nearest",
) -> list[keras.layers.Layer]:
    """Rotate, shift, shear and zoom every image at random, in one interpolation.

    Each number is the largest change in either direction; every image draws its own, uniformly.

    Args:
        rotation: about the image's centre, degrees.
        shift: share of the height and of the width.
        shear: of the vertical against the horizontal axis, degrees.
        zoom: share of the size, for both sides alike: 0.08 draws factors from 0.92 to 1.08.
        fill: what comes in from outside: the `nearest` pixel, black (`constant`), the image mirrored
            at its edge (`reflect`).
    """
    from zoo.builtin._affine import RandomAffine

    return [RandomAffine(rotation=rotation, shift=shift, shear=shear, zoom=zoom, fill=fill)]
