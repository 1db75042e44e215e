"""Learning curves of every fold, and their mean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from zoo.events import EventLog, Finished
from zoo.figures import draw_trial, learning_curves
from zoo.figures._curves import HEADER, VALIDATION, WIDTH, metric_by_fold


@pytest.fixture
def in_folds(epoch_events):
    """in_folds(3, 2, 4) -> epoch events of three folds with 3, 2 and 4 epochs."""

    def make(*counts):
        return [
            replace(
                event,
                fold=fold,
                metrics={**event.metrics, "val_accuracy": event.epoch / 10 + fold / 50},
            )
            for fold, count in enumerate(counts, start=1)
            for event in epoch_events(count)
        ]

    return make


def draw(events, path, best):
    fold, epoch = best or (None, None)
    return learning_curves(events, path, best_fold=fold, best_epoch=epoch, title="a study")


@pytest.mark.parametrize("counts", [(1,), (1, 1), (5,), (12, 9, 12), (300, 280, 3, 150, 300)])
def test_any_number_of_folds_is_drawn(tmp_path, open_png, assert_tidy, in_folds, counts):
    path = draw(in_folds(*counts), tmp_path / "c.png", (1, 1))
    pixels = open_png(path)
    assert_tidy(pixels)
    rgb = [int(VALIDATION[i : i + 2], 16) for i in (1, 3, 5)]
    columns = [column for row, column in np.argwhere((pixels == rgb).all(axis=2)) if row > HEADER]
    assert min(columns) < WIDTH / 2 < max(columns)
    assert path.stat().st_size < 100_000


def test_mean_ends_with_the_shortest_fold(in_folds):
    values = metric_by_fold(in_folds(3, 2), "val_accuracy")
    assert values.shape == (2, 3)
    np.testing.assert_allclose(values[:, :2], [[0.12, 0.22], [0.14, 0.24]])
    assert np.isnan(values[1, 2])
    assert np.isnan(values.sum(axis=0)).tolist() == [False, False, True]


def test_saved_model_is_marked(tmp_path, in_folds):
    events = in_folds(5, 5)
    drawn = {
        best: draw(events, tmp_path / "c.png", best).read_bytes() for best in (None, (1, 2), (2, 2), (2, 5))
    }
    assert len(set(drawn.values())) == 4


def test_missing_and_infinite_values_leave_gaps(tmp_path, open_png, assert_tidy, in_folds):
    events = in_folds(4, 4)
    events[1].metrics.update({"val_loss": math.inf, "val_accuracy": None, "loss": math.nan})
    del events[2].metrics["accuracy"]
    assert_tidy(open_png(draw(events, tmp_path / "c.png", (1, 2))))


def test_trial_with_folds_is_drawn_from_directory(tmp_path, in_folds, open_png, assert_tidy):
    summary = {"best_fold": 2, "best_epoch": 3, "best_val_accuracy": 0.9}
    log = EventLog(tmp_path / "events.jsonl")
    for event in [*in_folds(4, 4, 3), Finished(2.0e9, "complete", summary=summary)]:
        log.append(event)
    (drawn,) = draw_trial(tmp_path, (), ["a", "b"], title="a study")
    assert_tidy(open_png(drawn))
    expected = draw(in_folds(4, 4, 3), tmp_path / "c.png", (2, 3))
    assert drawn.read_bytes() == expected.read_bytes()
