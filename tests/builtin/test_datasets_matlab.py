"""`notmnist`: a sound or damaged MATLAB file."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from scipy.io import savemat

from zoo import ZooError
from zoo.builtin.datasets import notmnist
from zoo.data.contract import check_contract


def content(count=50, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (28, 28, count)).astype(np.uint8)
    return {"images": images, "labels": np.arange(count, dtype=float)[:, None] % 10}


@pytest.fixture
def file(in_tmp, monkeypatch):
    """Five images of each letter, at the default path."""
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    path = in_tmp / "notMNIST_small.mat"
    savemat(path, content())
    return path


def refused(file, text):
    with pytest.raises(ZooError) as error:
        notmnist()
    assert str(error.value).startswith(str(file))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_sound_file_is_read(file):
    dataset = notmnist()
    check_contract(dataset)
    assert dataset.class_names == tuple("ABCDEFGHIJ")
    assert dataset.train.images.shape == (40, 28, 28, 1)
    assert np.bincount(dataset.test.labels).tolist() == [1] * 10
    assert dataset.source == "notMNIST_small.mat"
    # Every image keeps its label, and is upright.
    labels = {content()["images"][:, :, n].tobytes(): n % 10 for n in range(50)}
    for split in (dataset.train, dataset.test):
        assert all(
            labels[np.ascontiguousarray(image[..., 0]).tobytes()] == label
            for image, label in zip(split.images, split.labels, strict=True)
        )


def test_test_split_never_changes(file):
    dataset = notmnist()
    images = np.moveaxis(content()["images"], -1, 0)
    held = [n for n in range(50) if (dataset.test.images[..., 0] == images[n]).all(axis=(1, 2)).any()]
    assert held == [3, 4, 8, 9, 10, 12, 17, 26, 31, 45]


@pytest.mark.parametrize("shape", [(50, 1), (1, 50), (50,)])
@pytest.mark.parametrize("kind", [np.float64, np.uint8, np.int32])
@pytest.mark.parametrize("compressed", [True, False])
def test_labels_of_every_shape_and_type(file, shape, kind, compressed):
    before = notmnist()
    changed = {**content(), "labels": content()["labels"].reshape(shape).astype(kind)}
    savemat(file, changed, do_compression=compressed)
    assert np.array_equal(notmnist().train.labels, before.train.labels)


def test_float_images_of_integers_are_read(file):
    before = notmnist()
    savemat(file, {**content(), "images": content()["images"].astype(float)})
    assert np.array_equal(notmnist().train.images, before.train.images)


def test_path_in_the_data_folder(file, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("ZOO_DATA_DIR", str(folder))
    savemat(folder / "other.mat", content(60))
    assert notmnist(path="other.mat").source == "other.mat"
    file.unlink()
    with pytest.raises(ZooError, match=rf'path = "notMNIST_small.mat": no such .* or in {folder}\. '):
        notmnist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"images": None}, "expected the arrays images and labels, got labels."),
        ({"labels": None, "images": None, "x": 1}, "expected the arrays images and labels, got x."),
        (
            {"images": np.zeros((28, 28), np.uint8)},
            "images: expected height × width × n, got shape (28, 28)",
        ),
        ({"images": np.full((28, 28, 50), 0.5)}, "images: expected integers from 0 to 255"),
        ({"images": np.full((28, 28, 50), 256)}, "images: expected integers from 0 to 255"),
        ({"images": np.full((28, 28, 50), np.nan)}, "images: expected integers from 0 to 255"),
        ({"images": np.array(["text"])}, "images: expected height × width × n"),
        ({"labels": np.arange(49) % 10}, "expected one label per image, got 49 labels for 50 images."),
        ({"labels": np.zeros((25, 2))}, "labels: expected n × 1, 1 × n or n, got shape (25, 2)."),
        ({"labels": np.full(50, 10)}, "labels: expected integers from 0 to 9"),
        ({"labels": np.full(50, -1)}, "labels: expected integers from 0 to 9"),
        ({"labels": np.full(50, 0.5)}, "labels: expected integers from 0 to 9"),
    ],
)
def test_other_arrays_are_refused(file, change, text):
    savemat(file, {name: array for name, array in {**content(), **change}.items() if array is not None})
    refused(file, text)


@pytest.mark.parametrize("compressed", [True, False])
def test_truncated_file_is_refused(file, compressed):
    savemat(file, content(10), do_compression=compressed)
    whole = file.read_bytes()
    for length in range(0, len(whole), 97):
        file.write_bytes(whole[:length])
        refused(file, "")


def test_flipped_bit_is_refused_or_harmless(file, seed):
    """In a compressed file, which has checksums; MATLAB compresses by default."""
    savemat(file, content(), do_compression=True)
    before, whole = notmnist(), file.read_bytes()
    chance = np.random.default_rng(seed)
    for position in chance.integers(0, len(whole), 200):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(chance.integers(8))
        file.write_bytes(flipped)
        with contextlib.suppress(ZooError):
            after = notmnist()
            assert np.array_equal(after.train.images, before.train.images)
            assert np.array_equal(after.train.labels, before.train.labels)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is not a MATLAB file, or is damaged"),
        (b"<html>404</html>" * 20, "is not a MATLAB file, or is damaged"),
        (
            b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\x02IM",
            "has the MATLAB format 7.3, which cannot be read. Save it in MATLAB with -v7.",
        ),
    ],
)
def test_other_formats_are_refused(file, data, text):
    file.write_bytes(data)
    refused(file, text)
