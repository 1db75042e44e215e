"""What the layers of zoo's own augmentation policies share."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops


class AugmentationLayer(keras.layers.Layer):  # type: ignore[misc]
    """Float images in `[0, 1]`, `(batch, height, width, channels)`, in; the same shape, dtype and range out.

    A layer says in `change` what it does while training; otherwise the images pass untouched. It
    draws from `seed_generator`, for every image anew.

    Args:
        seed: for the same sequence of draws again; drawn by Keras if None.
    """

    SETTINGS: ClassVar[tuple[str, ...]]  # the arguments that the layer is saved with

    def __init__(self, seed: int | None, **options: Any) -> None:
        # Pixels keep their dtype under any policy; the arithmetic needs float32.
        super().__init__(autocast=False, **options)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def change(self, images: Any) -> Any:
        """The images, float32, as they are to be learnt from, in `[0, 1]` again."""
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
        """Numbers between `low` and `high`, float32."""
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)
