"""Trials by their objectives, with the Pareto front."""

from __future__ import annotations

import random

import pytest

from zoo.figures import trade_offs
from zoo.figures._trade_offs import DOMINATED, FRONT
from zoo.study import Objective, pareto_front

ACCURACY = Objective("val_accuracy", "maximize")
OTHERS = [
    Objective("parameters", "minimize"),
    Objective("latency_ms", "minimize"),
    Objective("loss", "minimize"),
]


def ink(pixels, color, below=70):
    """Return the number of pixels of exactly this color below the key."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels[below:] == rgb).all(axis=2).sum())


def some_values(count, objectives, seed=0):
    draw = random.Random(seed)
    return {
        number: (draw.random(), 10 ** draw.uniform(2, 7), draw.uniform(1, 2), draw.random())[:objectives]
        for number in range(count)
    }


@pytest.mark.parametrize("count", [1, 2, 40, 400])
@pytest.mark.parametrize("others", [1, 2, 3])
def test_any_number_of_trials_and_objectives_is_drawn(tmp_path, open_png, assert_tidy, count, others):
    values = some_values(count, 1 + others)
    path = trade_offs(values, [ACCURACY, *OTHERS[:others]], tmp_path / "f.png", title="a study")
    pixels = open_png(path)
    assert_tidy(pixels)
    assert ink(pixels, FRONT) > 20
    assert path.stat().st_size < 100_000


def test_dominated_trial_is_grey(tmp_path, open_png):
    objectives = [ACCURACY, OTHERS[0]]
    without = open_png(trade_offs({0: (0.5, 10), 1: (0.6, 20)}, objectives, tmp_path / "a.png", title="t"))
    one = {0: (0.5, 10), 1: (0.6, 20), 2: (0.4, 15)}
    assert pareto_front(one, objectives) == [1, 0]
    with_dominated = open_png(trade_offs(one, objectives, tmp_path / "b.png", title="t"))
    assert ink(with_dominated, DOMINATED) > ink(without, DOMINATED)


@pytest.mark.parametrize(
    "values",
    [
        {0: (0.5, 100), 1: (0.5, 100)},
        {0: (0.0, 0), 1: (0.0, 0)},
        {0: (-1.0, 1e9), 1: (1.0, 1)},
        {7: (1e-9, 12), 8: (1e9, 3)},
    ],
    ids=["equal", "zero", "wide", "wider"],
)
def test_unusual_values_are_drawn(tmp_path, open_png, assert_tidy, values):
    assert_tidy(open_png(trade_offs(values, [ACCURACY, OTHERS[0]], tmp_path / "f.png", title="t")))


def test_drawing_again_gives_same_file(tmp_path):
    draw = [
        trade_offs(some_values(30, 2), [ACCURACY, OTHERS[0]], tmp_path / f"{n}.png", title="t").read_bytes()
        for n in range(2)
    ]
    assert draw[0] == draw[1]
