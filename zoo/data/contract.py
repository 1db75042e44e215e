"""The contract of a dataset: what every later part of zoo takes for granted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.errors import DataError


def check_contract(dataset: Any) -> None:
    """Refuse a dataset that is not what a plugin has to return.

    Reads every label, but of the images only their type and shape, so a memory map stays on disk.

    Raises:
        DataError: what was expected and what came, in one line.
    """
    if not isinstance(dataset, Dataset):
        raise DataError(f"expected a zoo.Dataset, but got {type(dataset).__name__}")
    _check_class_names(dataset.class_names)
    for name in ("source", "warning"):
        if not isinstance(getattr(dataset, name), str):
            raise DataError(f"{name}: expected text, but got {getattr(dataset, name)!r}")
    _check_split("train", dataset.train, len(dataset.class_names))
    shape = dataset.train.images.shape[1:]
    for name in ("validation", "test"):
        split = getattr(dataset, name)
        if split is None:
            continue
        _check_split(name, split, len(dataset.class_names))
        if split.images.shape[1:] != shape:
            raise DataError(
                f"{name}: expected images of shape {shape} as in train, but got {split.images.shape[1:]}"
            )


def absent_classes(dataset: Dataset) -> str:
    """A sentence for every split that lacks a class another split has or nobody has; mostly empty.

    What a network never sees it never answers, and a split without a class says nothing about it.
    """
    counts = {
        name: np.bincount(np.asarray(split.labels, np.int64), minlength=len(dataset.class_names))
        for name in ("train", "validation", "test")
        if (split := getattr(dataset, name)) is not None
    }
    return " ".join(
        _absent(name, of_split, sum(counts.values()), dataset.class_names)
        for name, of_split in counts.items()
        if not of_split.all()
    )


def _absent(name: str, counts: Any, in_all: Any, class_names: Sequence[str]) -> str:
    absent = np.flatnonzero(counts == 0)
    shown = [f"'{class_names[label]}' ({in_all[label]:,} elsewhere)" for label in absent[:5]]
    more = [f"{len(absent) - 5} more"] if len(absent) > 5 else []
    listed = " and ".join([", ".join(shown), *more])
    return f"Among the {counts.sum():,} images of the {name} split is none of class {listed}."


def _check_class_names(names: Any) -> None:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise DataError(f"class_names: expected a list of names, but got {names!r}")
    if len(names) < 2:
        raise DataError(f"class_names: expected at least two, but got {list(names)!r}")
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise DataError(f"class_names: expected names, but number {position} is {name!r}")
        if name in names[:position]:
            raise DataError(f"class_names: expected each name once, but {name!r} is there twice")


def _check_split(name: str, split: Any, num_classes: int) -> None:
    if not isinstance(split, Split):
        raise DataError(f"{name}: expected a zoo.Split, but got {type(split).__name__}")
    images, labels = split.images, split.labels
    _check_array(f"{name} images", images, "uint8, shape (n, height, width, channels)", 4)
    _check_array(f"{name} labels", labels, "integers, shape (n,)", 1)
    if images.dtype != np.uint8:
        raise DataError(f"{name} images: expected uint8 (0 to 255), but got {images.dtype}")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{name} labels: expected integers, but got {labels.dtype}")
    if 0 in images.shape:
        raise DataError(f"{name} images: expected at least one image and pixel, but got shape {images.shape}")
    if len(images) != len(labels):
        raise DataError(
            f"{name}: expected as many labels as images, but got {len(labels)} for {len(images)} images"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"{name} labels: expected 0 to {num_classes - 1} for {num_classes} class names, "
            f"but they go from {low} to {high}"
        )


def _check_array(what: str, array: Any, expected: str, dimensions: int) -> None:
    if not isinstance(array, np.ndarray):
        raise DataError(f"{what}: expected an array ({expected}), but got {type(array).__name__}")
    if array.ndim != dimensions:
        raise DataError(f"{what}: expected {expected}, but got shape {array.shape}")
