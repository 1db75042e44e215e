"""A prepared dataset whose files were changed is found, named, and prepared anew."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from zoo.data import Dataset, Split
from zoo.data.store import open_dataset, save_dataset
from zoo.data.validation import cut_validation, fold_path
from zoo.data.verification import verify_dataset
from zoo.errors import DataError

VALIDATION = {"fraction": 0.2, "seed": 0}
FOLDS = {"folds": 3, "seed": 0}


def dataset():
    rng = np.random.default_rng(0)

    def split(count):
        return Split(rng.integers(0, 256, (count, 4, 4, 1)).astype("uint8"), np.arange(count) % 3)

    return Dataset(class_names=("a", "b", "c"), source="made", train=split(60), test=split(30))


@pytest.fixture
def cached(tmp_path):
    digest = save_dataset(tmp_path, dataset())
    for validation in (VALIDATION, FOLDS):
        cut_validation(tmp_path, digest, open_dataset(tmp_path, digest), validation)
    return tmp_path, digest


def test_undamaged_dataset_is_verified(cached):
    for validation in (None, VALIDATION, FOLDS, {"fraction": 0.5, "seed": 1}):
        verify_dataset(*cached, validation)


@pytest.mark.parametrize(
    "name", ["train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy"]
)
def test_every_changed_file_is_named_and_prepared_anew(cached, name):
    cache, digest = cached
    array = np.load(cache / digest / name, mmap_mode="r+")
    array[:20] = 1
    array.flush()
    with pytest.raises(DataError) as damaged:
        verify_dataset(cache, digest)
    assert str(damaged.value) == (
        f"the prepared dataset in {cache / digest} was changed after it was written ({name}), so no result "
        "on it is recorded. Run the same command again: it prepares the dataset anew."
    )
    with pytest.raises(DataError, match="missing or damaged"):
        open_dataset(cache, digest)
    assert save_dataset(cache, dataset()) == digest
    verify_dataset(cache, digest, VALIDATION)


@pytest.mark.parametrize("seed", range(20))
def test_every_changed_bit_is_found(cached, seed):
    cache, digest = cached
    rng = random.Random(seed)
    path = rng.choice(sorted((cache / digest).glob("t*.npy")))
    content = bytearray(path.read_bytes())
    content[rng.randrange(128, len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=path.name):
        verify_dataset(cache, digest)


def test_changed_class_names_are_found(cached):
    cache, digest = cached
    path = cache / digest / "dataset.json"
    path.write_text(path.read_text().replace('"a"', '"z"'))
    with pytest.raises(DataError, match=r"\(dataset\.json\)"):
        verify_dataset(cache, digest)


def test_dataset_of_an_earlier_version_is_verified(cached):
    """It has no CRC-32 of its files, so the file is not named."""
    cache, digest = cached
    path = cache / digest / "dataset.json"
    facts = json.loads(path.read_text())
    del facts["crc32"]
    path.write_text(json.dumps(facts))
    verify_dataset(cache, digest, VALIDATION)
    labels = np.load(cache / digest / "train-labels.npy", mmap_mode="r+")
    labels[0] = 2
    labels.flush()
    with pytest.raises(DataError, match=r"\(one of its files\)"):
        verify_dataset(cache, digest)


@pytest.mark.parametrize("validation", [VALIDATION, FOLDS])
def test_changed_validation_split_is_found_and_cut_again(cached, validation):
    cache, digest = cached
    path = fold_path(cache / digest, validation)
    before = np.load(path)
    changed = np.load(path, mmap_mode="r+")
    changed[:] = np.roll(before, 1)
    changed.flush()
    with pytest.raises(DataError, match=path.name):
        verify_dataset(cache, digest, validation)
    cut_validation(cache, digest, open_dataset(cache, digest), validation)
    np.testing.assert_array_equal(np.load(path), before)
