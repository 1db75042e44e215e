"""The Keras layer of elastic distortions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo-elastic")
class ElasticDistortion(keras.layers.Layer):
    """Move the pixels of every image by a smooth random field during training.

    Images are float in `[0, 1]`, `(batch, height, width, channels)`; shape, dtype and range stay the same.
    Outside training, or with a strength of 0, the images are unchanged.

    Keras's RandomElasticTransform (3.15, TensorFlow) has a bug: in a compiled `fit`, where the batch size is
    unknown, it replaces every image of a batch by the first one.

    Args:
        strength: root mean square of the displacement along each axis, share of the shorter side.
        smoothness: standard deviation of the Gaussian that smooths the field, share of the shorter side;
            above 0.
        fill: pixels from outside the image: `constant` (0) or `nearest`.
        seed: repeats the sequence of fields; None lets Keras choose.
    """

    def __init__(
        self,
        strength: float,
        smoothness: float,
        fill: str = "constant",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        # Without autocast, because the arithmetic needs float32 under any dtype policy.
        super().__init__(autocast=False, **options)
        self.strength, self.smoothness, self.fill, self.seed = strength, smoothness, fill, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        if not training or not self.strength:
            return images
        rows, columns = self.positions(*ops.shape(images)[:3])
        moved = sampled(ops.cast(images, "float32"), rows, columns, self.fill)
        # Rounding can make the four weights sum to 1.0000001.
        return ops.cast(ops.clip(moved, 0.0, 1.0), images.dtype)

    def positions(self, batch: Any, height: Any, width: Any) -> tuple[Any, Any]:
        """Return the source row and column of each pixel, both `(batch, height, width)`."""
        side = ops.cast(ops.minimum(height, width), "float32")
        noise = keras.random.normal((2, batch, height, width), dtype="float32", seed=self.seed_generator)
        # A two-dimensional Gaussian filter equals one along the rows followed by one along the columns.
        field = ops.matmul(smoothing(height, self.smoothness * side), noise)
        field = ops.matmul(field, ops.transpose(smoothing(width, self.smoothness * side)))
        displacement = self.strength * side * field
        rows = ops.arange(height, dtype="float32")[:, None]
        columns = ops.arange(width, dtype="float32")[None, :]
        return rows + displacement[0], columns + displacement[1]

    def compute_output_spec(self, images: Any, training: bool = False) -> Any:
        return keras.KerasTensor(images.shape, dtype=images.dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("strength", "smoothness", "fill", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def smoothing(size: Any, deviation: Any) -> Any:
    """Return a matrix `(size, size)` that smooths a column of noise by a Gaussian of `deviation` pixels.

    The squares in each row sum to 1, so that noise of variance 1 keeps it, also at the edges.
    """
    position = ops.arange(size, dtype="float32") / deviation
    weights = ops.exp(-((position[:, None] - position[None, :]) ** 2) / 2)
    return weights / ops.sqrt(ops.sum(weights**2, axis=1, keepdims=True))


def sampled(images: Any, rows: Any, columns: Any, fill: str) -> Any:
    """Return the values of `images` at positions between pixels, by bilinear interpolation.

    It uses four gathers. Keras's `map_coordinates` also interpolates along batch and channels, and takes six
    times as long on TensorFlow.
    """
    batch, height, width, channels = ops.shape(images)
    pixels = ops.reshape(images, (batch, height * width, channels))

    def at(row: Any, column: Any) -> Any:
        """Return the pixels at integer positions, `(batch, height, width, channels)`."""
        near_row, near_column = ops.clip(row, 0, height - 1), ops.clip(column, 0, width - 1)
        index = ops.reshape(near_row * width + near_column, (batch, height * width, 1))
        values = ops.reshape(ops.take_along_axis(pixels, index, axis=1), ops.shape(images))
        if fill == "nearest":
            return values
        inside = ops.logical_and(ops.equal(row, near_row), ops.equal(column, near_column))
        return values * ops.cast(inside, "float32")[..., None]

    top, left = ops.floor(rows), ops.floor(columns)
    down, right = (
        (rows - top)[..., None],
        (columns - left)[..., None],
    )  # weights of the lower and the right pixel
    top, left = ops.cast(top, "int32"), ops.cast(left, "int32")
    upper = at(top, left) * (1 - right) + at(top, left + 1) * right
    lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
    return upper * (1 - down) + lower * down
