"""Images beside bars for the probabilities of their classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zoo.figures import predictions
from zoo.figures._page import MARGIN
from zoo.figures._predictions import pick_predictions

BLUE, ORANGE, GREY = (8, 81, 156), (200, 55, 0), (150, 150, 150)


def draw(path, images, labels, table, names=None, **options):
    table = np.asarray(table, np.float32)
    names = names or [f"class {number}" for number in range(table.shape[1])]
    return predictions(images, labels, table, names, path, title="a study, trial 7", **options)


def longest_run(pixels, color):
    """Return the length of the longest horizontal line of a color, in pixels."""
    longest = 0
    for row in (pixels == color).all(axis=2):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        longest = max(longest, *(edges[1::2] - edges[::2]), 0)
    return longest


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(4)), elements=st.floats(0, 1, width=32))
)
def test_picked_images_match_the_definition(table):
    even, uncertain = pick_predictions(table)
    assert len(even) == min(6, len(table))
    assert len(uncertain) == min(6, len(table) - len(even))
    assert not set(even) & set(uncertain)
    assert 0 in even
    assert len(table) - 1 in even
    top = table.max(axis=1)
    others = np.setdiff1d(np.arange(len(table)), even)
    assert top[uncertain].tolist() == sorted(top[others].tolist())[: len(uncertain)]


def test_bars_are_as_long_as_probabilities(tmp_path, open_png):
    images = np.zeros((1, 28, 28, 1), np.uint8)
    whole = open_png(draw(tmp_path / "a.png", images, [0], [[1.0, 0.0, 0.0]]))
    parts = open_png(draw(tmp_path / "b.png", images, [0], [[0.25, 0.5, 0.25]]))
    full = longest_run(whole, BLUE)
    assert full > 80
    assert longest_run(parts, BLUE) == pytest.approx(full / 4, abs=1)
    assert longest_run(parts, ORANGE) == pytest.approx(full / 2, abs=1)
    assert longest_run(parts, GREY) == pytest.approx(full / 4, abs=1)


def test_correct_prediction_has_no_orange_bar(tmp_path, open_png):
    images = np.zeros((1, 28, 28, 1), np.uint8)
    pixels = open_png(draw(tmp_path / "p.png", images, [1], [[0.1, 0.8, 0.1]]))
    assert longest_run(pixels, BLUE) > 50
    assert longest_run(pixels, ORANGE) < 10  # no more than the key


def test_true_class_of_many_has_a_bar(tmp_path, open_png):
    """The true class is the least probable of a hundred, and its name is blue."""
    images = np.zeros((1, 28, 28, 1), np.uint8)
    table = np.linspace(0.0, 1.0, 100)[None]
    table /= table.sum()
    least = open_png(draw(tmp_path / "a.png", images, [0], table))
    best = open_png(draw(tmp_path / "b.png", images, [99], table))
    assert longest_run(least[90:], ORANGE) > 1  # the most probable class, which is wrong
    assert longest_run(best[90:], ORANGE) == 0
    assert (least[90:].astype(int) @ [-1, 0, 1] > 60).sum() > 30  # a name in blue


def test_picked_images_are_drawn_in_order(tmp_path, open_png):
    greys = np.array([10, 60, 110, 160, 210], np.uint8)
    images = np.broadcast_to(greys[:, None, None, None], (5, 28, 28, 1))
    table = np.full((5, 2), 0.5)
    pixels = open_png(draw(tmp_path / "p.png", images, [0] * 5, table, indices=[3, 1]))
    found_at = {}
    for grey in greys:
        found = np.argwhere((pixels == grey).all(axis=2))
        found_at[int(grey)] = len(found), found[:, 1].mean() if len(found) else 0
    assert found_at[160][0] >= 112**2
    assert found_at[60][0] >= 112**2
    assert found_at[160][1] < found_at[60][1]  # in the order of `indices`
    assert max(found_at[10][0], found_at[110][0], found_at[210][0]) < 500


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("shape", [(8, 8, 1), (150, 150, 3), (20, 60, 4), (300, 7, 2)])
def test_image_of_any_shape_is_drawn(tmp_path, open_png, assert_tidy, classes, shape):
    rng = np.random.default_rng(classes)
    images = rng.integers(0, 200, (30, *shape)).astype(np.uint8)
    path = draw(tmp_path / "p.png", images, rng.integers(0, classes, 30), rng.dirichlet(np.ones(classes), 30))
    assert_tidy(open_png(path))
    assert path.stat().st_size < 300_000


def test_key_wider_than_image_fits_page(tmp_path, open_png, assert_tidy):
    """The key is wider than the image with its bars."""
    images = np.zeros((1, 8, 8, 1), np.uint8)
    pixels = open_png(draw(tmp_path / "p.png", images, [3], np.full((1, 1000), 0.001)))
    assert_tidy(pixels)
    assert (pixels[:, -MARGIN:] == 255).all()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 13])
def test_any_number_of_images_is_drawn(tmp_path, open_png, assert_tidy, count):
    images = np.zeros((count, 28, 28, 1), np.uint8)
    assert_tidy(open_png(draw(tmp_path / "p.png", images, [0] * count, [[0.5, 0.5]] * count)))


@pytest.mark.filterwarnings("error")
def test_unusual_names_are_drawn(tmp_path, open_png, assert_tidy):
    names = ["naïve café " * 20, "قط", "$5 and $10", "猫"]
    images = np.zeros((4, 28, 28, 1), np.uint8)
    assert_tidy(open_png(draw(tmp_path / "p.png", images, [0, 1, 2, 3], np.eye(4), names)))
