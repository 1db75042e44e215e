"""Preparation of a dataset that a caller passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cache_helpers import small_dataset

from zoo.data import Split, prepare
from zoo.data.prepare import prepare_in_memory, prepared_before
from zoo.data.store import open_dataset
from zoo.errors import DataError

HALF = {"fraction": 0.5, "seed": 0}


@pytest.fixture
def dataset():
    return replace(small_dataset(12), source="", warning="")


@pytest.fixture
def searches(monkeypatch):
    """A list that gets an item for every search for suspicious images."""
    calls, search = [], prepare.image_warnings
    monkeypatch.setattr(prepare, "image_warnings", lambda dataset: calls.append(1) or search(dataset))
    return calls


def refused(dataset, cache, validation=HALF):
    with pytest.raises(DataError) as error:
        prepare_in_memory(dataset, validation, cache)
    assert not list(cache.glob("*"))
    (line,) = str(error.value).splitlines()
    return line


def test_dataset_is_in_the_cache_with_its_validation_split(dataset, tmp_path):
    steps = []
    prepared = prepare_in_memory(dataset, HALF, tmp_path, lambda what, fraction: steps.append(what))
    stored = open_dataset(tmp_path, prepared.digest)
    assert np.array_equal(stored.train.images, dataset.train.images)
    assert prepared.sizes == {"train": 6, "validation": 6, "test": 3}
    assert (prepared.source, prepared.image_shape) == ("passed in Python", (3, 2, 1))
    assert "computing the digest of the dataset" in steps
    assert prepared_before(prepared.digest, HALF, tmp_path) == prepared


def test_equal_content_is_read_only_for_its_digest(dataset, tmp_path, searches, monkeypatch):
    first = prepare_in_memory(dataset, HALF, tmp_path)
    copy = replace(dataset, train=Split(dataset.train.images.copy(), dataset.train.labels.astype("int16")))
    monkeypatch.setattr(prepare, "save_dataset", None)
    assert prepare_in_memory(copy, HALF, tmp_path) == first
    assert len(searches) == 1


def test_other_facts_are_searched_again(dataset, tmp_path, searches):
    names = replace(dataset, train=replace(dataset.train, names=np.array([f"{n}.png" for n in range(12)])))
    for one in (dataset, replace(dataset, warning="not real"), replace(dataset, source="mine"), names):
        prepared = prepare_in_memory(one, HALF, tmp_path)
    assert len(searches) == 4
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1
    assert prepared.source == "passed in Python"


def test_changed_pixel_is_another_dataset(dataset, tmp_path):
    before = prepare_in_memory(dataset, HALF, tmp_path).digest
    dataset.train.images[0, 0, 0, 0] += 1
    assert prepare_in_memory(dataset, HALF, tmp_path).digest != before


def test_suspicious_images_warn(dataset, tmp_path):
    twice = replace(dataset, test=Split(dataset.train.images[:3], dataset.train.labels[:3]))
    assert "3 of 3 test images have the same pixels" in prepare_in_memory(twice, HALF, tmp_path).warning


def test_other_objects_are_refused(dataset, tmp_path):
    line = refused((dataset.train.images, dataset.train.labels), tmp_path)
    assert line.startswith("dataset: expected a zoo.Dataset, got tuple. Use zoo.Dataset.from_arrays")


def test_violation_of_the_contract_is_one_line(dataset, tmp_path):
    line = refused(replace(dataset, train=Split(dataset.train.images / 255, dataset.train.labels)), tmp_path)
    assert line.startswith("the dataset in memory: train images: expected uint8 (0 to 255), got float64 from")
    nan = replace(dataset, train=Split(dataset.train.images * np.nan, dataset.train.labels))
    assert "got float64 with NaN. Replace NaN" in refused(nan, tmp_path)


def test_class_that_train_lacks_is_refused(dataset, tmp_path):
    few = dataset.train.take(np.flatnonzero(dataset.train.labels < 2))
    line = refused(replace(dataset, train=few), tmp_path)
    assert line == (
        "the dataset in memory: test: expected only classes that train has, got 1 image of class 'cat'. "
        "Add images of class 'cat' to train, or remove them from test."
    )
    scored_only = prepare_in_memory(replace(dataset, train=few), {}, tmp_path)
    assert "The train split (8 images) has no image of class 'cat'" in scored_only.warning


def test_full_disk_is_one_line(dataset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare, "save_dataset", full)
    assert "the dataset in memory could not be written into" in refused(dataset, tmp_path)
