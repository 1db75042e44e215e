"""All figures of a trial, from its directory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from zoo.errors import DataError
from zoo.events import Finished, Started, to_json
from zoo.figures import draw_curves, draw_trial

NAMES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def digits():
    digits = load_digits()
    return (digits.images * 15).astype(np.uint8)[:300, :, :, None], digits.target[:300]


def write_events(folder, events, tail=""):
    lines = [to_json(event) for event in events]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n" + tail, "utf-8")


def finished(state="complete", **summary):
    return Finished(2.0e9, state, reason="\u2028", summary=summary)


STARTED = Started(1.0e9, device="cpu", backend="tensorflow", num_parameters=10)


@pytest.fixture
def complete(tmp_path, epoch_events, digits):
    """The directory of a complete trial that predicts the next class for every tenth image."""
    write_events(tmp_path, [STARTED, *epoch_events(4), finished(best_epoch=3)])
    _, labels = digits
    predicted = np.where(np.arange(300) % 10 == 0, (labels + 1) % 10, labels)
    np.savez(
        tmp_path / "predictions.npz", probabilities=np.eye(10, dtype=np.float32)[predicted], labels=labels
    )
    return tmp_path


def test_complete_trial_has_all_figures(complete, digits, open_png, assert_tidy):
    written = draw_trial(complete, digits[0], NAMES, title="digits_cnn, trial 7")
    assert [path.name for path in written] == [
        "learning_curves.png",
        "confusion_matrix.png",
        "mistakes.png",
        "predictions.png",
    ]
    assert sorted((complete / "figures").iterdir()) == sorted(written)
    for path in written:
        assert_tidy(open_png(path))
        assert path.stat().st_size < 100_000


def test_drawing_again_gives_same_files(complete, digits):
    first = [path.read_bytes() for path in draw_trial(complete, digits[0], NAMES, title="t")]
    assert [path.read_bytes() for path in draw_trial(complete, digits[0], NAMES, title="t")] == first


def test_best_epoch_comes_from_finished_event(complete, digits, epoch_events):
    marked = draw_trial(complete, digits[0], NAMES, title="t")[0].read_bytes()
    write_events(complete, [STARTED, *epoch_events(4), finished(best_epoch=1)])
    other = draw_trial(complete, digits[0], NAMES, title="t")[0].read_bytes()
    write_events(complete, [STARTED, *epoch_events(4)])
    unmarked = draw_trial(complete, digits[0], NAMES, title="t")[0].read_bytes()
    assert len({marked, other, unmarked}) == 3


def test_pruned_trial_has_curves_only(tmp_path, epoch_events):
    write_events(tmp_path, [STARTED, *epoch_events(2), finished("pruned")])
    written = draw_trial(tmp_path, np.zeros((0, 8, 8, 1), np.uint8), NAMES, title="t")
    assert [path.name for path in written] == ["learning_curves.png"]


def test_curves_can_be_drawn_alone(complete, digits):
    whole = draw_trial(complete, digits[0], NAMES, title="t")[0]
    alone = draw_curves(complete, complete / "alone.png", title="t")
    assert alone == complete / "alone.png"
    assert alone.read_bytes() == whole.read_bytes()


def test_trial_without_epochs_has_no_figures(tmp_path):
    assert draw_curves(tmp_path, tmp_path / "c.png", title="t") is None
    assert draw_trial(tmp_path, np.zeros((0, 8, 8, 1), np.uint8), NAMES, title="t") == []
    write_events(tmp_path, [STARTED, finished("failed")])
    assert draw_trial(tmp_path, np.zeros((0, 8, 8, 1), np.uint8), NAMES, title="t") == []
    assert not (tmp_path / "figures").exists()


def test_torn_last_line_is_ignored(tmp_path, epoch_events):
    write_events(tmp_path, [STARTED, *epoch_events(2)])
    whole = draw_trial(tmp_path, (), NAMES, title="t")[0].read_bytes()
    write_events(tmp_path, [STARTED, *epoch_events(2)], tail='{"version": 2, "event": "epoch_end", "ep')
    assert draw_trial(tmp_path, (), NAMES, title="t")[0].read_bytes() == whole


def test_repeated_epoch_counts_once(tmp_path, epoch_events):
    events = epoch_events(3)
    write_events(tmp_path, events)
    once = draw_trial(tmp_path, (), NAMES, title="t")[0].read_bytes()
    stale = replace(events[1], metrics={**events[1].metrics, "loss": 77.0})
    write_events(tmp_path, [events[0], stale, events[1], events[2]])
    assert draw_trial(tmp_path, (), NAMES, title="t")[0].read_bytes() == once


def test_damaged_line_in_the_middle_is_skipped(tmp_path, epoch_events):
    events = epoch_events(3)
    write_events(tmp_path, [STARTED, events[0], events[2]])
    expected = draw_trial(tmp_path, (), NAMES, title="t")[0].read_bytes()
    lines = [to_json(events[0]), '{"version": 2, "ev', to_json(events[2])]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    assert draw_trial(tmp_path, (), NAMES, title="t")[0].read_bytes() == expected


def test_damaged_predictions_raise(complete, digits):
    (complete / "predictions.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DataError, match=r"predictions\.npz"):
        draw_trial(complete, digits[0], NAMES, title="t")


def test_images_of_other_split_raise(complete, digits):
    with pytest.raises(ValueError, match="got 299 and 300"):
        draw_trial(complete, digits[0][:-1], NAMES, title="t")
