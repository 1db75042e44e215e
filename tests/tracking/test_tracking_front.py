"""A study with several objectives in MLflow: the trials on the Pareto front."""

from __future__ import annotations

from pathlib import Path

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG, START

from zoo.events import Finished
from zoo.study import Objective
from zoo.tracking import Store, StudySummary, StudyTracker, add_report, leaderboard
from zoo.tracking import _names as names

OBJECTIVES = [Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")]


def end(accuracy: float, parameters: int, state: str = "complete") -> Finished:
    summary = {"best_val_accuracy": accuracy, "best_epoch": 1, "parameters": parameters, "latency_ms": 1.5}
    return Finished(START + parameters, state, "", summary)


@pytest.fixture
def study(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> StudyTracker:
    """Four complete trials, trial 1 better than trial 2, and a pruned trial with the best values."""
    tracker = StudyTracker(store, examples.facts(request.node.name, objectives=OBJECTIVES))
    folder = examples.make_folder(tmp_path / "trial")
    for number, event in enumerate(
        [end(0.5, 100), end(0.75, 900), end(0.75, 950), end(0.625, 200), end(0.9, 10, "pruned")]
    ):
        tracker.record(number, CONFIG, [event], folder)
    return tracker


def tagged(study: StudyTracker) -> set[int]:
    runs = examples.all_runs(study.store, study.experiment_id)
    return {int(run.data.tags["zoo.trial"]) for run in runs if run.data.tags.get("zoo.front") == "true"}


def test_only_runs_on_front_are_tagged(study: StudyTracker, tmp_path: Path) -> None:
    figure = tmp_path / "pareto_front.png"
    figure.write_bytes(b"\x89PNG")
    study.record_summary(StudySummary("", 1, [1, 3], figures=[figure]))
    assert tagged(study) == {1, 3}
    study.record_summary(StudySummary("", 0, [0, 1, 99]))  # MLflow does not have trial 99 yet
    assert tagged(study) == {0, 1}
    study.record_summary(StudySummary("", 0, [0, 1]))
    assert tagged(study) == {0, 1}
    run = study.store.client.get_run(study.run_id)
    assert "figures/pareto_front.png" in examples.artifacts(study.store, run)


def test_report_is_a_file_of_study_run(study: StudyTracker, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("first")
    study.record_report(page)
    page.write_text("second")
    assert add_report(study.store, study.facts.name, study.facts.uid, page)
    assert "second" in Path(study.store.client.download_artifacts(study.run_id, page.name)).read_text()
    assert not add_report(study.store, study.facts.name, "unknown", page)


def test_study_run_names_all_objectives(study: StudyTracker) -> None:
    run = study.store.client.get_run(study.run_id)
    assert run.data.tags["zoo.objective"] == "val_accuracy,parameters"
    assert run.data.tags["zoo.direction"] == "maximize,minimize"
    assert names.objectives_from(run.data.tags) == OBJECTIVES
    assert run.data.metrics["best_val_accuracy"] == 0.75  # the first objective


def test_leaderboard_shows_front_first(study: StudyTracker) -> None:
    table = leaderboard(study.facts.name, study.store)
    assert list(table.columns[:7]) == [
        "trial", "state", "reason", "front", "best_val_accuracy", "parameters", "best_epoch",
    ]  # fmt: skip
    assert table["trial"].tolist() == [1, 3, 0, 2, 4]
    assert table["front"].tolist() == [True, True, True, False, False]


def test_study_without_trial_has_empty_table(local_store: Store) -> None:
    study = StudyTracker(local_store, examples.facts(objectives=OBJECTIVES))
    study.record_summary(StudySummary(""))
    table = leaderboard(study.facts.name, local_store)
    assert len(table) == 0
    assert "front" in table.columns


def test_standalone_run_has_no_front(local_store: Store) -> None:
    training = StudyTracker(
        local_store, examples.facts(objectives=OBJECTIVES, standalone_name="standalone-baseline")
    )
    training.record_summary(StudySummary("", 0, [0]))
    assert examples.all_runs(local_store, training.experiment_id) == []
