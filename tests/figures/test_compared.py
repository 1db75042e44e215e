"""Learning curves of several trials in one figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zoo.figures import MAX_COMPARED, Curve, compared_curves
from zoo.figures._curves import COLORS, COMPARED_WIDTH, FAINT
from zoo.figures._page import Page


@pytest.fixture
def curve(epoch_events):
    """curve(3, below=0.1) -> the curve of trial 3, whose accuracy is 0.1 below the default."""

    def make(number, epochs=6, below=0.0):
        events = epoch_events(epochs)
        for event in events:
            event.metrics["val_accuracy"] -= below
            event.metrics["val_loss"] += below
        return Curve(f"trial {number}: 0.9757", events, best_epoch=epochs)

    return make


def ink(pixels, color):
    """Return the number of pixels of exactly this color, left of the key."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels[:, : COMPARED_WIDTH - 210] == rgb).all(axis=2).sum())


@pytest.mark.parametrize("count", [1, 2, 8, 9, 40])
def test_any_number_of_trials_is_drawn(tmp_path, open_png, assert_tidy, curve, count):
    curves = [curve(number, below=0.02 * number) for number in range(count)]
    pixels = open_png(compared_curves(curves, tmp_path / "c.png", title="a study"))
    assert_tidy(pixels)
    for number, color in enumerate(COLORS):
        assert (ink(pixels, color) > 100) == (number < count)
    assert (ink(pixels, FAINT) > 100) == (count > MAX_COMPARED)


def test_trials_have_different_colors():
    assert len(set(COLORS)) == MAX_COMPARED
    assert FAINT not in COLORS


def test_other_trials_are_drawn_in_grey(tmp_path, open_png, curve):
    alone = open_png(compared_curves([curve(0)], tmp_path / "a.png", title="t"))
    others = [curve(number, below=0.1) for number in range(3)]
    with_others = open_png(compared_curves([curve(0)], tmp_path / "b.png", title="t", others=others))
    assert ink(alone, FAINT) < 50
    assert ink(with_others, FAINT) > 100
    assert ink(with_others, COLORS[0]) > 100


def test_trials_of_different_lengths_are_drawn(tmp_path, open_png, assert_tidy, curve):
    curves = [curve(0, epochs=1), curve(1, epochs=12), curve(2, epochs=60)]
    assert_tidy(open_png(compared_curves(curves, tmp_path / "c.png", title="t")))


def test_trial_without_epochs_is_left_out(tmp_path, curve):
    empty = Curve("trial 9 (failed)", [])
    path = compared_curves([curve(0), empty], tmp_path / "a.png", title="t", others=[empty])
    assert path.read_bytes() == compared_curves([curve(0)], tmp_path / "b.png", title="t").read_bytes()


def test_missing_values_and_long_names_are_drawn(tmp_path, open_png, assert_tidy, curve):
    odd = curve(1)
    for event in odd.epochs:
        event.metrics.update(val_loss=float("nan"), val_accuracy=None)
    long = Curve("trial 2 " + "with a very long name " * 9 + "$x$", curve(2).epochs, best_epoch=77)
    assert_tidy(open_png(compared_curves([odd, long], tmp_path / "c.png", title="t" * 300)))
    assert_tidy(open_png(compared_curves([odd], tmp_path / "d.png", title="t")))


def test_subtitle_mentions_rings_only_if_drawn(tmp_path, curve, monkeypatch):
    subtitles = []
    create = Page.__init__

    def spy(page, width, height, title, subtitle):
        subtitles.append(subtitle)
        create(page, width, height, title, subtitle)

    monkeypatch.setattr(Page, "__init__", spy)
    compared_curves([curve(0)], tmp_path / "a.png", title="t")
    compared_curves([Curve("folds", curve(0).epochs)], tmp_path / "b.png", title="t")
    assert subtitles == ["1 trial; a ring marks the best epoch", "1 trial"]


def test_best_epoch_has_a_ring(tmp_path, open_png, curve):
    marked = curve(0)
    plain = Curve(marked.name, marked.epochs)
    first = open_png(compared_curves([marked], tmp_path / "a.png", title="t"))
    second = open_png(compared_curves([plain], tmp_path / "b.png", title="t"))
    assert np.argwhere((first != second).any(axis=2)).shape[0] > 20


def test_curve_with_folds_is_their_mean(tmp_path, curve):
    mean = Curve("trial 0", curve(0, below=0.1).epochs)
    parts = [(1, curve(0).epochs), (2, curve(0, below=0.2).epochs)]
    folds = Curve("trial 0", [replace(event, fold=fold) for fold, events in parts for event in events])
    first = compared_curves([mean], tmp_path / "a.png", title="t").read_bytes()
    assert compared_curves([folds], tmp_path / "b.png", title="t").read_bytes() == first
