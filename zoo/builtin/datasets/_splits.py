"""Cutting a test split where the source has none."""

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
    """`fraction` of every class held out for testing; shuffled, and always the same (seed 42)."""
    train, test = cut_test(labels, fraction, 42)
    return Dataset(
        split_of(images[train], labels[train]),
        test=split_of(images[test], labels[test]),
        class_names=class_names,
        source=source,
        warning=warning,
    )


def cut_test(labels: Array, fraction: float, seed: int) -> tuple[Array, Array]:
    """Indices of the training and the test split, shuffled; `fraction` of every class, rounded, is test.

    One image of every class at least stays to be trained on.
    """
    import numpy as np

    random = np.random.RandomState(seed)  # a stream NumPy promises to keep
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(round(fraction * len(members)), len(members) - 1)
        held[random.permutation(members)[:count]] = True
    train, test = (random.permutation(np.flatnonzero(mask)) for mask in (~held, held))
    return train, test


def split_of(images: Array, labels: Array) -> Split:
    """Labels as the integers that the contract wants, whatever they were kept as."""
    return Split(images, labels.astype("int64"))
