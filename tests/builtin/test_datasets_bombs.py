"""Small files that unpack to much more than their size are refused, before they fill the memory."""

from __future__ import annotations

import gzip
import os
import tracemalloc

import numpy as np
import pytest

from zoo import ZooError
from zoo.builtin.datasets import _csv_file, _keras, array_images, csv_images
from zoo.builtin.datasets._keras import read_cifar, read_npz, read_npz_or_idx

LIMIT = 1_000_000
SIZE = 50 * LIMIT


@pytest.fixture(autouse=True)
def limits(monkeypatch, in_tmp):
    monkeypatch.setattr(_keras, "MAX_UNPACKED_SIZE", LIMIT)
    monkeypatch.setattr(_csv_file, "MAX_LINE_SIZE", LIMIT)


@pytest.fixture
def memory():
    """At the end of the test, the peak of the memory must be far below the unpacked size."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < SIZE / 4


def bomb(path):
    with gzip.open(path, "wb") as file:
        for _ in range(SIZE // LIMIT):
            file.write(bytes(LIMIT))
    return path


def test_gzip_bomb_as_cifar_archive(in_tmp, memory):
    path = bomb(in_tmp / "cifar-10-python.tar.gz")
    with pytest.raises(ValueError, match="it unpacks to more than 1,000,000 bytes"):
        read_cifar(path, ["data_batch_1"], ["test_batch"], b"labels")


def test_gzip_bomb_as_idx_file(in_tmp, memory):
    bomb(in_tmp / _keras.IDX_FILES[0])
    with pytest.raises(ValueError, match="it unpacks to more than 1,000,000 bytes"):
        read_npz_or_idx(in_tmp)


def test_npz_bomb(in_tmp):
    np.savez_compressed(in_tmp / "mnist.npz", **dict.fromkeys(_keras.ARRAYS, np.zeros(SIZE, np.uint8)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="it unpacks to more than 1,000,000 bytes"):
        read_npz(in_tmp / "mnist.npz")
    assert tracemalloc.get_traced_memory()[1] < LIMIT
    tracemalloc.stop()


def test_compressed_csv_without_a_line_break(in_tmp, memory):
    bomb(in_tmp / "train.csv.gz")
    with pytest.raises(ZooError, match=r"train\.csv\.gz has a line of more than 1,000,000 bytes"):
        csv_images(train="train.csv.gz")


def test_row_in_the_middle_without_a_line_break(in_tmp):
    with gzip.open("train.csv.gz", "wb") as file:
        file.write(b"label,a,b\n" + b"1,2,3\n" * 20_000)
        for _ in range(SIZE // LIMIT):
            file.write(b"1" * LIMIT)
    with pytest.raises(ZooError, match=r"train\.csv\.gz has a line of more than 1,000,000 bytes"):
        csv_images(train="train.csv.gz")


def test_arrays_larger_than_the_memory(in_tmp, monkeypatch):
    np.savez_compressed("data.npz", x=np.zeros((10, 500, 500), np.uint8), y=np.zeros(10))
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 1000}.get)
    with pytest.raises(ZooError, match=r"x\.npy unpacks to 0\.0 GB, and this machine has 0\.0 GB of memory"):
        array_images(path="data.npz")
