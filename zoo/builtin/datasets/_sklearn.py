"""scikit-learn's digits, small enough for a search that takes seconds."""

from __future__ import annotations

from zoo import Dataset
from zoo.builtin.datasets._splits import with_test_split


def digits() -> Dataset:
    """Handwritten digits of 8×8 pixels, 1,797 of them, shipped with scikit-learn."""
    from sklearn.datasets import load_digits

    source = load_digits()
    images = (source.images * (255 / 16)).round().astype("uint8")[..., None]  # published as 0 to 16
    names = tuple("0123456789")
    return with_test_split(images, source.target, 0.2, class_names=names, source="scikit-learn's digits")
