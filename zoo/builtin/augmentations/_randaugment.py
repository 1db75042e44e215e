"""RandAugment (Cubuk et al. 2019): random operations in sequence, all of one strength."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from zoo.builtin.augmentations._layers import SUPPORTS_JIT, AugmentationLayer, move_origin, resample

# The fourteen operations of the paper; the last one is optional.
OPERATIONS = (
    "identity", "auto_contrast", "equalize", "rotate", "color", "posterize", "contrast",
    "brightness", "sharpness", "shear_x", "shear_y", "translate_x", "translate_y", "solarize",
)  # fmt: skip

# The strengths at magnitude 30, as in torchvision.
LARGEST_MAGNITUDE = 30
ROTATION = math.radians(30)
SHEAR = 0.3  # horizontal pixels per vertical pixel, or vertical per horizontal
SHIFT = 150 / 331  # of the width or height
BLEND = 0.9  # factors of brightness, contrast, color and sharpness from 0.1 to 1.9
LOST_BITS = 4  # of 8

# 1 for operations that mix the image with a plain one (grey, black or smoothed), also with negative weight.
_BLENDS = [float(name in ("color", "contrast", "brightness", "sharpness")) for name in OPERATIONS]

LUMA = (0.299, 0.587, 0.114)  # perceived brightness of red, green, blue (ITU-R BT.601)
LEVELS = 256


# keras.layers.RandAugment draws its operations once per batch, and its default strength rotates images by
# up to 180°.
@keras.saving.register_keras_serializable(package="zoo")
class RandAugment(AugmentationLayer):
    """Apply `operations` random OPERATIONS to each image during training.

    Each image draws its own operations and their signs. All its geometric operations are applied first, in
    one interpolation. The arguments are those of the policy `randaugment`.
    """

    def __init__(
        self,
        operations: int = 2,
        magnitude: float = 9,
        solarize: bool = False,
        fill: str = "nearest",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.operations, self.magnitude = operations, magnitude
        self.solarize, self.fill = solarize, fill
        self.supports_jit = SUPPORTS_JIT

    def change(self, images: Any) -> Any:
        shape = (self.operations, ops.shape(images)[0])
        num_operations = len(OPERATIONS) if self.solarize else len(OPERATIONS) - 1
        operation = keras.random.randint(shape, 0, num_operations, seed=self.seed_generator)
        strength = ops.where(self.uniform(0.0, 1.0, *shape) < 0.5, -1.0, 1.0)
        strength = strength * (self.magnitude / LARGEST_MAGNITUDE)
        images = resample(images, _maps(images, operation, strength), self.fill)
        for step in range(self.operations):
            images = self._recolor(images, operation[step], strength[step])
        return images

    def _recolor(self, images: Any, operation: Any, strength: Any) -> Any:
        """Apply one step to each image, unless it is geometric; `operation` and `strength` are `(batch,)`."""
        share = self.magnitude / LARGEST_MAGNITUDE

        def where(name: str, changed: Any, otherwise: Any) -> Any:
            return ops.where(_is_operation(operation, name)[:, None, None, None], changed, otherwise)

        grey = _to_grey(images)
        plain = where("contrast", ops.mean(grey, axis=(1, 2), keepdims=True), ops.zeros_like(grey))
        plain = where("color", grey, plain)
        plain = where("sharpness", _smooth(images), plain)
        factor = 1.0 + BLEND * strength * ops.take(_BLENDS, operation)  # 1 changes nothing
        changed = ops.clip(plain + factor[:, None, None, None] * (images - plain), 0.0, 1.0)
        changed = where("auto_contrast", _auto_contrast(images), changed)
        changed = where("equalize", _equalize(images), changed)
        changed = where("posterize", _posterize(images, round(LOST_BITS * share)), changed)
        if not self.solarize:
            return changed
        return where("solarize", ops.where(images > 1.0 - share, 1.0 - images, images), changed)


def _is_operation(operation: Any, name: str) -> Any:
    return ops.equal(operation, OPERATIONS.index(name))


def _maps(images: Any, operation: Any, strength: Any) -> Any:
    """Return one map for all geometric steps of each image.

    `operation` and `strength` are `(steps, batch)`.
    """
    _, height, width, _ = ops.shape(images)

    def amount(name: str, largest: Any) -> Any:
        return ops.where(_is_operation(operation, name), strength * largest, 0.0)  # (steps, batch)

    rotation = amount("rotate", ROTATION)
    shear_x, shear_y = amount("shear_x", SHEAR), amount("shear_y", SHEAR)
    shift_x = amount("translate_x", SHIFT * ops.cast(width, "float32"))
    shift_y = amount("translate_y", SHIFT * ops.cast(height, "float32"))
    # The inverse of each step, about the centre; a step has at most one geometric operation.
    one, zero = ops.ones_like(rotation), ops.zeros_like(rotation)
    cells = [ops.cos(rotation), -ops.sin(rotation) - shear_x, -shift_x]
    cells += [ops.sin(rotation) - shear_y, ops.cos(rotation), -shift_y]
    cells += [zero, zero, one]
    steps = ops.reshape(ops.stack(cells, axis=-1), (operation.shape[0], -1, 3, 3))  # (steps, batch, 3, 3)
    combined = steps[0]
    for step in range(1, steps.shape[0]):
        combined = ops.matmul(combined, steps[step])
    rows = [tuple(combined[:, row, column] for column in range(3)) for row in range(2)]
    return move_origin(height, width, rows[0], rows[1])


def _to_grey(images: Any) -> Any:
    """Return perceived brightness, `(batch, height, width, 1)`; the mean unless there are three channels."""
    if images.shape[-1] != len(LUMA):
        return ops.mean(images, axis=-1, keepdims=True)
    return ops.sum(images * ops.array(LUMA, dtype="float32"), axis=-1, keepdims=True)


def _smooth(images: Any) -> Any:
    """Return the mean of each pixel (weight 5) and its eight neighbours (weight 1), PIL's SMOOTH."""
    means = ops.average_pool(images, 3, strides=1, padding="same", data_format="channels_last")
    return (9.0 * means + 4.0 * images) / 13.0


