"""A trial with folds in MLflow: a curve of every fold, their mean, the model of the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import BEGAN, CONFIG

from zoo.tracking import Store, StudyTracker, leaderboard

FOLDED: dict[str, Any] = {**CONFIG, "validation": {"folds": 3, "seed": 0}}

# Of every fold the epochs it came to, by val_accuracy; the second ended early.
REACHED = {1: [0.5, 0.75, 0.625], 2: [0.25, 0.5], 3: [0.75, 1.0, 0.5]}


def said(state: str = "complete") -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [examples.events()[0]]
    for fold, values in REACHED.items():
        for epoch, value in enumerate(values, start=1):
            events.append(
                {
                    "event": "epoch",
                    "time": BEGAN + 10 * fold + epoch,
                    "fold": fold,
                    "epoch": epoch,
                    "metrics": {"val_accuracy": value, "loss": 1 - value},
                }
            )
    summary = {"best_val_accuracy": 0.75, "best_val_accuracy_std": 0.25, "best_fold": 3, "best_epoch": 2}
    end = {"event": "finished", "time": BEGAN + 60, "state": state, "reason": ""}
    return [*events, {**end, "summary": {**summary, "parameters": 650, "train_seconds": 1.5}}]


@pytest.fixture
def tracker(local_store: Store) -> StudyTracker:
    return StudyTracker(local_store, examples.facts())


@pytest.fixture
def folder(tmp_path: Path, model_file: Path) -> Path:
    return examples.make_folder(tmp_path / "trials" / "007", model_file)


def record(tracker: StudyTracker, events: list[dict[str, Any]], folder: Path) -> Any:
    for event in events:
        tracker.handle(7, FOLDED, event, folder)
    return examples.run_of(tracker, 7)


def test_every_fold_has_its_curves(tracker: StudyTracker, folder: Path) -> None:
    run = record(tracker, said(), folder)
    for fold, values in REACHED.items():
        points = examples.history(tracker.store, run, f"fold-{fold}/val_accuracy")
        times = [round(1000 * (BEGAN + 10 * fold + epoch)) for epoch in range(1, len(values) + 1)]
        assert points == list(zip(range(1, len(values) + 1), times, values, strict=True))
    assert run.data.metrics["best_val_accuracy"] == 0.75
    assert run.data.metrics["best_val_accuracy_std"] == 0.25
    assert run.data.params["validation.folds"] == "3"
    assert run.data.tags["zoo.fold"] == "3"


def test_the_plain_curve_is_their_mean_as_far_as_every_fold_came(tracker: StudyTracker, folder: Path) -> None:
    run = record(tracker, said(), folder)
    last_fold = round(1000 * (BEGAN + 30))
    assert examples.history(tracker.store, run, "val_accuracy") == [
        (1, last_fold + 1000, 0.5),
        (2, last_fold + 2000, 0.75),
    ]
    assert [value for _, _, value in examples.history(tracker.store, run, "loss")] == [0.5, 0.25]


def test_it_comes_with_the_last_fold_and_not_before(tracker: StudyTracker, folder: Path) -> None:
    events = said()
    run = record(tracker, events[:6], folder)
    assert "val_accuracy" not in run.data.metrics
    run = record(tracker, events[6:7], folder)
    assert run.data.metrics["val_accuracy"] == 0.5


def test_the_model_has_the_figures_of_its_fold(tracker: StudyTracker, folder: Path) -> None:
    run = record(tracker, said(), folder)
    (model,) = examples.models_of(tracker.store, tracker.experiment_id)
    assert [output.step for output in run.outputs.model_outputs] == [2]
    assert {(m.key, m.step, m.value) for m in model.metrics} == {
        ("fold-3/val_accuracy", 2, 1.0),
        ("fold-3/loss", 2, 0.0),
        ("best_val_accuracy", 0, 0.75),
        ("best_val_accuracy_std", 0, 0.25),
        ("best_fold", 0, 3.0),
        ("best_epoch", 0, 2.0),
        ("train_seconds", 0, 1.5),
    }
    assert model.tags["zoo.fold"] == "3"


def test_a_pruned_trial_keeps_no_fold(tracker: StudyTracker, folder: Path) -> None:
    events = said("pruned")
    run = record(tracker, [*events[:6], events[-1]], folder)
    assert "zoo.fold" not in run.data.tags


@pytest.mark.parametrize("killed_after", [0, 3, 7, 9, 10])
def test_told_again_by_another_process_it_is_exactly_the_same(
    tracker: StudyTracker, folder: Path, killed_after: int
) -> None:
    record(tracker, said()[:killed_after], folder)
    successor = StudyTracker(tracker.store, tracker.facts)
    successor.replay(7, FOLDED, said(), folder)
    twice = examples.held(successor)
    untouched = StudyTracker(tracker.store, examples.facts("untouched"))
    record(untouched, said(), folder)
    once = examples.held(untouched)
    ours, theirs = (held["runs"]["trial-007"] for held in (twice, once))
    assert ours["metrics"] == theirs["metrics"]
    assert ours["outputs"] == theirs["outputs"]
    assert len(twice["models"]) == 1
    assert twice["models"][0]["metrics"] == once["models"][0]["metrics"]


def test_an_event_that_comes_late_completes_the_mean(tracker: StudyTracker, folder: Path) -> None:
    events = said()
    late = events.pop(1)  # fold 1, epoch 1
    record(tracker, events[:-1], folder)
    run = record(tracker, [late], folder)
    last_fold = round(1000 * (BEGAN + 30))
    assert examples.history(tracker.store, run, "val_accuracy")[0] == (1, last_fold + 1000, 0.5)


def test_many_epochs_told_at_once_are_all_there(tracker: StudyTracker, folder: Path) -> None:
    """More points than MLflow takes in one request."""
    values = {f"metric_{number}": number / 10 for number in range(7)}
    events = [
        {
            "event": "epoch",
            "time": BEGAN + 200 * fold + epoch,
            "fold": fold,
            "epoch": epoch,
            "metrics": values,
        }
        for fold in (1, 2, 3)
        for epoch in range(1, 101)
    ]
    tracker.replay(7, FOLDED, [examples.events()[0], *events], folder)
    run = examples.run_of(tracker, 7)
    assert len(examples.history(tracker.store, run, "metric_3")) == 100
    assert len(examples.history(tracker.store, run, "fold-2/metric_6")) == 100


def test_the_leaderboard_shows_the_spread(tracker: StudyTracker, folder: Path) -> None:
    record(tracker, said(), folder)
    table = leaderboard(tracker.facts.name, tracker.store)
    assert list(table.columns[3:8]) == [
        "best_val_accuracy", "best_val_accuracy_std", "best_fold", "best_epoch", "parameters",
    ]  # fmt: skip
    assert table["best_val_accuracy_std"].tolist() == [0.25]
