"""The figures of a study: its history, and the importance of its parameters."""

from __future__ import annotations

import pytest

from zoo.figures import importances, study_history
from zoo.figures._study import BEST, COMPLETE
from zoo.study import Objective

ACCURACY = Objective("val_accuracy", "maximize")


def ink(pixels, color):
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels[70:] == rgb).all(axis=2).sum())


@pytest.mark.parametrize("count", [1, 2, 500])
def test_history_has_a_point_for_every_trial(tmp_path, open_png, assert_tidy, count):
    values = {
        number: (0.5 + number / 1000, "pruned" if number % 3 else "complete") for number in range(count)
    }
    pixels = open_png(study_history(values, ACCURACY, tmp_path / "h.png", title="a study"))
    assert_tidy(pixels)
    assert (ink(pixels, BEST) > 0) == (count > 1)  # a line needs two trials


def test_history_without_complete_trial_is_drawn(tmp_path, open_png):
    pixels = open_png(study_history({3: (0.5, "pruned")}, ACCURACY, tmp_path / "h.png", title="a study"))
    assert ink(pixels, COMPLETE) == 0


@pytest.mark.parametrize("count", [1, 8, 60])
def test_bars_are_longest_for_the_most_important(tmp_path, open_png, assert_tidy, count):
    values = {f"net.a_parameter_{number}": float(number) for number in range(count)}
    pixels = open_png(importances(values, ACCURACY, tmp_path / "i.png", title="a study"))
    assert_tidy(pixels)
    assert (ink(pixels, COMPLETE) > 0) == (count > 1)
