"""The images of a split in batches, each read from the memory map when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from zoo.data import Split


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of raw images `(batch, height, width, channels)` and labels `(batch,)`.

    They have the order of the split until `shuffle` is called. The last batch may be smaller.
    """

    def __init__(self, split: Split, batch_size: int, seed: int = 0) -> None:
        super().__init__()
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._order = np.arange(len(split))

    def shuffle(self, epoch: int) -> None:
        """Shuffle for an epoch (from 1). The order depends on the seed and the epoch only."""
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._split))

    def __len__(self) -> int:
        return -(-len(self._split) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._split.images[rows], self._split.labels[rows]
