"""Learning curves of a trial, with any values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoo.figures import learning_curves
from zoo.figures._curves import HEADER, VALIDATION, WIDTH


def ink(pixels, color):
    """Return row and column of the pixels of exactly this color below the key, `(n, 2)`."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    found = np.argwhere((pixels == rgb).all(axis=2))
    return found[found[:, 0] > HEADER]


@pytest.mark.parametrize("count", [1, 2, 12, 40, 300])
def test_any_number_of_epochs_is_drawn(tmp_path, open_png, assert_tidy, epoch_events, count):
    path = learning_curves(epoch_events(count), tmp_path / "c.png", best_epoch=count, title="a study")
    pixels = open_png(path)
    assert_tidy(pixels)
    columns = ink(pixels, VALIDATION)[:, 1]
    assert (columns < WIDTH / 2).any()
    assert (columns > WIDTH / 2).any()
    assert path.stat().st_size < 100_000


def test_best_epoch_is_marked(tmp_path, open_png, epoch_events):
    events = epoch_events(10)
    plain = open_png(learning_curves(events, tmp_path / "a.png", best_epoch=None, title="t"))
    third = open_png(learning_curves(events, tmp_path / "b.png", best_epoch=3, title="t"))
    eighth = open_png(learning_curves(events, tmp_path / "c.png", best_epoch=8, title="t"))

    def mark(pixels):  # changed pixels in each column of the first panel
        return (pixels != plain)[HEADER + 30 :, : WIDTH // 2].any(axis=2).sum(axis=0)

    assert mark(third).max() > 100
    assert mark(eighth).argmax() - mark(third).argmax() > 100


def test_best_epoch_without_event_marks_none(tmp_path, open_png, epoch_events):
    events = epoch_events(5)
    plain = learning_curves(events, tmp_path / "a.png", best_epoch=None, title="t")
    other = learning_curves(events, tmp_path / "b.png", best_epoch=17, title="t")
    assert plain.read_bytes() == other.read_bytes()


def test_order_of_events_does_not_matter(tmp_path, epoch_events):
    events = epoch_events(5)
    first = learning_curves(events, tmp_path / "a.png", best_epoch=2, title="t")
    second = learning_curves(events[::-1], tmp_path / "b.png", best_epoch=2, title="t")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "odd",
    [
        {"loss": math.nan, "val_loss": math.inf},
        {"loss": None, "val_loss": None, "accuracy": None, "val_accuracy": None},
        {"loss": 1e12, "val_loss": 1e-9},
        {"loss": 0.0, "val_loss": 3e38},
        {"loss": -5.0, "val_loss": 1e7},
        {"loss": 0.0, "val_loss": 0.0, "accuracy": 0.0, "val_accuracy": 1.0},
    ],
)
@pytest.mark.parametrize("everywhere", [False, True])
def test_unusual_values_are_drawn(tmp_path, open_png, assert_tidy, epoch_events, odd, everywhere):
    events = epoch_events(6)
    for event in events if everywhere else events[2:3]:
        event.metrics.update(odd)
    path = learning_curves(events, tmp_path / "c.png", best_epoch=3, title="odd")
    assert_tidy(open_png(path))


def test_missing_metric_leaves_a_gap(tmp_path, open_png, assert_tidy, epoch_events):
    events = epoch_events(3)
    for event in events:
        del event.metrics["accuracy"], event.metrics["val_accuracy"]
    assert_tidy(open_png(learning_curves(events, tmp_path / "c.png", best_epoch=1, title="t")))


def test_wide_range_is_drawn_on_log_axis(tmp_path, open_png, epoch_events):
    events = epoch_events(12)
    events[0].metrics.update(loss=4000.0, val_loss=4000.0)
    pixels = open_png(learning_curves(events, tmp_path / "c.png", best_epoch=None, title="t"))
    curve = ink(pixels, VALIDATION)
    late = curve[(curve[:, 1] > 200) & (curve[:, 1] < WIDTH / 2)]
    assert np.ptp(late[:, 0]) > 10  # pixels; on a linear axis all of them lie within two
