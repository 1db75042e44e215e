"""A Keras layer that rotates, shifts, shears and zooms in one interpolation."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class RandomAffine(keras.layers.Layer):  # type: ignore[misc]
    """Transform each image of a batch by an affine map of its own while training.

    Images are float, in `[0, 1]`, `(batch, height, width, channels)`; what comes out has the same
    shape, dtype and range. Outside training, or with every range 0, it is the images themselves.

    Args:
        rotation: largest angle in either direction, degrees.
        shift: largest share of the height and of the width in either direction.
        shear: largest angle in either direction, degrees, below 90.
        zoom: largest share of the size in either direction, below 1.
        fill: `nearest`, `constant` (0) or `reflect`.
        seed: for the same sequence of maps again; drawn by Keras if None.
    """

    def __init__(
        self,
        rotation: float = 0.0,
        shift: float = 0.0,
        shear: float = 0.0,
        zoom: float = 0.0,
        fill: str = "nearest",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        # Pixels keep their dtype under any policy; the map itself needs float32.
        super().__init__(autocast=False, **options)
        self.rotation, self.shift, self.shear, self.zoom = rotation, shift, shear, zoom
        self.fill = fill
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # XLA has no kernel for the one operation that TensorFlow does this with.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def call(self, images: Any, training: bool = False) -> Any:
        if not training or not any((self.rotation, self.shift, self.shear, self.zoom)):
            return images
        batch, height, width, _ = ops.shape(images)
        draws = keras.random.uniform((5, batch), -1.0, 1.0, dtype="float32", seed=self.seed_generator)
        maps = affine_maps(
            height,
            width,
            rotation=math.radians(self.rotation) * draws[0],
            shear=math.radians(self.shear) * draws[1],
            zoom=1.0 + self.zoom * draws[2],
            shift_x=self.shift * draws[3],
            shift_y=self.shift * draws[4],
        )
        moved = ops.image.affine_transform(
            ops.cast(images, "float32"),
            maps,
            interpolation="bilinear",
            fill_mode=self.fill,
            data_format="channels_last",
        )
        # Weights that sum to 1.0000001 must not leave the range.
        return ops.cast(ops.clip(moved, 0.0, 1.0), images.dtype)

    def compute_output_spec(self, images: Any, training: bool = False) -> Any:
        return keras.KerasTensor(images.shape, dtype=images.dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("rotation", "shift", "shear", "zoom", "fill", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def affine_maps(
    height: Any, width: Any, *, rotation: Any, shear: Any, zoom: Any, shift_x: Any, shift_y: Any
) -> Any:
    """From each output pixel to where in the input its value comes from, as Keras wants it.

    In pixels about the image's centre, x to the right and y down, so that an image that is not square
    is rotated and not distorted. An image is zoomed, sheared, rotated, then shifted.

    Args:
        height, width: of the images, pixels.
        rotation: counter-clockwise as seen, radians, `(batch,)` like all that follow.
        shear: angle by which what points down leans to the right, radians.
        zoom: factor by which things become larger.
        shift_x, shift_y: to the right and down, share of the width and of the height.

    Returns:
        `(batch, 8)`: `a0, a1, a2, b0, b1, b2, 0, 0` with `x_in = a0 x + a1 y + a2` and
        `y_in = b0 x + b1 y + b2`.
    """
    height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
    centre_x, centre_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    cos, sin, lean = ops.cos(rotation), ops.sin(rotation), ops.tan(shear)
    # The inverse of rotation · shear · zoom, with [[1, lean], [0, 1]] for the shear.
    a0, a1 = (cos - lean * sin) / zoom, (-sin - lean * cos) / zoom
    b0, b1 = sin / zoom, cos / zoom
    moved_x, moved_y = centre_x + shift_x * width, centre_y + shift_y * height
    a2 = centre_x - a0 * moved_x - a1 * moved_y
    b2 = centre_y - b0 * moved_x - b1 * moved_y
    zero = ops.zeros_like(a0)
    return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=-1)
