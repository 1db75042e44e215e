"""Erase a rectangle of each image (Zhong et al. 2017)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
from keras import ops

from zoo.builtin.augmentations._layer import AugmentationLayer


# Not keras.layers.RandomErasing: it draws width and height apart from each other, so that the shape of
# its rectangles is unbounded; its noise is a normal distribution cut at 0 and 1, two thirds of which
# are black or white; and its single probability is the upper bound of one that it draws.
@keras.saving.register_keras_serializable(package="zoo")
class RandomErasing(AugmentationLayer):
    """Fill a rectangle, at a place of its own in each image, while training.

    Args:
        probability: that an image is changed at all.
        smallest, largest: share of the image's area; drawn uniformly between them.
        elongation: at most so many times as high as wide, or as wide as high; drawn evenly on a
            logarithmic scale, among what fits into the image.
        fill: `noise` (every value drawn uniformly), `black`, or the image's own `mean` colour.
    """

    SETTINGS: ClassVar = ("probability", "smallest", "largest", "elongation", "fill")

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
        rows = _covered(height, rectangle_height, draws[2])  # (batch, height)
        columns = _covered(width, rectangle_width, draws[3])  # (batch, width)
        chosen = ops.less(draws[4], self.probability)
        erased = ops.logical_and(
            ops.logical_and(rows[:, :, None, None], columns[:, None, :, None]), chosen[:, None, None, None]
        )
        if self.fill == "noise":
            filling = self.uniform(0.0, 1.0, batch, height, width, channels)
        elif self.fill == "mean":
            filling = ops.mean(images, axis=(1, 2), keepdims=True)
        else:
            filling = 0.0
        return ops.where(erased, filling, images)

    def _sizes(self, height: Any, width: Any, draw_area: Any, draw_shape: Any) -> tuple[Any, Any]:
        """Height and width of each image's rectangle, whole pixels, at least one."""
        height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
        area = (self.smallest + (self.largest - self.smallest) * draw_area) * height * width
        # The paper draws again what is higher or wider than the image; drawn among what fits, one draw
        # is enough.
        low = ops.maximum(-math.log(self.elongation), ops.log(area / width**2))
        high = ops.minimum(math.log(self.elongation), ops.log(height**2 / area))
        ratio = ops.exp(low + (high - low) * draw_shape)  # height to width

        def pixels(side: Any) -> Any:
            return ops.maximum(ops.round(side), 1.0)

        return pixels(ops.sqrt(area * ratio)), pixels(ops.sqrt(area / ratio))


def _covered(length: Any, side: Any, draw: Any) -> Any:
    """Which of `length` rows (or columns) a rectangle of `side` covers, `(batch, length)`."""
    places = ops.arange(length, dtype="float32")[None, :]
    first = ops.floor(draw * (ops.cast(length, "float32") - side + 1.0))[:, None]
    return ops.logical_and(places >= first, places < first + side[:, None])
