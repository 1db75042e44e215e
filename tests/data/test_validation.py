"""Validation splits and folds: stratified, reproducible, cut once and read by every trial."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import numpy as np
import pytest
from cache_helpers import dying_at_line, in_a_fork, labelled, leftovers, small_dataset
from hypothesis import given
from hypothesis import strategies as st

from zoo.data import validation as validation_module
from zoo.data.store import open_dataset, save_dataset
from zoo.data.validation import cut_validation, fold_of_images, training_and_validation, validation_split
from zoo.errors import DataError

TENTH = {"fraction": 0.1, "seed": 0}
THREE = {"folds": 3, "seed": 0}


@pytest.fixture
def fast_disk(monkeypatch):
    """A killed process loses nothing it wrote, flushed or not; only a machine that goes down does."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


# The validation split


def held_out_indices(dataset, fraction, seed=0):
    """Return the indices of the training and of the validation images."""
    fold = validation_module._stratified_split(dataset, fraction, seed)
    return np.flatnonzero(fold == 0), np.flatnonzero(fold == 1)


@given(
    st.lists(st.integers(0, 6), min_size=4, max_size=300).filter(
        lambda labels: min(map(labels.count, set(labels))) > 1
    ),
    st.floats(0.001, 0.999),
    st.integers(0, 2**80),
)
def test_split_is_stratified_complete_and_reproducible(labels, fraction, seed):
    dataset = labelled(labels, [str(label) for label in range(7)])
    train, held = held_out_indices(dataset, fraction, seed)
    assert sorted([*train, *held]) == list(range(len(labels)))
    assert list(train) == sorted(train)
    assert list(held) == sorted(held)
    labels = np.asarray(labels)
    clipped = False
    for label in np.unique(labels):
        count, share = int((labels == label).sum()), int((labels[held] == label).sum())
        assert 1 <= share <= count - 1
        assert abs(share - fraction * count) <= 1
        clipped = clipped or share in (1, count - 1)
    if not clipped:
        assert len(held) == round(fraction * len(labels))
    again = held_out_indices(dataset, fraction, seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(held, again[1])


def test_equal_classes_give_equal_shares():
    _, held = held_out_indices(labelled(np.repeat(range(10), 50)), 0.1)
    assert np.bincount(held // 50).tolist() == [5] * 10


def test_split_depends_only_on_the_seed():
    dataset = labelled(np.tile([0, 1], 20))
    by_seed = {seed: held_out_indices(dataset, 0.2, seed)[1].tolist() for seed in range(20)}
    assert len({tuple(indices) for indices in by_seed.values()}) > 15
    # Written down, so that no library and no change of ours moves a split under somebody's record.
    assert by_seed[0] == [2, 8, 9, 19, 20, 22, 27, 35]


def test_class_without_images_is_ignored():
    _, held = held_out_indices(labelled([0] * 10 + [2] * 10, ["a", "b", "c"]), 0.2)
    assert len(held) == 4


def test_class_with_one_image_is_named(tmp_path):
    dataset = labelled([0, 0, 0, 1], ["many", "one"])
    digest = save_dataset(tmp_path, dataset)
    with pytest.raises(DataError, match=r"^cannot cut a validation split: .* got 1 image of class 'one'"):
        cut_validation(tmp_path, digest, dataset, TENTH)


def test_split_is_cut_once_and_then_read(tmp_path, monkeypatch):
    dataset = small_dataset(images=60)
    digest = save_dataset(tmp_path, dataset)
    assert cut_validation(tmp_path, digest, dataset, TENTH) == 6
    monkeypatch.setattr(validation_module, "_stratified_split", None)
    assert cut_validation(tmp_path, digest, dataset, TENTH) == 6
    opened = open_dataset(tmp_path, digest)
    train, held_out = training_and_validation(tmp_path, digest, opened, TENTH)
    assert (len(train), len(held_out)) == (54, 6)
    assert np.bincount(held_out.labels).tolist() == [2, 2, 2]
    assert train.images.dtype == np.uint8
    everything = {
        (image.tobytes(), label)
        for part in (train, held_out)
        for image, label in zip(part.images, part.labels, strict=True)
    }
    assert everything == {
        (image.tobytes(), label)
        for image, label in zip(dataset.train.images, dataset.train.labels, strict=True)
    }
    alone = validation_split(tmp_path, digest, opened, TENTH)
    assert np.array_equal(alone.images, held_out.images)
    assert np.array_equal(alone.labels, held_out.labels)


def test_own_validation_split_is_used(tmp_path):
    dataset = replace(small_dataset(), validation=small_dataset(images=9).train)
    digest = save_dataset(tmp_path, dataset)
    assert cut_validation(tmp_path, digest, dataset, TENTH) == 9
    train, held_out = training_and_validation(tmp_path, digest, open_dataset(tmp_path, digest), TENTH)
    assert (len(train), len(held_out)) == (6, 9)
    assert np.array_equal(validation_split(tmp_path, digest, dataset, TENTH).images, held_out.images)
    assert list((tmp_path / digest).glob("split-*")) == []


def test_each_fraction_and_seed_has_its_own_split(tmp_path):
    dataset = small_dataset(images=60)
    digest = save_dataset(tmp_path, dataset)
    for fraction, seed in ((0.1, 0), (0.1, 1), (0.1000000001, 0), (1 / 3, 0), (0.3333333, 0)):
        cut_validation(tmp_path, digest, dataset, {"fraction": fraction, "seed": seed})
    assert len(list((tmp_path / digest).glob("split-*.npy"))) == 5


def test_damaged_split_is_cut_again(tmp_path):
    dataset = small_dataset(images=60)
    digest = save_dataset(tmp_path, dataset)
    cut_validation(tmp_path, digest, dataset, TENTH)
    (path,) = (tmp_path / digest).glob("split-*.npy")
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[:-30], b"no array"):
        path.write_bytes(damaged)
        assert cut_validation(tmp_path, digest, dataset, TENTH) == 6
        assert len(training_and_validation(tmp_path, digest, dataset, TENTH)[1]) == 6
    np.save(path, np.ones(3, int))  # the folds of another dataset
    assert cut_validation(tmp_path, digest, dataset, TENTH) == 6


def test_killed_at_any_line_leaves_whole_or_no_split(tmp_path, fast_disk):
    dataset = small_dataset(images=60)
    digest = save_dataset(tmp_path, dataset)
    for number in range(1, 10_000):
        for path in (tmp_path / digest).glob("split-*.npy"):
            path.unlink()
        cut = dying_at_line(number, lambda: cut_validation(tmp_path, digest, dataset, TENTH))
        if in_a_fork(cut) == 0:
            break
        for path in (tmp_path / digest).glob("split-*.npy"):
            assert np.load(path).shape == (60,)
        assert cut_validation(tmp_path, digest, dataset, TENTH) == 6
    assert number > 20
    assert leftovers(tmp_path) == []


# Folds


def folds_of(dataset, folds, seed=0):
    return validation_module._stratified_folds(dataset, folds, seed)


@given(st.data())
def test_folds_are_stratified_complete_and_reproducible(data):
    folds = data.draw(st.integers(2, 6), "folds")
    counts = data.draw(st.lists(st.integers(folds, 40), min_size=1, max_size=6), "images of each class")
    labels = data.draw(st.permutations([label for label, count in enumerate(counts) for _ in range(count)]))
    seed = data.draw(st.integers(0, 2**80), "seed")
    dataset = labelled(labels)
    fold = folds_of(dataset, folds, seed)
    assert fold.shape == (len(labels),)
    assert set(fold) == set(range(1, folds + 1))
    sizes = np.bincount(fold)[1:]
    assert sizes.max() - sizes.min() <= 1
    assert sizes[0] == sizes.max()
    for label in set(labels):
        of_class = np.bincount(fold[np.asarray(labels) == label], minlength=folds + 1)[1:]
        assert of_class.min() >= 1
        assert of_class.max() - of_class.min() <= 1
    assert np.array_equal(fold, folds_of(dataset, folds, seed))


def test_folds_depend_only_on_the_seed():
    dataset = labelled(np.tile([0, 1], 10))
    by_seed = {seed: folds_of(dataset, 3, seed).tolist() for seed in range(20)}
    assert len({tuple(fold) for fold in by_seed.values()}) > 15
    # Written down, so that no library and no change of ours moves a fold under somebody's record.
    assert by_seed[0] == [3, 1, 2, 1, 3, 2, 2, 1, 1, 3, 1, 2, 1, 3, 1, 2, 3, 2, 2, 3]
    large = folds_of(labelled(np.arange(5000) % 7), 5, 3)
    assert hashlib.sha256(large.astype("<i8").tobytes()).hexdigest() == (
        "6150d31f54897d1fdbc50c48e984c69156b0ece995ffc73c820cbb5dbcea7694"
    )


def test_each_image_is_validated_in_one_fold(tmp_path):
    dataset = small_dataset(images=20)
    digest = save_dataset(tmp_path, dataset)
    assert cut_validation(tmp_path, digest, dataset, THREE) == 7
    opened = open_dataset(tmp_path, digest)
    every = sorted(image.tobytes() for image in dataset.train.images)
    of_images = fold_of_images(tmp_path, digest, dataset, THREE)
    validated = []
    for fold in (1, 2, 3):
        train, held_out = training_and_validation(tmp_path, digest, opened, THREE, fold)
        assert len(held_out) == [7, 7, 6][fold - 1]
        assert sorted(image.tobytes() for part in (train, held_out) for image in part.images) == every
        assert np.array_equal(held_out.images, dataset.train.images[of_images == fold])
        assert np.array_equal(held_out.labels, dataset.train.labels[of_images == fold])
        assert np.array_equal(train.labels, dataset.train.labels[of_images != fold])
        validated += [image.tobytes() for image in held_out.images]
    assert sorted(validated) == every
    together = validation_split(tmp_path, digest, opened, THREE)
    assert np.array_equal(together.images, dataset.train.images)


def test_damaged_folds_are_cut_again(tmp_path, monkeypatch):
    dataset = small_dataset(images=20)
    digest = save_dataset(tmp_path, dataset)
    cut_validation(tmp_path, digest, dataset, THREE)
    (path,) = (tmp_path / digest).glob("folds-*.npy")
    with monkeypatch.context() as patch:
        patch.setattr(validation_module, "_stratified_folds", None)
        assert cut_validation(tmp_path, digest, dataset, THREE) == 7
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[:-30], b"no array"):
        path.write_bytes(damaged)
        assert cut_validation(tmp_path, digest, dataset, THREE) == 7
        assert path.read_bytes() == whole
    np.save(path, np.ones(3, int))  # the folds of another dataset
    assert cut_validation(tmp_path, digest, dataset, THREE) == 7
    for other in ({"folds": 4, "seed": 0}, {"folds": 3, "seed": 1}):
        cut_validation(tmp_path, digest, dataset, other)
    assert len(list((tmp_path / digest).glob("folds-*.npy"))) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0] * 9 + [1] * 4, "got 4 images of class 'few'. Set folds = 4 or fewer, or add images."),
        ([0] * 9 + [1] * 2, "got 2 images of class 'few'. Set folds = 2, or add images."),
        ([0] * 9 + [1], "got 1 image of class 'few'. Add images."),
    ],
)
def test_class_smaller_than_the_folds_is_named(tmp_path, labels, message):
    dataset = labelled(labels, ["many", "few"])
    digest = save_dataset(tmp_path, dataset)
    with pytest.raises(DataError) as error:
        cut_validation(tmp_path, digest, dataset, {"folds": 5, "seed": 0})
    assert str(error.value) == (
        f"cannot cut 5 folds: expected at least 5 training images of each class, {message}"
    )
    assert list((tmp_path / digest).glob("folds-*")) == []


def test_folds_beside_an_own_validation_split_are_refused(tmp_path):
    dataset = replace(small_dataset(), validation=small_dataset(images=9).train)
    digest = save_dataset(tmp_path, dataset)
    with pytest.raises(
        DataError, match=r"^\[validation\] folds = 3: .* its own validation split, .*\. Remove folds\.$"
    ):
        cut_validation(tmp_path, digest, dataset, THREE)
