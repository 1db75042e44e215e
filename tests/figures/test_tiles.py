"""Images resized to tiles and pasted into a page."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.figures._page import Page, plain_style
from zoo.figures._pixels import colored, make_tile, resize, tile_size


@pytest.mark.parametrize("box", [44, 96, 112, 224])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (28, 28), (64, 64), (150, 150), (2_000, 3), (3, 2_000)])
def test_tile_size_is_near_the_box(box, size):
    tile = make_tile(np.zeros((*size, 1), np.uint8), box)
    assert tile.shape == (*tile_size(size, box), 3)
    assert box / 1.5 <= max(tile.shape) <= box * 4 / 3


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (20, 30)])
def test_small_image_keeps_its_pixels(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 1)).astype(np.uint8)
    tile = make_tile(image, 112)
    step = tile.shape[0] // size[0]
    assert tile.shape == (step * size[0], step * size[1], 3)
    for row in range(step):
        for column in range(step):
            assert (tile[row::step, column::step, 0] == image[:, :, 0]).all()


def test_large_image_keeps_its_proportions():
    height, width = tile_size((600, 200, 3), 120)
    assert (height, width) == (120, 40)


@pytest.mark.parametrize(
    ("channels", "expected"), [(1, [7, 7, 7]), (2, [7, 7, 7]), (3, [7, 8, 9]), (4, [7, 8, 9])]
)
def test_any_number_of_channels_becomes_three(channels, expected):
    image = np.full((2, 2, channels), np.arange(7, 7 + channels), np.uint8)
    assert (colored(image) == expected).all()


def test_shrinking_averages_pixels():
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize(stripes, 100, 100)
    assert 100 < small.mean() < 155
    assert small.std() < 70


def test_pasted_tile_has_a_frame():
    with plain_style():
        page = Page(0, 20, "", "")
        page.tile(np.full((4, 6, 3), 250, np.uint8), 5, 7)
        page = page.draw()
    assert (page[5:9, 7:13] == 250).all()
    assert (page[4, 6:14] == page[9, 6:14]).all()
    assert (page[4:10, 6] == 0xBB).all()
    assert (page != 255).any(axis=2).sum() == 6 * 8
