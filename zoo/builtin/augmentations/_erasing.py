"""Random erasing (Zhong et al. 2017)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import keras
from keras import ops

from zoo.builtin.augmentations._layer import AugmentationLayer


# keras.layers.RandomErasing differs from the paper: it draws width and height independently, so that the
# aspect ratio is unbounded; its noise is a normal distribution clipped at 0 and 1, two thirds of which is
# black or white; and it draws the probability itself, up to the value given.
@keras.saving.register_keras_serializable(package="zoo")
class RandomErasing(AugmentationLayer):
    """Fill a random rectangle of each image during training.

    Args:
        probability: of changing an image.
        smallest, largest: bounds of the rectangle's share of the image area, drawn uniformly.
        elongation: largest ratio of height to width, and of width to height; drawn uniformly on a
            logarithmic scale, among the ratios that fit into the image.
        fill: `noise` (each value drawn uniformly), `black`, or the `mean` colour of the image.
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
        is_changed = ops.less(draws[4], self.probability)
        erased = ops.logical_and(
            ops.logical_and(rows[:, :, None, None], columns[:, None, :, None]),
            is_changed[:, None, None, None],
        )
        if self.fill == "noise":
            filling = self.uniform(0.0, 1.0, batch, height, width, channels)
        elif self.fill == "mean":
            filling = ops.mean(images, axis=(1, 2), keepdims=True)
        else:
            filling = 0.0
        return ops.where(erased, filling, images)

    def _sizes(self, height: Any, width: Any, draw_area: Any, draw_shape: Any) -> tuple[Any, Any]:
        """Return height and width of each rectangle, in whole pixels, at least one."""
        height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
        area = (self.smallest + (self.largest - self.smallest) * draw_area) * height * width
        # The paper draws again if the rectangle does not fit. Drawing among the ratios that fit needs no
        # second draw.
        low = ops.maximum(-math.log(self.elongation), ops.log(area / width**2))
        high = ops.minimum(math.log(self.elongation), ops.log(height**2 / area))
        ratio = ops.exp(low + (high - low) * draw_shape)  # of height to width

        def pixels(side: Any) -> Any:
            return ops.maximum(ops.round(side), 1.0)

        return pixels(ops.sqrt(area * ratio)), pixels(ops.sqrt(area / ratio))


def _covered(length: Any, side: Any, draw: Any) -> Any:
    """Return a mask of the rows (or columns) that a rectangle of `side` covers, `(batch, length)`."""
    positions = ops.arange(length, dtype="float32")[None, :]
    first = ops.floor(draw * (ops.cast(length, "float32") - side + 1.0))[:, None]
    return ops.logical_and(positions >= first, positions < first + side[:, None])
