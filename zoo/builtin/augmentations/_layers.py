"""The layers of zoo's augmentation policies, except RandAugment."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

# XLA cannot compile the operation with which TensorFlow interpolates. An implementation with gathers would
# compile, but takes twice as long without XLA, for example on a CPU.
SUPPORTS_JIT = keras.backend.backend() != "tensorflow"


class AugmentationLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that changes float images in `[0, 1]`, `(batch, height, width, channels)`, during training.

    Shape, dtype and range stay the same. A subclass implements `change` and draws random numbers for each
    image with `uniform` or `seed_generator`; an equal `seed` gives equal numbers. Keras saves the arguments
    of `__init__` as the layer's config.
    """

    def __init__(self, seed: int | None, **options: Any) -> None:
        # Without autocast, because the arithmetic needs float32 under any dtype policy.
        super().__init__(autocast=False, **options)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def change(self, images: Any) -> Any:
        """Return the changed images, float32 in `[0, 1]`."""
        raise NotImplementedError

    def call(self, images: Any, training: bool = False) -> Any:
        if not training:
            return images
        return ops.cast(self.change(ops.cast(images, "float32")), images.dtype)

    def compute_output_spec(self, images: Any, training: bool = False) -> Any:
        return keras.KerasTensor(images.shape, dtype=images.dtype)

    def uniform(self, low: float, high: float, *shape: Any) -> Any:
        """Draw float32 numbers between `low` and `high`."""
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)


@keras.saving.register_keras_serializable(package="zoo")
class RandomAffine(AugmentationLayer):
    """Transform each image of a batch by its own random affine map during training.

    The arguments are those of the policy `affine_flip`; `flip` can also be `none`. With all ranges 0 and no
    flip, the images are returned unchanged.
    """

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
    """Return maps from the position of an output pixel to the input position from which it gets its value.

    Coordinates are pixels from the centre of the image, x to the right and y down, so that images that are
    not square are rotated without distortion. An image is zoomed (a negative factor mirrors it), then
    sheared, rotated counter-clockwise and shifted by a share of its width and height. Angles are radians;
    all arguments after `width` have shape `(batch,)`, the result `(batch, 8)`.
    """
    cos, sin, shear_factor = ops.cos(rotation), ops.sin(rotation), ops.tan(shear)
    # The inverse of rotation · shear · zoom, with [[1, shear_factor], [0, 1]] for the shear.
    a0, a1 = (cos - shear_factor * sin) / zoom_x, (-sin - shear_factor * cos) / zoom_x
    b0, b1 = sin / zoom_y, cos / zoom_y
    x, y = shift_x * ops.cast(width, "float32"), shift_y * ops.cast(height, "float32")
    return move_origin(height, width, (a0, a1, -a0 * x - a1 * y), (b0, b1, -b0 * x - b1 * y))


def move_origin(height: Any, width: Any, row_x: tuple[Any, Any, Any], row_y: tuple[Any, Any, Any]) -> Any:
    """Return the map given by its rows in Keras's format, whose origin is the first pixel, not the centre.

    The rows are `(a0, a1, a2)` and `(b0, b1, b2)`, each `(batch,)`, with `x_in = a0 x + a1 y + a2` and
    `y_in = b0 x + b1 y + b2`. Keras's format is `(batch, 8)`: `a0, a1, a2, b0, b1, b2, 0, 0`.
    """
    x, y = (ops.cast(width, "float32") - 1.0) / 2.0, (ops.cast(height, "float32") - 1.0) / 2.0
    (a0, a1, a2), (b0, b1, b2) = row_x, row_y
    zero = ops.zeros_like(a0)
    row_x, row_y = (a0, a1, a2 + x - a0 * x - a1 * y), (b0, b1, b2 + y - b0 * x - b1 * y)
    return ops.stack([*row_x, *row_y, zero, zero], axis=-1)


def resample(images: Any, maps: Any, fill: str) -> Any:
    """Apply `maps` to images `(batch, height, width, channels)` with bilinear interpolation."""
    result = ops.image.affine_transform(
        images, maps, interpolation="bilinear", fill_mode=fill, data_format="channels_last"
    )
    return ops.minimum(result, 1.0)  # rounding can make the four weights sum to 1.0000001


# keras.layers.RandomErasing differs from the paper: it draws width and height independently, so that the
# aspect ratio has no limit; two thirds of its noise, a clipped normal distribution, are black or white; and
# it draws the probability too, up to the given value.
@keras.saving.register_keras_serializable(package="zoo")
class RandomErasing(AugmentationLayer):
    """Fill a random rectangle of each image during training (Zhong et al. 2017).

    The arguments are those of the policy `erasing`; `smallest` is the smallest share of the image area. The
    ratio of height to width is drawn on a logarithmic scale, among the ratios that fit into the image.
    """

    def __init__(
        self,
        probability: float = 0.5,
        smallest: float = 0.02,
        largest: float = 0.4,
        elongation: float = 10 / 3,
        fill: str = "noise",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.probability, self.smallest, self.largest = probability, smallest, largest
        self.elongation, self.fill = elongation, fill

    def change(self, images: Any) -> Any:
        batch, height, width, channels = ops.shape(images)
        draws = self.uniform(0.0, 1.0, 5, batch)
        rectangle_height, rectangle_width = self._sizes(height, width, draws[0], draws[1])
        rows = _mask(height, rectangle_height, draws[2])  # (batch, height)
        columns = _mask(width, rectangle_width, draws[3])  # (batch, width)
        is_changed = ops.less(draws[4], self.probability)
        erased = ops.logical_and(
            ops.logical_and(rows[:, :, None, None], columns[:, None, :, None]),
            is_changed[:, None, None, None],
        )
        filling = 0.0  # black
        if self.fill == "noise":
            filling = self.uniform(0.0, 1.0, batch, height, width, channels)
        elif self.fill == "mean":
            filling = ops.mean(images, axis=(1, 2), keepdims=True)
        return ops.where(erased, filling, images)

    def _sizes(self, height: Any, width: Any, draw_area: Any, draw_shape: Any) -> tuple[Any, Any]:
        """Return height and width of each rectangle, in whole pixels >= 1; the draws are from 0 to 1."""
        height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
        area = (self.smallest + (self.largest - self.smallest) * draw_area) * height * width
        # The paper draws again if the rectangle does not fit. Here, only ratios that fit are drawn.
        low = ops.maximum(-math.log(self.elongation), ops.log(area / width**2))
        high = ops.minimum(math.log(self.elongation), ops.log(height**2 / area))
        ratio = ops.exp(low + (high - low) * draw_shape)  # of height to width

        def pixels(side: Any) -> Any:
            return ops.maximum(ops.round(side), 1.0)

        return pixels(ops.sqrt(area * ratio)), pixels(ops.sqrt(area / ratio))


def _mask(length: Any, side: Any, draw: Any) -> Any:
    """Return a mask of the rows (or columns) that a rectangle of `side` covers, `(batch, length)`.

    `draw`, from 0 to 1, decides the position.
    """
    positions = ops.arange(length, dtype="float32")[None, :]
    first = ops.floor(draw * (ops.cast(length, "float32") - side + 1.0))[:, None]
    return ops.logical_and(positions >= first, positions < first + side[:, None])
