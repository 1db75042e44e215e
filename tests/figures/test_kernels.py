"""The classic kernels: their results and their figure."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate

from zoo.figures import kernels
from zoo.figures._datasets import KERNELS, grey_levels


def test_each_kernel_finds_its_own_edges():
    step = np.zeros((8, 8))
    step[4:] = 100  # brighter below
    found = {name: correlate(step, kernel, mode="nearest") for name, kernel in KERNELS.items()}
    assert found["horizontal edges"][3:5].min() == 300
    assert not found["vertical edges"].any()
    assert (found["all edges"][3] < 0).all()
    assert (found["all edges"][4] > 0).all()
    turned = {name: correlate(step.T, kernel, mode="nearest") for name, kernel in KERNELS.items()}
    assert (turned["vertical edges"] == found["horizontal edges"].T).all()
    assert not turned["horizontal edges"].any()


def test_grey_levels_are_luma():
    white_red_green = np.array([[[255, 255, 255], [255, 0, 0], [0, 255, 0]]], np.uint8)
    np.testing.assert_allclose(grey_levels(white_red_green), [[255, 0.299 * 255, 0.587 * 255]])
    assert (grey_levels(np.full((2, 2, 1), 9, np.uint8)) == 9).all()


@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (150, 150, 3), (20, 60, 4), (60, 20, 3), (1, 1, 1), (400, 300, 3)]
)
def test_image_of_any_shape_is_drawn(tmp_path, open_png, assert_tidy, shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    path = kernels(image, tmp_path / "k.png", title="mnist, image 5", subtitle="of class 2")
    assert_tidy(open_png(path))


def test_edges_are_dark_on_white(tmp_path, open_png):
    """For a black and white image, only the edges are colored, and most of the results is white."""
    image = np.zeros((28, 28, 1), np.uint8)
    image[10:18] = 255
    pixels = open_png(kernels(image, tmp_path / "k.png", title="t", subtitle="s")).astype(int)
    bar = pixels[110:270]
    assert (bar[:, :400].std(axis=2) < 1).all()  # the image and the smoothed one are grey
    assert (bar[:, 400:, 2] - bar[:, 400:, 0] > 60).any()
    assert (bar[:, 400:, 0] - bar[:, 400:, 2] > 60).any()
    assert (bar[:, 400:] == 255).all(axis=2).mean() > 0.6
