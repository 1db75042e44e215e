"""Rotation, shift, shear, zoom and flip in one interpolation."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
from keras import ops

from zoo.builtin.augmentations._layer import AugmentationLayer

# XLA has no kernel for the operation that TensorFlow interpolates with. An implementation with gathers, which
# XLA compiles, takes twice as long without XLA, as on a CPU.
SUPPORTS_JIT = keras.backend.backend() != "tensorflow"


@keras.saving.register_keras_serializable(package="zoo")
class RandomAffine(AugmentationLayer):
    """Transform each image of a batch by its own random affine map during training.

    With all ranges 0 and no flip, the images are returned unchanged.

    Args:
        rotation: largest angle in either direction, degrees.
        shift: largest share of the height and of the width in either direction.
        shear: largest angle in either direction, degrees, below 90.
        zoom: largest share of the size in either direction, below 1.
        flip: `horizontal` (swap left and right), `vertical`, `both` or `none`; each with
            probability 0.5.
        fill: `nearest`, `constant` (0) or `reflect`.
    """

    SETTINGS: ClassVar = ("rotation", "shift", "shear", "zoom", "flip", "fill")

    def __init__(
        self,
        rotation: float = 0.0,
        shift: float = 0.0,
        shear: float = 0.0,
        zoom: float = 0.0,
        flip: str = "none",
        fill: str = "nearest",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.rotation, self.shift, self.shear, self.zoom = rotation, shift, shear, zoom
        self.flip, self.fill = flip, fill
        self.supports_jit = SUPPORTS_JIT

    def change(self, images: Any) -> Any:
        if not any((self.rotation, self.shift, self.shear, self.zoom)) and self.flip == "none":
            return images
        batch, height, width, _ = ops.shape(images)
        draws = self.uniform(-1.0, 1.0, 5, batch)
        zoom = 1.0 + self.zoom * draws[2]
        zoom_x = zoom * self._sign(batch) if self.flip in ("horizontal", "both") else zoom
        zoom_y = zoom * self._sign(batch) if self.flip in ("vertical", "both") else zoom
        maps = affine_maps(
            height,
            width,
            rotation=math.radians(self.rotation) * draws[0],
            shear=math.radians(self.shear) * draws[1],
            zoom_x=zoom_x,
            zoom_y=zoom_y,
            shift_x=self.shift * draws[3],
            shift_y=self.shift * draws[4],
        )
        return resample(images, maps, self.fill)

    def _sign(self, batch: Any) -> Any:
        return ops.where(self.uniform(0.0, 1.0, batch) < 0.5, -1.0, 1.0)


def affine_maps(
    height: Any,
    width: Any,
    *,
    rotation: Any,
    shear: Any,
    zoom_x: Any,
    zoom_y: Any,
    shift_x: Any,
    shift_y: Any,
) -> Any:
    """Return the maps from each output pixel to the input position of its value.

    Coordinates are pixels from the centre of the image, x to the right and y down, so that images that are
    not square are rotated without distortion. An image is zoomed, then sheared, rotated and shifted.

    Args:
        height, width: of the images, pixels.
        rotation: counter-clockwise, radians, `(batch,)` like all arguments that follow.
        shear: angle by which a downward axis leans to the right, radians.
        zoom_x, zoom_y: factors of width and height; a negative factor mirrors.
        shift_x, shift_y: to the right and down, share of the width and of the height.

    Returns:
        `(batch, 8)`, from `about_centre`.
    """
    cos, sin, lean = ops.cos(rotation), ops.sin(rotation), ops.tan(shear)
    # The inverse of rotation · shear · zoom, with [[1, lean], [0, 1]] for the shear.
    a0, a1 = (cos - lean * sin) / zoom_x, (-sin - lean * cos) / zoom_x
    b0, b1 = sin / zoom_y, cos / zoom_y
    x, y = shift_x * ops.cast(width, "float32"), shift_y * ops.cast(height, "float32")
    return about_centre(height, width, (a0, a1, -a0 * x - a1 * y), (b0, b1, -b0 * x - b1 * y))


def about_centre(height: Any, width: Any, row_x: tuple[Any, Any, Any], row_y: tuple[Any, Any, Any]) -> Any:
    """Convert maps with their origin in the image centre to Keras's format, with it in the first pixel.

    Args:
        row_x: `(a0, a1, a2)`, each `(batch,)`, with `x_in = a0 x + a1 y + a2`.
        row_y: `(b0, b1, b2)` likewise, with `y_in = b0 x + b1 y + b2`.

    Returns:
        `(batch, 8)`: `a0, a1, a2, b0, b1, b2, 0, 0`.
    """
    x, y = (ops.cast(width, "float32") - 1.0) / 2.0, (ops.cast(height, "float32") - 1.0) / 2.0
    (a0, a1, a2), (b0, b1, b2) = row_x, row_y
    zero = ops.zeros_like(a0)
    row_x, row_y = (a0, a1, a2 + x - a0 * x - a1 * y), (b0, b1, b2 + y - b0 * x - b1 * y)
    return ops.stack([*row_x, *row_y, zero, zero], axis=-1)


def resample(images: Any, maps: Any, fill: str) -> Any:
    """Apply `maps` to images `(batch, height, width, channels)` with bilinear interpolation."""
    moved = ops.image.affine_transform(
        images, maps, interpolation="bilinear", fill_mode=fill, data_format="channels_last"
    )
    return ops.minimum(moved, 1.0)  # rounding can make the four weights sum to 1.0000001
