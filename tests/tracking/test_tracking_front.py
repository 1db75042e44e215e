"""A study with several objectives in MLflow: which trials no other beats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import BEGAN, CONFIG

from zoo.study import Objective
from zoo.tracking import Store, StudyTracker, leaderboard, names, study_page

OBJECTIVES = [Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")]


def end(accuracy: float, parameters: int, state: str = "complete") -> dict[str, Any]:
    summary = {"best_val_accuracy": accuracy, "best_epoch": 1, "parameters": parameters, "latency_ms": 1.5}
    event = {"event": "finished", "time": BEGAN + parameters, "state": state, "reason": ""}
    return {**event, "summary": summary}


@pytest.fixture
def study(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> StudyTracker:
    """Four complete trials, of which 2 is beaten by 1, and a pruned one that would beat them all."""
    tracker = StudyTracker(store, examples.facts(request.node.name, objectives=OBJECTIVES))
    folder = examples.make_folder(tmp_path / "trial")
    for number, event in enumerate(
        [end(0.5, 100), end(0.75, 900), end(0.75, 950), end(0.625, 200), end(0.9, 10, "pruned")]
    ):
        tracker.handle(number, CONFIG, event, folder)
    return tracker


def tagged(study: StudyTracker) -> set[int]:
    runs = examples.all_runs(study.store, study.experiment_id)
    return {int(run.data.tags["zoo.trial"]) for run in runs if run.data.tags.get("zoo.front") == "true"}


def test_the_runs_on_the_front_are_tagged_and_no_others(study: StudyTracker, tmp_path: Path) -> None:
    figure = tmp_path / "pareto_front.png"
    figure.write_bytes(b"\x89PNG")
    study.show_front([1, 3], figure)
    assert tagged(study) == {1, 3}
    study.show_front([0, 1, 99], None)  # 99 is not in MLflow yet
    assert tagged(study) == {0, 1}
    study.show_front([0, 1], None)
    assert tagged(study) == {0, 1}
    run = study.store.client.get_run(study.run_id)
    assert "figures/pareto_front.png" in examples.artifacts(study.store, run)


def test_the_studys_run_names_them_all(study: StudyTracker) -> None:
    run = study.store.client.get_run(study.run_id)
    assert run.data.tags["zoo.objective"] == "val_accuracy,parameters"
    assert run.data.tags["zoo.direction"] == "maximize,minimize"
    assert names.objectives_of(run.data.tags) == OBJECTIVES
    assert run.data.metrics["best_val_accuracy"] == 0.75  # of the first objective


def test_the_leaderboard_has_them_first(study: StudyTracker) -> None:
    table = leaderboard(study.facts.name, study.store)
    assert list(table.columns[:7]) == [
        "trial", "state", "reason", "front", "best_val_accuracy", "parameters", "best_epoch",
    ]  # fmt: skip
    assert table["trial"].tolist() == [1, 3, 0, 2, 4]
    assert table["front"].tolist() == [True, True, True, False, False]


def test_a_study_without_a_trial(local_store: Store) -> None:
    study = StudyTracker(local_store, examples.facts(objectives=OBJECTIVES))
    study.show_front([], None)
    table = leaderboard(study.facts.name, local_store)
    assert len(table) == 0
    assert "front" in table.columns


def test_the_page_is_sorted_by_the_first(local_store: Store) -> None:
    study = StudyTracker(local_store, examples.facts(objectives=OBJECTIVES[::-1]))
    page = study_page(study.facts.name, local_store)
    assert "orderByKey=metrics.%60parameters%60" in page
    assert "orderByAsc=true" in page


def test_a_training_outside_the_search_has_no_front(local_store: Store) -> None:
    training = StudyTracker(local_store, examples.facts(objectives=OBJECTIVES, training="training-baseline"))
    training.show_front([0], None)
    assert examples.all_runs(local_store, training.experiment_id) == []
