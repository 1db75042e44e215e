"""The confusion matrix: its counts, its colors, and names of any length and number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.figures import confusion_matrix
from zoo.figures._confusion import cell_colors
from zoo.metrics import confusion_counts

ODD_NAMES = [
    "naïve café",
    "кошка",
    "猫",
    "قط",
    "$5 and $10",
    "two\nlines",
    "",
    "long " * 40,
    "\udce9",
    "a_b^{c",
]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=60))
def test_counts_are_the_numbers_of_pairs(pairs):
    labels, predicted = [a for a, _ in pairs], [b for _, b in pairs]
    counts = confusion_counts(labels, predicted, 7)
    assert counts.shape == (7, 7)
    assert all(counts[i, j] == pairs.count((i, j)) for i in range(7) for j in range(7))


def test_rows_are_actual_columns_are_predicted():
    assert confusion_counts([0, 0, 1], [1, 1, 1], 2).tolist() == [[0, 2], [0, 1]]


def test_counts_agree_with_scikit_learn():
    from sklearn.metrics import confusion_matrix as reference

    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 5, (2, 400))
    assert (confusion_counts(labels, predicted, 5) == reference(labels, predicted)).all()


def test_color_depends_on_share_of_row():
    counts = np.array([[99, 1, 0], [0, 9_900, 100], [0, 0, 0]])
    colors = cell_colors(counts).astype(int)
    assert (colors[0, 0] == colors[1, 1]).all()  # the same share, a hundred times the images
    assert (colors[0, 1] == colors[1, 2]).all()
    assert (colors[0, 2] == 255).all()
    assert (colors[2] == 255).all()  # a class without images
    assert colors[0, 0].argmax() == 2  # right is blue
    red, _, blue = colors[0, 1]
    assert red - blue > 25  # one error in a hundred is visibly orange


@pytest.mark.parametrize("classes", [1, 2, 3, 10, 26, 40, 100, 400])
def test_any_number_of_classes_is_drawn(tmp_path, open_png, assert_tidy, classes):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 3_000)
    predicted = np.where(rng.random(3_000) < 0.8, labels, rng.integers(0, classes, 3_000))
    names = [f"class {number}" for number in range(classes)]
    path = confusion_matrix(labels, predicted, names, tmp_path / "m.png", title="a study")
    assert_tidy(open_png(path))
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("classes", [10, 50])
@pytest.mark.filterwarnings("error")
def test_unusual_names_are_drawn(tmp_path, open_png, assert_tidy, classes):
    names = ODD_NAMES * (classes // 10)
    labels = np.arange(classes)
    path = confusion_matrix(labels, labels, names, tmp_path / "m.png", title="$x$ 猫 " + "very long " * 30)
    assert_tidy(open_png(path))


def test_cells_contain_numbers(tmp_path, open_png):
    """Two matrices with equal shares, and so equal colors, differ only in the numbers of their cells."""
    labels, predicted = [0, 0, 1, 1], [0, 1, 0, 1]
    small = open_png(confusion_matrix(labels, predicted, ["a", "b"], tmp_path / "s.png", title="t"))
    large = open_png(confusion_matrix(labels * 7, predicted * 7, ["a", "b"], tmp_path / "l.png", title="t"))
    rows, columns = np.nonzero((small != large).any(axis=2)[80:])  # below the header, which has counts too
    assert np.ptp(rows) > 100
    assert np.ptp(columns) > 100


def test_matrix_without_images_is_drawn(tmp_path, open_png, assert_tidy):
    path = confusion_matrix([], [], ["a", "b"], tmp_path / "m.png", title="t")
    assert_tidy(open_png(path))
