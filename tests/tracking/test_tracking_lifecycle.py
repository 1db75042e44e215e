"""Runs that are deleted in MLflow count as absent everywhere, until they are restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.tracking import (
    Store,
    StudyTracker,
    TrackingError,
    best_model_address,
    connect,
    delete_study,
    delete_trials,
    leaderboard,
    model_address,
    rename_study,
    restore_trials,
    trial_states,
)

STUDY, UID = "digits_cnn", "abc123"


@pytest.fixture
def study(local_store: Store, folder: Path) -> StudyTracker:
    """Three complete trials; trial 1 is the best, and its score is recorded."""
    tracker = StudyTracker(local_store, examples.facts())
    for number, best in enumerate([0.7, 0.9, 0.8]):
        tracker.record(number, CONFIG, examples.events(best=best), folder)
    tracker.record(1, CONFIG, [examples.score(is_best=True)], folder)
    tracker.finish()
    return tracker


def delete_run(study: StudyTracker, number: int) -> str:
    """Delete a trial's run as MLflow's user interface does."""
    run_id = str(examples.run_of(study, number).info.run_id)
    study.store.client.delete_run(run_id)
    return run_id


def deleted_trials(store: Store, name: str = STUDY, uid: str = UID) -> set[int]:
    states = trial_states(store, name, uid)
    return {number for number, state in states.items() if state == "deleted"}


def trials(store: Store, name: str = STUDY) -> list[int]:
    return list(leaderboard(name, store)["trial"])


def study_tags(study: StudyTracker) -> Any:
    return study.store.client.get_run(study.run_id).data.tags


def test_deleted_run_is_absent_everywhere(study: StudyTracker) -> None:
    store = study.store
    assert deleted_trials(store) == set()
    delete_run(study, 1)
    assert deleted_trials(store) == {1}
    assert trial_states(store, STUDY, "another") == {}
    assert trials(store) == [2, 0]
    assert trial_states(store, STUDY, UID) == {0: "complete", 1: "deleted", 2: "complete"}
    assert model_address(store, STUDY, "abc123-1") == ""
    assert best_model_address(store, STUDY) == model_address(store, STUDY, "abc123-2")


@pytest.mark.parametrize("is_new_process", [False, True])
def test_deleted_run_is_not_recorded_again(study: StudyTracker, folder: Path, is_new_process: bool) -> None:
    delete_run(study, 1)
    tracker = StudyTracker(study.store, study.facts) if is_new_process else study
    later = examples.events(best=0.9, start=examples.START + 50)
    for _ in range(2):
        assert not tracker.record(1, CONFIG, later, folder)
        assert not tracker.record(1, CONFIG, [examples.score()], folder)
    tracker.end_with_problem(1, CONFIG, examples.end(), "no space left on device")
    assert deleted_trials(study.store) == {1}
    assert trials(study.store) == [2, 0]
    assert len(list(study.store.runs(study.experiment_id, deleted=True))) == 4


def test_run_deleted_while_trial_trains_is_skipped(local_store: Store, folder: Path) -> None:
    tracker = StudyTracker(local_store, examples.facts())
    started, *rest = examples.events()
    assert tracker.record(7, CONFIG, [started], folder)
    delete_run(tracker, 7)
    assert not tracker.record(7, CONFIG, rest, folder)
    assert trials(local_store) == []


def test_deleted_trials_can_be_restored(study: StudyTracker) -> None:
    store = study.store
    before = examples.content(study)
    delete_trials(store, STUDY, UID, [0, 1, 99])
    assert deleted_trials(store) == {0, 1}
    assert trials(store) == [2]
    restore_trials(store, STUDY, UID, [0, 1, 2, 99])
    assert deleted_trials(store) == set()
    assert trials(store) == [1, 2, 0]
    after = examples.content(study)
    assert before["runs"][STUDY]["tags"].pop("zoo.best_trial") == "1"
    assert after == before


def test_deleting_the_best_trial_removes_its_tag(study: StudyTracker) -> None:
    delete_trials(study.store, STUDY, UID, [0])
    assert study_tags(study)["zoo.best_trial"] == "1"
    delete_trials(study.store, STUDY, UID, [1])
    assert "zoo.best_trial" not in study_tags(study)


def test_trial_recorded_again_before_is_not_deleted(study: StudyTracker) -> None:
    """An earlier version of zoo recorded a deleted run again, so a trial may have two runs."""
    store = study.store
    run_id = delete_run(study, 1)
    tags = store.client.get_run(run_id).data.tags
    again = store.client.create_run(study.experiment_id, tags=tags)
    assert deleted_trials(store) == set()
    restore_trials(store, STUDY, UID, [1])
    assert examples.run_of(study, 1).info.run_id == again.info.run_id
    delete_trials(store, STUDY, UID, [1])
    assert deleted_trials(store) == {1}


def test_deleted_study_run_is_refused(study: StudyTracker) -> None:
    study.store.client.delete_run(study.run_id)
    with pytest.raises(
        TrackingError, match=rf"is deleted in MLflow at sqlite:.*`zoo delete {STUDY} --restore`"
    ):
        StudyTracker(study.store, study.facts)


def test_name_of_deleted_study_can_be_used_again(study: StudyTracker, folder: Path) -> None:
    store = study.store
    for _ in range(2):
        delete_study(store, STUDY)
    assert store.studies() == []
    assert deleted_trials(store) == set()
    with pytest.raises(TrackingError, match="no trials of a study named 'digits_cnn'"):
        leaderboard(STUDY, store)
    again = StudyTracker(store, examples.facts(uid="def456"))
    again.record(0, CONFIG, [examples.end(best=0.5)], folder)
    assert list(leaderboard(STUDY, store)["best_val_accuracy"]) == [0.5]


def test_deleted_experiment_can_be_restored_in_mlflow(study: StudyTracker) -> None:
    delete_study(study.store, STUDY)
    study.store.client.restore_experiment(study.experiment_id)
    (name,) = study.store.studies()
    assert name.startswith("digits_cnn (deleted 20")
    assert trials(study.store, name) == [1, 2, 0]


def test_renamed_study_keeps_its_trials(study: StudyTracker, folder: Path) -> None:
    store = study.store
    delete_run(study, 0)
    rename_study(store, STUDY, "new")
    assert store.studies() == ["new"]
    restore_trials(store, "new", UID, [0])
    assert trials(store, "new") == [1, 2, 0]
    runs = examples.all_runs(store, study.experiment_id)
    models = examples.logged_models(store, study.experiment_id)
    assert {entry.tags["zoo.study"] for entry in [*(run.data for run in runs), *models]} == {"new"}
    assert {run.info.run_name for run in runs} == {"new", "trial-000", "trial-001", "trial-002"}
    again = StudyTracker(store, examples.facts("new"))
    assert again.run_id == study.run_id
    assert again.record(1, CONFIG, examples.events(best=0.9), folder)
    assert trials(store, "new") == [1, 2, 0]


def test_taken_name_is_refused(study: StudyTracker) -> None:
    store = study.store
    store.client.create_experiment("taken")
    store.client.delete_experiment(store.client.create_experiment("removed"))
    with pytest.raises(TrackingError, match="has an experiment named 'taken' already"):
        rename_study(store, STUDY, "taken")
    with pytest.raises(TrackingError, match="has a deleted experiment named 'removed' already"):
        rename_study(store, STUDY, "removed")
    assert trials(store) == [1, 2, 0]


def test_unknown_study_is_left_out(local_store: Store) -> None:
    rename_study(local_store, "unknown", "new")
    delete_study(local_store, "unknown")
    delete_trials(local_store, "unknown", UID, [1])
    restore_trials(local_store, "unknown", UID, [1])
    assert trial_states(local_store, "unknown", UID) == {}
    assert local_store.studies() == []


def test_error_of_mlflow_is_reported_in_one_line(
    study: StudyTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("attempt to write a readonly database\n[SQL: …]")

    monkeypatch.setattr(type(study.store.client), "delete_run", refuse)
    with pytest.raises(TrackingError, match="refused a request: attempt to write a readonly database"):
        delete_trials(study.store, STUDY, UID, [1])


def test_lifecycle_works_over_http(server_address: str, folder: Path) -> None:
    store = connect(server_address)
    tracker = StudyTracker(store, examples.facts("lifecycle"))
    tracker.record(0, CONFIG, examples.events(), folder)
    delete_trials(store, "lifecycle", UID, [0])
    assert not tracker.record(0, CONFIG, [examples.score()], folder)
    assert deleted_trials(store, "lifecycle") == {0}
    assert trials(store, "lifecycle") == []
    restore_trials(store, "lifecycle", UID, [0])
    rename_study(store, "lifecycle", "renamed")
    assert trials(store, "renamed") == [0]
    delete_study(store, "renamed")
    assert not {"lifecycle", "renamed"} & set(store.studies())
