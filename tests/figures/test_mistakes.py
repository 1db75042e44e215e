"""The most confident mistake of each class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zoo.figures import mistakes
from zoo.figures._page import Page
from zoo.figures._predictions import pick_mistakes

NAMES = ["zero", "one", "two", "three"]


def probabilities(rows, classes=4):
    """One row per image: `(predicted class, its probability)`."""
    table = np.zeros((len(rows), classes), np.float32)
    for row, (predicted, confidence) in enumerate(rows):
        table[row] = (1 - confidence) / (classes - 1)
        table[row, predicted] = confidence
    return table


def test_most_confident_mistake_of_each_class_is_picked():
    labels = [0, 0, 0, 1, 1, 3]
    table = probabilities([(1, 0.6), (2, 0.9), (0, 0.99), (1, 0.99), (1, 0.8), (0, 0.5)])
    assert pick_mistakes(labels, table).tolist() == [1, 5]  # class 1 has no mistakes, class 2 no images


def test_first_of_equally_confident_mistakes_is_picked():
    assert pick_mistakes([0, 0, 0], probabilities([(0, 0.9), (1, 0.9), (2, 0.9)])).tolist() == [1]


def test_at_most_keeps_the_most_confident_classes():
    labels = [0, 1, 2, 3]
    table = probabilities([(1, 0.9), (0, 0.5), (0, 0.6), (0, 0.8)])
    assert pick_mistakes(labels, table, at_most=2).tolist() == [0, 3]


def test_without_mistakes_nothing_is_picked():
    assert pick_mistakes([1, 2], probabilities([(1, 0.9), (2, 0.4)])).tolist() == []
    assert pick_mistakes([], np.zeros((0, 4))).tolist() == []


@given(
    labels=arrays.arrays(np.int64, 30, elements=st.integers(0, 4)),
    table=arrays.arrays(np.float32, (30, 5), elements=st.floats(0, 1, width=32)),
)
def test_picked_mistakes_match_the_definition(labels, table):
    predicted = table.argmax(axis=1)
    picked = pick_mistakes(labels, table)
    for label in range(5):
        wrong = [i for i in range(30) if labels[i] == label != predicted[i]]
        found = [i for i in picked if labels[i] == label]
        assert found == ([max(wrong, key=lambda i: table[i].max())] if wrong else [])
    assert (np.diff(labels[picked]) > 0).all()


@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (150, 150, 3), (20, 60, 4), (300, 7, 2)]
)
def test_image_of_any_shape_is_drawn(tmp_path, open_png, assert_tidy, shape):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape)).astype(np.uint8)
    table = probabilities([(1, 0.9), (0, 0.8), (0, 0.7), (3, 0.9)])
    path = mistakes(images, [0, 1, 2, 3], table, NAMES, tmp_path / "m.png", title="a study")
    assert_tidy(open_png(path))


def test_picked_image_is_drawn(tmp_path, open_png):
    """With images of one grey each, the greys on the page are those of the mistakes."""
    greys = np.array([10, 60, 110, 160, 210], np.uint8)
    images = np.broadcast_to(greys[:, None, None, None], (5, 28, 28, 1))
    table = probabilities([(1, 0.6), (1, 0.9), (1, 0.99), (0, 0.9), (2, 0.9)])
    pixels = open_png(mistakes(images, [0, 0, 1, 1, 2], table, NAMES, tmp_path / "m.png", title="t"))
    drawn = {int(grey): int((pixels == grey).all(axis=2).sum()) for grey in greys}
    assert drawn[60] >= 224**2
    assert drawn[160] >= 224**2
    assert max(drawn[10], drawn[110], drawn[210]) < 500  # no more than edges of letters


def test_only_the_images_drawn_are_read(tmp_path):
    class Counting:
        def __init__(self):
            self.read = set()

        def __len__(self):
            return 1_000

        def __getitem__(self, index):
            self.read.add(int(index))
            return np.zeros((28, 28, 1), np.uint8)

    images = Counting()
    rows = [(0, 0.9)] * 1_000
    rows[500] = (1, 0.9)
    mistakes(images, [0] * 1_000, probabilities(rows), NAMES, tmp_path / "m.png", title="t")
    assert images.read == {500}


def test_memory_map_is_drawn(tmp_path, open_png, assert_tidy):
    np.save(tmp_path / "images.npy", np.full((3, 28, 28, 1), 99, np.uint8))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    table = probabilities([(1, 0.9), (0, 0.9), (2, 0.9)])
    path = mistakes(images, [0, 1, 2], table, NAMES, tmp_path / "m.png", title="t")
    assert_tidy(open_png(path))


@pytest.mark.parametrize("count", [0, 3])
def test_figure_without_mistakes_is_drawn(tmp_path, open_png, assert_tidy, count):
    images = np.zeros((count, 28, 28, 1), np.uint8)
    path = mistakes(images, range(count), np.eye(4)[:count], NAMES, tmp_path / "m.png", title="t")
    assert_tidy(open_png(path))


def test_hundred_classes_fit_one_page(tmp_path, open_png, assert_tidy):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 28, 28, 1)).astype(np.uint8)
    labels = np.arange(200) % 100
    table = np.eye(100)[(labels + 1) % 100]
    names = [f"n0{2085620 + number}-a_rather_long_name_of_a_breed" for number in range(100)]
    path = mistakes(images, labels, table, names, tmp_path / "m.png", title="t")
    assert_tidy(open_png(path))


@pytest.mark.filterwarnings("error")
def test_unusual_names_are_drawn(tmp_path, open_png, assert_tidy):
    names = ["naïve café " * 20, "قط", "$5 and $10", "猫"]
    images = np.zeros((4, 28, 28, 1), np.uint8)
    table = np.eye(4)[[1, 2, 3, 0]]
    path = mistakes(images, [0, 1, 2, 3], table, names, tmp_path / "m.png", title="$x$ 猫")
    assert_tidy(open_png(path))


def test_right_to_left_names_keep_their_order(tmp_path, monkeypatch):
    """Text with Arabic is drawn from right to left, so each word of a caption is a text of its own."""
    texts = []
    monkeypatch.setattr(Page, "text", lambda page, x, y, text, **layout: texts.append((x, text)))
    images, names = np.zeros((1, 8, 8, 1), np.uint8), ["قط", "كلب"]
    mistakes(images, [0], probabilities([(1, 0.9)], 2), names, tmp_path / "m.png", title="t")
    caption = texts[-4:]
    assert caption == sorted(caption)
    assert [text for _, text in caption] == ["قط", "→", "كلب", "(90 %)"]
