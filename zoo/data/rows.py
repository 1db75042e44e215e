"""Some rows of an array, read when they are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Rows:
    """The rows `chosen` of `array`, in that order, as far as NumPy's own indexing of rows goes.

    A selection of a memory map would be a copy of it in memory, for every trial; of this, only what is
    asked for is read: `rows[3]`, `rows[:2]`, `rows[[5, 1]]`.

    Args:
        array: `(n, …)`, such as images in a memory map.
        chosen: row numbers `(m,)`, or a mask `(n,)`.
    """

    def __init__(self, array: npt.NDArray[Any], chosen: npt.NDArray[Any]) -> None:
        self._array = array
        self._chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._chosen), *self._array.shape[1:])

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        return np.asarray(self._array[self._chosen[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._array[self._chosen], dtype=dtype)
