"""Rows of a memory map: the same as NumPy's selection, without reading all of it."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.data.validation import Rows


@pytest.fixture
def stored(tmp_path):
    np.save(tmp_path / "images.npy", np.arange(10 * 2 * 3, dtype="uint8").reshape(10, 2, 3, 1))
    return np.load(tmp_path / "images.npy", mmap_mode="r")


MASK = np.arange(10) % 3 == 1


@pytest.mark.parametrize("key", [0, -1, slice(1, 3), slice(None), [2, 0], np.array([1, 1])], ids=str)
def test_rows_equal_the_selection(stored, key):
    rows, selected = Rows(stored, MASK), np.asarray(stored)[MASK]
    assert (rows.shape, rows.dtype, len(rows)) == (selected.shape, stored.dtype, len(selected))
    assert (rows[key] == selected[key]).all()
    assert rows[key].shape == selected[key].shape
    assert (np.asarray(rows) == selected).all()


def test_index_beyond_the_selection_is_an_error(stored):
    with pytest.raises(IndexError):
        Rows(stored, MASK)[3]


def test_indexing_returns_an_array_in_memory(stored):
    assert type(Rows(stored, MASK)[:1]) is np.ndarray
