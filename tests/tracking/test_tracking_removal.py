"""Models of trials that are not among the best: their removal, what stays, and the disk space."""

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
    disk_space,
    fetch_model,
    leaderboard,
    trials_without_model,
)
from zoo.tracking import _removal as removal


@pytest.fixture
def study(store: Store, tmp_path: Path, model_file: Path, request: pytest.FixtureRequest) -> StudyTracker:
    """A study whose trials 0 and 1 are complete, with models."""
    name = request.node.name.replace("[", "-").strip("]")
    tracker = StudyTracker(store, examples.facts(name))
    for number, best in enumerate((0.8, 0.9)):
        folder = examples.make_folder(tmp_path / "trials" / f"{number}", model_file)
        examples.record(tracker, number, examples.events(best=best), folder)
    return tracker


def model_files(study: StudyTracker) -> int:
    """Return how many models have files, whether or not MLflow knows the models."""
    folders = [study.store.uri.removeprefix("sqlite:///")]
    if study.store.uri.startswith("http"):
        pytest.skip("the files of a server")
    return len(list(Path(folders[0]).parent.glob("mlruns/*/models/**/model.keras")))


def test_removed_model_and_figures_are_gone(study: StudyTracker) -> None:
    study.remove_model(0)
    run = examples.run_of(study, 0)
    assert run.data.tags["zoo.model"].startswith("removed")
    assert "config.json" in examples.artifacts(study.store, run)
    assert not [path for path in examples.artifacts(study.store, run) if path.startswith("figures")]
    assert [model.source_run_id for model in examples.logged_models(study.store, study.experiment_id)] == [
        examples.run_of(study, 1).info.run_id
    ]
    assert trials_without_model(study.store, study.facts.name, study.facts.uid) == {0}
    table = leaderboard(study.facts.name, study.store).set_index("trial")
    assert (table.loc[0, "model"], table.loc[0, "state"]) == ("", "complete")
    assert table.loc[1, "model"].startswith("models:/m-")
    study.remove_model(0)  # again: no effect
    assert trials_without_model(study.store, study.facts.name, study.facts.uid) == {0}


def test_removal_frees_the_disk(study: StudyTracker) -> None:
    assert model_files(study) == 2
    before = disk_space([study.facts.name])
    study.remove_model(0)
    assert model_files(study) == 1
    assert disk_space([study.facts.name]) < before


def test_registered_model_is_never_removed(study: StudyTracker) -> None:
    (model,) = [
        model
        for model in examples.logged_models(study.store, study.experiment_id)
        if model.source_run_id == examples.run_of(study, 0).info.run_id
    ]
    name = f"{study.facts.name}-registered"
    study.store.client.create_registered_model(name)
    study.store.client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
    study.remove_model(0)
    assert "zoo.model" not in examples.run_of(study, 0).data.tags
    assert len(examples.logged_models(study.store, study.experiment_id)) == 2


def test_interrupted_removal_is_completed(study: StudyTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    delete = removal._delete_files

    def fail(store: Store, location: str, path: str | None = None) -> None:
        if path == "figures":
            raise ConnectionError
        delete(store, location, path)

    monkeypatch.setattr(removal, "_delete_files", fail)
    with pytest.raises(ConnectionError):
        study.remove_model(0)
    name, uid = study.facts.name, study.facts.uid
    assert trials_without_model(study.store, name, uid) == set()
    assert leaderboard(name, study.store).set_index("trial").loc[0, "model"] == ""  # its files are gone
    monkeypatch.undo()
    study.remove_model(0)
    assert trials_without_model(study.store, name, uid) == {0}


def test_error_about_removed_model_says_how_to_train_it(study: StudyTracker, tmp_path: Path) -> None:
    name = study.facts.name
    study.remove_model(0)
    with pytest.raises(TrackingError, match=rf"keep_models.*`zoo train {name} --trial 0` trains it again\.$"):
        fetch_model(study.store, name, "abc123-0", tmp_path)
    study.remove_model(1)
    with pytest.raises(TrackingError, match=rf"keep_models.*`zoo train {name} --trial 1` trains it again\.$"):
        best_model_address(study.store, name)


def test_trial_outside_the_best_is_recorded_without_model(
    store: Store, tmp_path: Path, model_file: Path, request: Any
) -> None:
    name = request.node.name.replace("[", "-").strip("]")
    tracker = StudyTracker(store, examples.facts(name))
    folder = examples.make_folder(tmp_path / "7", model_file)
    assert tracker.record(7, CONFIG, examples.events(), folder, keep_model=False)
    run = examples.run_of(tracker, 7)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["best_val_accuracy"] == 0.9
    assert examples.logged_models(store, tracker.experiment_id) == []
    assert not [path for path in examples.artifacts(store, run) if path.startswith("figures")]
    assert "zoo.problem" not in run.data.tags
    assert trials_without_model(store, name, "abc123") == {7}


def test_trial_that_mlflow_lacks_needs_no_removal(study: StudyTracker) -> None:
    study.remove_model(99)
    study.store.client.delete_run(examples.run_of(study, 0).info.run_id)
    study.remove_model(0)  # a deleted run keeps its model, to be restored
    assert len(examples.logged_models(study.store, study.experiment_id)) == 2
