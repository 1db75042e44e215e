"""The base class of zoo's augmentation layers."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops


class AugmentationLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that changes float images in `[0, 1]`, `(batch, height, width, channels)`, during training.

    Shape, dtype and range stay the same. A subclass implements `change` and draws its random numbers with
    `uniform` or from `seed_generator`, separate ones for each image.

    Args:
        seed: repeats the sequence of random numbers; None lets Keras choose.
    """

    SETTINGS: ClassVar[tuple[str, ...]]  # names of the arguments in the layer's config

    def __init__(self, seed: int | None, **options: Any) -> None:
        # Without autocast, because the arithmetic needs float32 under any dtype policy.
        super().__init__(autocast=False, **options)
        self.seed = seed
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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in (*self.SETTINGS, "seed")}}

    def uniform(self, low: float, high: float, *shape: Any) -> Any:
        """Draw float32 numbers between `low` and `high`."""
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)
