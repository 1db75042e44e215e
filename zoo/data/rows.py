"""Selected rows of an array, read only when they are indexed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Rows:
    """The selected rows of `array`, indexed like a NumPy array along the first axis.

    Indexing a memory map with many rows copies them into memory, in every trial. This class reads only
    the rows that are asked for: `rows[3]`, `rows[:2]`, `rows[[5, 1]]`.

    Args:
        array: `(n, …)`, such as images in a memory map.
        selection: row numbers `(m,)`, or a mask `(n,)`.
    """

    def __init__(self, array: npt.NDArray[Any], selection: npt.NDArray[Any]) -> None:
        self._array = array
        self._numbers = np.flatnonzero(selection) if selection.dtype == bool else selection

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._numbers), *self._array.shape[1:])

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        return np.asarray(self._array[self._numbers[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self._array[self._numbers], dtype=dtype)
