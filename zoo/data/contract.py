"""The dataset contract: what a dataset plugin must return. Each message contains the usual fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split, class_counts
from zoo.errors import DataError, count_text, listed

MAX_LISTED = 5


def check_contract(dataset: Any) -> None:
    """Raise DataError if `dataset` violates the contract.

    The message names the split, the expected value and the usual fix. All labels are read. Images of the
    right type and shape are not read, so that a memory map stays on disk.
    """
    if not isinstance(dataset, Dataset):
        raise DataError(f"expected a zoo.Dataset, got {type(dataset).__name__}")
    check_class_names(dataset.class_names)
    for name in ("source", "warning", "licence"):
        if not isinstance(getattr(dataset, name), str):
            raise DataError(f"{name}: expected a string, got {getattr(dataset, name)!r}")
    for name, split in {"train": dataset.train, **dataset.splits()}.items():
        _check_split(name, split, len(dataset.class_names))
        shape, expected = split.images.shape[1:], dataset.train.images.shape[1:]
        if shape != expected:
            raise DataError(f"{name}: expected images of shape {expected} as in train, got {shape}")


def check_train_has_classes(dataset: Dataset) -> None:
    """Raise DataError if the validation or the test split has images of a class that has none in train."""
    trained = np.unique(np.asarray(dataset.train.labels))
    for name, split in dataset.splits().items():
        labels = np.asarray(split.labels)
        unknown = np.setdiff1d(labels, trained)
        if unknown.size:
            count, label = (labels == unknown[0]).sum(), dataset.class_names[unknown[0]]
            images = count_text(count, "image")
            raise DataError(
                f"{name}: expected only classes that train has, got {images} of class '{label}'. "
                f"Add images of class '{label}' to train, or remove them from {name}."
            )


def absent_class_warning(dataset: Dataset) -> str:
    """Return one sentence for each split without images of a class; "" if every split has every class.

    A network cannot learn a class without training images, and a split without images of a class cannot
    measure how well the network learned it.
    """
    counts = class_counts(dataset)
    return " ".join(
        _absence_text(name, split_counts, sum(counts.values()), dataset.class_names)
        for name, split_counts in counts.items()
        if not split_counts.all()
    )


def _absence_text(name: str, counts: Any, total: Any, class_names: Sequence[str]) -> str:
    absent = [
        f"'{name}' ({total[label]:,} in other splits)"
        for label, name in enumerate(class_names)
        if not counts[label]
    ]
    images = count_text(counts.sum(), "image")
    return f"The {name} split ({images}) has no image of class {listed(absent, MAX_LISTED)}."


def check_class_names(names: Any) -> None:
    if isinstance(names, np.ndarray):
        raise DataError("class_names: expected a list of names, got an array. Use `class_names.tolist()`.")
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise DataError(f"class_names: expected a list of names, got {names!r}")
    if len(names) < 2:
        raise DataError(f"class_names: expected at least two names, got {list(names)!r}")
    for position, name in enumerate(names):
        if not isinstance(name, str) or not name:
            fix = "" if isinstance(name, str) else ". Use `[str(name) for name in class_names]`."
            raise DataError(f"class_names: expected strings, but class_names[{position}] is {name!r}{fix}")
        if name in names[:position]:
            raise DataError(f"class_names: expected unique names, but {name!r} occurs twice")


def _check_split(name: str, split: Any, num_classes: int) -> None:
    if not isinstance(split, Split):
        raise DataError(f"{name}: expected a zoo.Split, got {type(split).__name__}")
    _check_images(f"{name} images", split.images)
    _check_labels(f"{name} labels", split.labels, num_classes)
    images = count_text(len(split.images), "image")
    if len(split.images) != len(split.labels):
        raise DataError(
            f"{name}: expected as many labels as images, "
            f"got {count_text(len(split.labels), 'label')} for {images}"
        )
    for column, values in split.columns.items():
        if len(values) != len(split.images):
            raise DataError(
                f"{name} columns[{column!r}]: expected one value per image, "
                f"got {count_text(len(values), 'value')} for {images}"
            )
    if split.names is not None and len(split.names) != len(split.images):
        raise DataError(
            f"{name}: expected as many names as images, "
            f"got {count_text(len(split.names), 'name')} for {images}"
        )


def _check_images(what: str, images: Any) -> None:
    expected = "uint8, shape (n, height, width, channels)"
    if not isinstance(images, np.ndarray):
        fix = "Use `numpy.asarray(images)`."
        raise DataError(f"{what}: expected an array ({expected}), got {type(images).__name__}. {fix}")
    if images.ndim != 4:
        fixes = {
            2: ". Use `images.reshape(-1, height, width, channels)`.",
            3: ". Use `images[..., None]` for grey images.",
        }
        raise DataError(f"{what}: expected {expected}, got shape {images.shape}{fixes.get(images.ndim, '')}")
    if 0 in images.shape:
        raise DataError(f"{what}: expected at least one image and pixel, got shape {images.shape}")
    _, height, width, channels = images.shape
    # Images are rarely 3 pixels high, and rarely have as many channels as columns.
    if (height == 3 and min(width, channels) > 4) or (height == 1 and width == channels > 4):
        fix = "Use `images.transpose(0, 2, 3, 1)`."
        raise DataError(f"{what}: expected the channels last, got shape {images.shape}. {fix}")
    if images.dtype != np.uint8:
        raise DataError(f"{what}: expected uint8 (0 to 255), got {images.dtype}{_range_and_fix(images)}")


def _range_and_fix(images: Any) -> str:
    """Return the range of images that are not `uint8`, with the fix for this range; "" for no numbers."""
    if images.dtype.kind not in "biuf":
        return ""
    low, high = images.min(), images.max()
    if low != low:
        return " with NaN. Replace NaN, and scale the images to 0 to 255 first."
    if images.dtype == np.bool_ or (images.dtype.kind == "f" and low >= 0 and high <= 1):
        return f' from {low} to {high}. Use `(images * 255).astype("uint8")`.'
    if low >= 0 and high <= 255:
        return f' from {low} to {high}. Use `images.astype("uint8")`.'
    if low >= -1 and high <= 1:
        return f' from {low} to {high}. Use `((images + 1) * 127.5).astype("uint8")`.'
    if images.dtype == np.uint16:
        return f' from {low} to {high}. Use `(images // 256).astype("uint8")`.'
    return f" from {low} to {high}. Scale them to 0 to 255 first."


def _check_labels(what: str, labels: Any, num_classes: int) -> None:
    if not isinstance(labels, np.ndarray):
        fix = "Use `numpy.asarray(labels)`."
        raise DataError(
            f"{what}: expected an array (integers, shape (n,)), got {type(labels).__name__}. {fix}"
        )
    if labels.ndim == 2:
        fix = "labels.argmax(axis=1)" if labels.shape[1] > 1 else "labels[:, 0]"
        raise DataError(f"{what}: expected integers, shape (n,), got shape {labels.shape}. Use `{fix}`.")
    if labels.ndim != 1:
        raise DataError(f"{what}: expected integers, shape (n,), got shape {labels.shape}")
    if labels.dtype.kind in "USOT":
        fix = "class_names, labels = numpy.unique(labels, return_inverse=True)"
        raise DataError(f"{what}: expected integers, got {labels.dtype}. Use `{fix}`.")
    if labels.dtype.kind not in "iu":
        raise DataError(f'{what}: expected integers, got {labels.dtype}. Use `labels.astype("int64")`.')
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        low, high = labels.min(), labels.max()
        fix = "Use `labels - 1`" if (low, high) == (1, num_classes) else "Renumber them, or add class names"
        raise DataError(
            f"{what}: expected 0 to {num_classes - 1} for {num_classes} class names, "
            f"got {low} to {high}. {fix}."
        )
