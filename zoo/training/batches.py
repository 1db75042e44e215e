"""The images of a split, a batch at a time; only what a batch needs is read from the memory map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from zoo.data import Split


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of raw images `(batch, height, width, channels)` and labels `(batch,)`.

    The last one may be smaller. They come in the split's order until `shuffle` gives them another.
    """

    def __init__(self, split: Split, batch_size: int, seed: int = 0) -> None:
        super().__init__()
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._order = np.arange(len(split))

    def shuffle(self, epoch: int) -> None:
        """The order of an epoch (first is 1): by the seed and its number alone, whatever came before."""
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._split))

    def __len__(self) -> int:
        return -(-len(self._split) // self._batch_size)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        rows = self._order[position * self._batch_size : (position + 1) * self._batch_size]
        return self._split.images[rows], self._split.labels[rows]