def _auto_contrast(images: Any) -> Any:
    """Stretch each channel of each image to the range 0 to 1, unless it has a single value."""
    low, high = ops.min(images, axis=(1, 2), keepdims=True), ops.max(images, axis=(1, 2), keepdims=True)
    return ops.where(high > low, (images - low) / ops.maximum(high - low, 1e-6), images)


def _posterize(images: Any, lost_bits: int) -> Any:
    """Set the last `lost_bits` of 8 bits to 0."""
    if lost_bits == 0:
        return images
    step = 2**lost_bits
    return ops.floor(ops.round(images * (LEVELS - 1)) / step) * step / (LEVELS - 1)


def _equalize(images: Any) -> Any:
    """Equalise the histogram of 256 levels of each channel of each image, as PIL does.

    keras.layers.Equalization makes one histogram for the whole batch.
    """
    batch, height, width, channels = ops.shape(images)
    levels = ops.cast(ops.round(images * (LEVELS - 1)), "int32")
    histograms = batch * channels
    first = LEVELS * ops.reshape(ops.arange(histograms, dtype="int32"), (batch, 1, 1, channels))
    bins = ops.reshape(levels + first, (-1,))
    counts = ops.segment_sum(ops.ones_like(bins), bins, num_segments=histograms * LEVELS)
    counts = ops.cast(ops.reshape(counts, (histograms, LEVELS)), "float32")
    num_darker = ops.cumsum(counts, axis=-1) - counts  # pixels, for each level
    largest = ops.max(ops.where(counts > 0, num_darker, 0.0), axis=-1, keepdims=True)
    curves = ops.reshape(num_darker / ops.maximum(largest, 1.0), (-1,))
    equalized = ops.reshape(ops.take(curves, bins), (batch, height, width, channels))
    has_contrast = ops.reshape(largest > 0, (batch, 1, 1, channels))  # more than one level
    return ops.where(has_contrast, equalized, images)
