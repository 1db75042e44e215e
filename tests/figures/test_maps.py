"""Feature maps and filters of any number and shape."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.figures import LayerMaps, feature_maps, filters, layer_maps
from zoo.figures._maps import MAX_LAYERS, MAX_MAPS, map_size
from zoo.figures._pixels import resize

IMAGE = np.full((28, 28, 1), 7, np.uint8)


def layer(shape, channels=None, name="conv2d"):
    maps = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return LayerMaps(name, "Conv2D", maps, channels or shape[2])


@pytest.mark.parametrize(
    "shape",
    [
        (28, 28, 1),
        (26, 26, 6),
        (14, 14, 16),
        (3, 3, 64),
        (1, 1, 64),
        (7, 7, 512),
        (150, 150, 32),
        (10, 40, 20),
    ],
)
@pytest.mark.parametrize("image", [(28, 28, 1), (150, 150, 3), (40, 160, 3)])
def test_layer_of_any_shape_is_drawn(tmp_path, open_png, assert_tidy, shape, image):
    pixels = np.random.default_rng(0).integers(0, 200, image).astype(np.uint8)
    path = feature_maps(pixels, layer(shape), tmp_path / "f.png", title="a study, trial 7, image 3")
    assert_tidy(open_png(path))


def test_first_of_many_maps_are_drawn(tmp_path, open_png):
    many, first = layer((7, 7, 512)), layer((7, 7, MAX_MAPS))
    assert (many.maps[:, :, :MAX_MAPS] != 0).any()
    whole = LayerMaps("conv2d", "Conv2D", many.maps[:, :, :MAX_MAPS], 512)
    drawn = open_png(feature_maps(IMAGE, many, tmp_path / "a.png", title="t"))
    assert (drawn == open_png(feature_maps(IMAGE, whole, tmp_path / "b.png", title="t"))).all()
    fewer = open_png(feature_maps(IMAGE, first, tmp_path / "c.png", title="t"))
    assert fewer.shape == drawn.shape
    assert (fewer[:60] != drawn[:60]).any()  # the line below the title has the number of maps


def test_each_map_is_drawn_in_its_place(tmp_path, open_png):
    """Each map has one pixel that is not 0, so the position of a map on the page can be read."""
    maps = np.zeros((8, 8, 24), np.float32)
    for number in range(24):
        maps[number % 8, number % 8, number] = 1
    pixels = open_png(feature_maps(IMAGE, LayerMaps("c", "Conv2D", maps, 24), tmp_path / "f.png", title="t"))
    dark = np.argwhere((pixels == (8, 48, 107)).all(axis=2))
    assert len(dark) == 24 * 12 * 12  # each a square of twelve pixels
    columns = [dark[dark[:, 0] == row, 1].min() for row in np.unique(dark[:, 0])][::12]
    assert len(columns) == 24
    for row in (columns[:8], columns[8:16], columns[16:]):
        assert np.ptp(np.diff(row)) == 0  # a diagonal that continues from map to map
        assert row == columns[:8]


def test_only_a_map_of_zeros_is_grey(tmp_path, open_png):
    maps = np.zeros((4, 4, 2), np.float32)
    maps[1, 1, 1] = 1e-9
    pixels = open_png(feature_maps(IMAGE, LayerMaps("c", "Conv2D", maps, 2), tmp_path / "f.png", title="t"))
    assert (pixels == 0xEC).all(axis=2).sum() >= 100**2
    assert (pixels == (8, 48, 107)).all(axis=2).sum() >= 30**2


@pytest.mark.parametrize("count", [1, 9, 53])
@pytest.mark.parametrize("image", [(8, 8, 1), (45, 45, 3), (150, 150, 3), (40, 160, 3), (160, 40, 3)])
def test_any_number_of_layers_is_drawn(tmp_path, open_png, assert_tidy, count, image):
    layers = [layer((6, 6, 12), 64, name=f"block{number}_convolution") for number in range(count)]
    pixels = np.random.default_rng(0).integers(0, 200, image).astype(np.uint8)
    path = layer_maps(pixels, layers, tmp_path / "l.png", title="t", subtitle="of class 3")
    assert_tidy(open_png(path))


def test_evenly_spaced_layers_of_many_are_drawn(tmp_path, open_png):
    """Of three layers whose map is not 0, the first and the last are shown."""

    def all_zero_but(*numbers):
        return [
            LayerMaps("c", "Conv2D", np.full((4, 4, 1), float(number in numbers), np.float32), 1)
            for number in range(MAX_LAYERS * 3)
        ]

    last = MAX_LAYERS * 3 - 1
    pixels = open_png(layer_maps(IMAGE, all_zero_but(0, 1, last), tmp_path / "l.png", title="t"))
    dark = (pixels == (8, 48, 107)).all(axis=2).sum(axis=1) > 10
    assert (np.diff(np.flatnonzero(dark)) > 1).sum() == 1  # two bands of rows


def test_long_layer_names_are_drawn(tmp_path, open_png, assert_tidy):
    layers = [layer((6, 6, 3), name="a_network/of_a_network/" + "with_a_long_name" * 5)]
    assert_tidy(open_png(layer_maps(IMAGE, layers, tmp_path / "l.png", title="t")))
    assert_tidy(open_png(feature_maps(IMAGE, layers[0], tmp_path / "f.png", title="t")))


@pytest.mark.parametrize(
    "shape",
    [(3, 3, 1, 16), (3, 3, 3, 64), (7, 7, 3, 96), (5, 1, 1, 4), (1, 1, 8, 2), (3, 3, 2, 1), (11, 11, 3, 512)],
)
def test_filters_of_any_shape_are_drawn(tmp_path, open_png, assert_tidy, shape):
    kernel = np.random.default_rng(0).normal(size=shape)
    assert_tidy(open_png(filters(kernel, tmp_path / "f.png", title="t", layer="conv2d")))


def test_filters_of_three_channels_are_colored(tmp_path, open_png):
    kernel = np.zeros((3, 3, 3, 1))
    kernel[0, 0, 0], kernel[2, 2, 2] = 1, -1
    pixels = open_png(filters(kernel, tmp_path / "f.png", title="t", layer="conv2d"))
    for color in ((255, 128, 128), (128, 128, 0), (128, 128, 128)):
        assert (pixels == color).all(axis=2).sum() >= 40**2


def test_filters_of_one_channel_are_blue_and_orange(tmp_path, open_png):
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 0], kernel[2, 2] = 1, -1
    pixels = open_png(filters(kernel, tmp_path / "f.png", title="t", layer="conv2d"))
    for color in ((8, 48, 107), (127, 39, 4)):
        assert (pixels == color).all(axis=2).sum() >= 40**2


def test_filters_of_zeros_are_drawn(tmp_path, open_png, assert_tidy):
    for channels in (1, 3):
        kernel = np.zeros((3, 3, channels, 2))
        assert_tidy(open_png(filters(kernel, tmp_path / "f.png", title="t", layer="conv2d")))


@pytest.mark.parametrize("side", [1, 2, 5, 7, 28, 45, 64, 68, 96, 150, 1_000])
@pytest.mark.parametrize("box", [68, 96, 144])
def test_maps_are_never_larger_than_their_box(side, box):
    height, width = map_size((side, side), box)
    assert 0.7 * box <= height == width <= box
    assert height % side == 0 or height == box


def test_small_map_is_repeated_large_map_averaged():
    values = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, axis=2)
    assert (resize(values, 8, 8) == values.repeat(2, axis=0).repeat(2, axis=1)).all()
    assert set(np.unique(resize(values, 10, 6))) == set(range(16))
    assert resize(values.repeat(40, axis=0).repeat(40, axis=1), 20, 20).shape == (20, 20, 3)
