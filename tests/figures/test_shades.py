"""Colors for numbers."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.figures._pixels import signed_shades


def lightness(colors):
    return colors.astype(int).sum(axis=-1)


def test_zero_is_white_larger_is_darker():
    colors = signed_shades(np.linspace(0, 1, 50))
    assert (colors[0] == 255).all()
    assert (np.diff(lightness(colors)) <= 0).all()
    assert lightness(colors)[-1] < 200


def test_positive_is_blue_negative_is_orange():
    colors = signed_shades(np.array([-0.5, 0.5, -1.0, 1.0])).astype(int)
    assert (colors[[1, 3], 2] > colors[[1, 3], 0]).all()
    assert (colors[[0, 2], 0] > colors[[0, 2], 2]).all()


def test_scale_does_not_change_the_colors():
    values = np.random.default_rng(0).normal(size=(30, 20))
    assert (signed_shades(values) == signed_shades(values * 1_000)).all()


def test_single_large_value_leaves_others_dark():
    values = np.ones((50, 50))
    values[0, 0] = 1_000
    assert lightness(signed_shades(values))[5, 5] < 200


def test_single_value_is_visible():
    values = np.zeros((150, 150))
    values[3, 4] = 1e-6
    colors = signed_shades(values)
    assert lightness(colors)[3, 4] < 200
    assert (colors == 255).all(axis=2).sum() == 150 * 150 - 1


@pytest.mark.parametrize("values", [np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), np.inf)])
def test_zeros_and_non_finite_values_are_white(values):
    assert (signed_shades(values) == 255).all()


def test_non_finite_value_beside_others_is_white():
    colors = signed_shades(np.array([1.0, np.nan, -np.inf]))
    assert (colors[1:] == 255).all()
    assert lightness(colors)[0] < 200
