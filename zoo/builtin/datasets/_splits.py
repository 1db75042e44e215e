"""Test splits for sources that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo import Dataset, Split

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def with_test_split(
    images: Array,
    labels: Array,
    fraction: float,
    *,
    class_names: Sequence[str],
    source: str,
    warning: str = "",
) -> Dataset:
    """Return a dataset with `fraction` of every class as test split; shuffled with seed 42."""
    train, test = cut_test(labels, fraction, 42)
    return Dataset(
        split_of(images[train], labels[train]),
        test=split_of(images[test], labels[test]),
        class_names=class_names,
        source=source,
        warning=warning,
    )


def cut_test(labels: Array, fraction: float, seed: int) -> tuple[Array, Array]:
    """Return the shuffled indices of the training and the test split.

    `fraction` of every class, rounded, is test; at least one image of every class is for training.
    """
    import numpy as np

    stream = np.random.RandomState(seed)  # NumPy promises to keep this stream
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(round(fraction * len(members)), len(members) - 1)
        is_test[stream.permutation(members)[:count]] = True
    train, test = (stream.permutation(np.flatnonzero(mask)) for mask in (~is_test, is_test))
    return train, test


def split_of(images: Array, labels: Array) -> Split:
    """Return a split whose labels are integers, as the contract requires."""
    return Split(images, labels.astype("int64"))
