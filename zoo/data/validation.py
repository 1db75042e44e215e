"""Validation splits and folds: which training images a trial is validated on.

They are cut once per dataset, fraction (or number of folds) and seed. The cache has them as one array: the
fold of each training image, from 1. Each training has one fold for validation and uses the others. A single
validation split is fold 1, and the other images are fold 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.store import Array
from zoo.errors import DataError
from zoo.files import atomic_path, remove_leftovers
from zoo.trial import count_folds


def cut_validation(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> int:
    """Choose the validation images, stratified by label, and return their number.

    With folds, that is the size of the first fold, the largest. Raises DataError if a class has too few
    images, or if folds are set and the dataset has its own validation split.
    """
    folds = count_folds(validation)
    if dataset.validation is None:
        return int((fold_of_images(cache, digest, dataset, validation) == 1).sum())
    if folds > 1:
        raise DataError(
            f"[validation] folds = {folds}: this dataset has its own validation split, so it cannot be "
            "divided into folds. Remove folds."
        )
    return len(dataset.validation)


def split_for(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any], fold: int = 1
) -> tuple[Split, Split]:
    """Return the training and the validation split: the dataset's own, or cut from its training split."""
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    is_held_out = fold_of_images(cache, digest, dataset, validation) == fold
    return _subset(dataset.train, ~is_held_out), _subset(dataset.train, is_held_out)


def validation_split(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> Split:
    """Return the validation split; with folds all folds together, which are the whole training split."""
    if dataset.validation is None and count_folds(validation) > 1:
        return dataset.train
    return split_for(cache, digest, dataset, validation)[1]


def fold_of_images(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> Array:
    """Return the number of each training image's fold, `(n,)`; cut and kept at the first call."""
    seed, count = validation["seed"], count_folds(validation)
    name = f"folds-{count}" if count > 1 else f"split-{float(validation['fraction'])!r}"
    path = cache / digest / f"{name}-{seed}.npy"
    try:
        fold: Array = np.load(path)
    except (OSError, ValueError, EOFError):  # missing or damaged
        fold = np.zeros(0, int)
    if fold.shape != dataset.train.labels.shape:
        if count > 1:
            fold = _stratified_folds(dataset, count, seed)
        else:
            fold = _stratified_split(dataset, validation["fraction"], seed)
        remove_leftovers(path.parent)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, fold)
    return fold


def _stratified_folds(dataset: Dataset, folds: int, seed: int) -> Array:
    """Return the fold of each training image, `(n,)`, from 1.

    Folds differ by at most one in their number of images, in total and in each class.
    """
    labels = np.asarray(dataset.train.labels)
    classes, _ = _classes(dataset, folds, f"{folds} folds")
    stream = _random_stream(seed)
    # The images are dealt to the folds in turn, class by class, each class in a random order.
    order = np.concatenate([stream.permutation(np.flatnonzero(labels == label)) for label in classes])
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds + 1
    return fold


def _stratified_split(dataset: Dataset, fraction: float, seed: int) -> Array:
    """Return 1 for each image for validation, else 0, `(n,)`; `fraction` of every class is for validation.

    The numbers of images are rounded by the largest remainder method, so that their sum is right. Every class
    has at least one image in both splits.
    """
    # scikit-learn's train_test_split may give another split in another version. Then the trials of a
    # resumed study would be validated on images that earlier trials were trained on.
    labels = np.asarray(dataset.train.labels)
    classes, counts = _classes(dataset, 2, "a validation split")
    exact = counts * fraction
    num_held_out = np.floor(exact).astype(int)
    missing = round(fraction * len(labels)) - int(num_held_out.sum())
    num_held_out[np.argsort(num_held_out - exact, kind="stable")[:missing]] += 1
    num_held_out = np.clip(num_held_out, 1, counts - 1)
    stream = _random_stream(seed)
    fold = np.zeros(len(labels), int)
    for label, count in zip(classes, num_held_out, strict=True):
        fold[stream.permutation(np.flatnonzero(labels == label))[:count]] = 1
    return fold


def _classes(dataset: Dataset, parts: int, what: str) -> tuple[Array, Array]:
    """Return the labels in the training split and the number of images of each, at least `parts`."""
    classes, counts = np.unique(np.asarray(dataset.train.labels), return_counts=True)
    least = int(counts.min())
    if least < parts:
        name = dataset.class_names[int(classes[counts.argmin()])]
        images = "1 image" if least == 1 else f"{least} images"
        fewer = f"Set folds = {least}{' or fewer' if least > 2 else ''}, or add images"
        fix = fewer if least > 1 else "Add images"
        raise DataError(
            f"Cannot cut {what}: expected at least {parts} training images of each class, "
            f"got {images} of class '{name}'. {fix}."
        )
    return classes, counts


def _random_stream(seed: int) -> np.random.RandomState:
    """Return a stream that NumPy promises to keep, seeded by an integer of any size."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _subset(split: Split, is_chosen: Array) -> Split:
    """Return the chosen images and labels; the images stay in the memory map until a batch needs them."""
    return Split(Rows(split.images, is_chosen), split.labels[is_chosen])


class Rows:
    """The chosen rows of `array`, `(n, …)`, indexed like a NumPy array along the first axis.

    Indexing a memory map with many rows copies them into memory, in every trial. This class reads only
    the rows that are asked for: `rows[3]`, `rows[:2]`, `rows[[5, 1]]`.
    """

    def __init__(self, array: Array, is_chosen: Array) -> None:
        self._array = array
        self._numbers = np.flatnonzero(is_chosen)
        self.dtype = array.dtype
        self.shape = (len(self._numbers), *array.shape[1:])

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: Any) -> Array:
        return np.asarray(self._array[self._numbers[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._array[self._numbers], dtype=dtype)
