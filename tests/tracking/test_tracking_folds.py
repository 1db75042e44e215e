"""A trial with folds in MLflow: the curves of each fold, their mean, the model of the best fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG, START

from zoo.events import EpochEnd, Event, Finished, Started
from zoo.tracking import Store, StudyTracker, leaderboard

FOLDED: dict[str, Any] = {**CONFIG, "validation": {"folds": 3, "seed": 0}}

# The val_accuracy of each epoch, by fold; the second fold ends early.
VAL_ACCURACY = {1: [0.5, 0.75, 0.625], 2: [0.25, 0.5], 3: [0.75, 1.0, 0.5]}


def fold_events(state: str = "complete") -> list[Event]:
    sent: list[Event] = [Started(START, device="cpu", backend="tensorflow", num_parameters=650)]
    for fold, values in VAL_ACCURACY.items():
        for epoch, value in enumerate(values, start=1):
            metrics = {"val_accuracy": value, "loss": 1 - value}
            sent.append(EpochEnd(START + 10 * fold + epoch, epoch, metrics, fold))
    summary = {"best_val_accuracy": 0.75, "best_val_accuracy_std": 0.25, "best_fold": 3, "best_epoch": 2}
    return [*sent, Finished(START + 60, state, "", {**summary, "parameters": 650, "train_seconds": 1.5})]


@pytest.fixture
def tracker(local_store: Store) -> StudyTracker:
    return StudyTracker(local_store, examples.facts())


def record(tracker: StudyTracker, events: list[Event], folder: Path) -> Any:
    for event in events:
        tracker.record(7, FOLDED, [event], folder)
    return examples.run_of(tracker, 7)


def test_each_fold_has_its_curves(tracker: StudyTracker, folder: Path) -> None:
    run = record(tracker, fold_events(), folder)
    for fold, values in VAL_ACCURACY.items():
        points = examples.history(tracker.store, run, f"fold-{fold}/val_accuracy")
        times = [round(1000 * (START + 10 * fold + epoch)) for epoch in range(1, len(values) + 1)]
        assert points == list(zip(range(1, len(values) + 1), times, values, strict=True))
    assert run.data.metrics["best_val_accuracy"] == 0.75
    assert run.data.metrics["best_val_accuracy_std"] == 0.25
    assert run.data.params["validation.folds"] == "3"
    assert run.data.tags["zoo.fold"] == "3"


def test_mean_curve_ends_with_the_shortest_fold(tracker: StudyTracker, folder: Path) -> None:
    run = record(tracker, fold_events(), folder)
    last_fold = round(1000 * (START + 30))
    assert examples.history(tracker.store, run, "val_accuracy") == [
        (1, last_fold + 1000, 0.5),
        (2, last_fold + 2000, 0.75),
    ]
    assert [value for _, _, value in examples.history(tracker.store, run, "loss")] == [0.5, 0.25]


def test_mean_waits_for_the_last_fold(tracker: StudyTracker, folder: Path) -> None:
    events = fold_events()
    run = record(tracker, events[:6], folder)
    assert "val_accuracy" not in run.data.metrics
    run = record(tracker, events[6:7], folder)
    assert run.data.metrics["val_accuracy"] == 0.5


def test_model_has_metrics_of_its_fold(tracker: StudyTracker, folder: Path) -> None:
    run = record(tracker, fold_events(), folder)
    (model,) = examples.logged_models(tracker.store, tracker.experiment_id)
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


def test_pruned_trial_has_no_fold_tag(tracker: StudyTracker, folder: Path) -> None:
    events = fold_events("pruned")
    run = record(tracker, [*events[:6], events[-1]], folder)
    assert "zoo.fold" not in run.data.tags


@pytest.mark.parametrize("killed_after", [0, 3, 7, 9, 10])
def test_replay_by_another_process_is_equal(tracker: StudyTracker, folder: Path, killed_after: int) -> None:
    record(tracker, fold_events()[:killed_after], folder)
    successor = StudyTracker(tracker.store, tracker.facts)
    successor.record(7, FOLDED, fold_events(), folder)
    twice = examples.content(successor)
    untouched = StudyTracker(tracker.store, examples.facts("untouched"))
    record(untouched, fold_events(), folder)
    once = examples.content(untouched)
    ours, theirs = (content["runs"]["trial-007"] for content in (twice, once))
    assert ours["metrics"] == theirs["metrics"]
    assert ours["outputs"] == theirs["outputs"]
    assert len(twice["models"]) == 1
    assert twice["models"][0]["metrics"] == once["models"][0]["metrics"]


def test_late_event_completes_the_mean(tracker: StudyTracker, folder: Path) -> None:
    events = fold_events()
    late = events.pop(1)  # fold 1, epoch 1
    record(tracker, events[:-1], folder)
    run = record(tracker, [late], folder)
    last_fold = round(1000 * (START + 30))
    assert examples.history(tracker.store, run, "val_accuracy")[0] == (1, last_fold + 1000, 0.5)


def test_many_epochs_at_once_are_recorded(tracker: StudyTracker, folder: Path) -> None:
    """MLflow accepts fewer points per request than these."""
    values = {f"metric_{number}": number / 10 for number in range(7)}
    events = [
        EpochEnd(START + 200 * fold + epoch, epoch, values, fold)
        for fold in (1, 2, 3)
        for epoch in range(1, 101)
    ]
    tracker.record(7, FOLDED, [examples.events()[0], *events], folder)
    run = examples.run_of(tracker, 7)
    assert len(examples.history(tracker.store, run, "metric_3")) == 100
    assert len(examples.history(tracker.store, run, "fold-2/metric_6")) == 100


def test_leaderboard_shows_standard_deviation(tracker: StudyTracker, folder: Path) -> None:
    record(tracker, fold_events(), folder)
    table = leaderboard(tracker.facts.name, tracker.store)
    assert list(table.columns[3:8]) == [
        "best_val_accuracy", "best_val_accuracy_std", "best_fold", "best_epoch", "parameters",
    ]  # fmt: skip
    assert table["best_val_accuracy_std"].tolist() == [0.25]
