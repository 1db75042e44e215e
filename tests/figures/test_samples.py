"""Samples of every class, for any number of classes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.figures import samples
from zoo.figures._datasets import MAX_CLASSES, pick_samples


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 4), st.integers(1, 8))
def test_picked_images_spread_over_their_class(labels, label, count):
    picked = pick_samples(labels, label, count)
    members = [i for i, one in enumerate(labels) if one == label]
    assert len(picked) == min(count, len(members))
    assert set(picked.tolist()) <= set(members)
    assert (np.diff(picked) > 0).all()
    if len(picked) > 1:
        assert (picked[0], picked[-1]) == (members[0], members[-1])


def test_each_row_shows_its_class(tmp_path, open_png):
    """With one grey for each class, the greys are in separate bands of the page, in order."""
    greys = np.array([10, 60, 110, 160, 210], np.uint8)
    labels = np.arange(50) % 5
    images = np.broadcast_to(greys[labels][:, None, None, None], (50, 28, 28, 1))
    pixels = open_png(samples(images, labels, list("abcde"), tmp_path / "s.png", title="t"))
    bands = []
    for grey in greys:
        rows = np.flatnonzero((pixels == grey).all(axis=2).sum(axis=1) > 100)
        assert len(rows) >= 28
        bands.append((rows.min(), rows.max()))
    assert all(above[1] < below[0] for above, below in pairwise(bands))


@pytest.mark.parametrize("classes", [2, 10, 26, 150])
@pytest.mark.parametrize("shape", [(8, 8, 1), (150, 150, 3)])
def test_any_number_of_classes_is_drawn(tmp_path, open_png, assert_tidy, classes, shape):
    labels = np.arange(classes * 2) % classes
    images = np.random.default_rng(0).integers(0, 200, (len(labels), *shape)).astype(np.uint8)
    names = [f"class {number}" for number in range(classes)]
    path = samples(images, labels, names, tmp_path / "s.png", title="a dataset")
    assert_tidy(open_png(path))


@pytest.mark.parametrize("shape", [(20, 60, 4), (60, 20, 3), (300, 7, 2), (1, 1, 1)])
def test_image_of_any_shape_is_drawn(tmp_path, open_png, assert_tidy, shape):
    images = np.random.default_rng(0).integers(0, 200, (30, *shape)).astype(np.uint8)
    path = samples(images, np.arange(30) % 3, ["a", "b", "c"], tmp_path / "s.png", title="t")
    assert_tidy(open_png(path))


def test_first_of_many_classes_are_shown(tmp_path, open_png):
    """The last class shown is on the page, the next one is not."""
    labels = np.arange(MAX_CLASSES + 1)
    images = np.zeros((MAX_CLASSES + 1, 28, 28, 3), np.uint8)
    images[MAX_CLASSES - 1], images[MAX_CLASSES] = (255, 0, 0), (0, 255, 0)
    names = [str(label) for label in labels]
    pixels = open_png(samples(images, labels, names, tmp_path / "s.png", title="t"))
    assert (pixels == (255, 0, 0)).all(axis=2).sum() >= 28**2
    assert not (pixels == (0, 255, 0)).all(axis=2).any()


@pytest.mark.filterwarnings("error")
def test_unusual_names_and_empty_class_are_drawn(tmp_path, open_png, assert_tidy):
    images = np.zeros((4, 28, 28, 1), np.uint8)
    names = ["naïve café " * 20, "قط", "$5 and $10", "猫", "no images"]
    path = samples(images, [0, 1, 2, 3], names, tmp_path / "s.png", title="$x$ 猫")
    assert_tidy(open_png(path))


def test_only_the_images_drawn_are_read(tmp_path):
    class Counting:
        def __init__(self):
            self.read = set()

        def __len__(self):
            return 10_000

        def __getitem__(self, index):
            self.read.add(int(index))
            return np.zeros((28, 28, 1), np.uint8)

    images = Counting()
    samples(images, np.arange(10_000) % 10, list("0123456789"), tmp_path / "s.png", title="t")
    assert len(images.read) <= 10 * 12 + 1
