"""A study read back from MLflow."""

from __future__ import annotations

import json
from csv import DictReader as csv_rows
from io import StringIO
from pathlib import Path

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.errors import StudyError
from zoo.events import Finished
from zoo.study import Objective
from zoo.tracking import Store, StudyTracker, TrackingError, _store, compare, leaderboard, trial_states


@pytest.fixture
def study(store: Store, folder: Path, request: pytest.FixtureRequest) -> StudyTracker:
    """Five trials: complete, better, failed, pruned, running."""
    tracker = StudyTracker(store, examples.facts(request.node.name))
    for number, event in enumerate(
        [
            examples.end(best=0.8),
            examples.end(best=0.9),
            examples.end("failed", reason="killed by signal 9"),
            examples.end("pruned"),
        ]
    ):
        tracker.record(number, CONFIG, [event], folder)
    tracker.record(4, CONFIG, [examples.events()[0]], folder)
    return tracker


def test_best_trial_is_first(study: StudyTracker) -> None:
    table = leaderboard(study.facts.name, study.store)
    assert list(table["trial"]) == [1, 0, 3, 2, 4]
    assert list(table["state"]) == ["complete", "complete", "pruned", "failed", "running"]
    assert list(table["reason"]) == ["", "", "", "killed by signal 9", ""]
    assert list(table.columns[:7]) == [
        "trial", "state", "reason", "best_val_accuracy", "best_epoch", "parameters", "train_seconds",
    ]  # fmt: skip
    assert list(table.columns[-3:]) == ["dataset.digest", "run_id", "model"]
    best = table.iloc[0]
    assert best["best_val_accuracy"] == 0.9
    assert best["conv_net.filters"] == [32, 64]
    assert best["training.optimizer"] == "adam"
    assert best["dataset.digest"] == examples.DIGEST
    assert best["dataset.source"] == study.facts.dataset.source
    assert best["dataset.warning"] == study.facts.dataset.warning
    assert best["run_id"] == examples.run_of(study, 1).info.run_id
    (model,) = study.store.client.search_logged_models(
        [study.experiment_id], filter_string=f"source_run_id = '{best['run_id']}'"
    )
    assert best["model"] == f"models:/{model.model_id}"
    assert table["model"].iloc[2] == ""


def test_integers_stay_integers_beside_missing_values(study: StudyTracker) -> None:
    table = leaderboard(study.facts.name, study.store)
    rows = json.loads(table.to_json(orient="records"))
    assert [repr(row["best_epoch"]) for row in rows] == ["2", "2", "2", "None", "None"]
    assert [repr(row["parameters"]) for row in rows] == ["650", "650", "650", "None", "650"]
    assert [repr(row["trial"]) for row in rows] == ["1", "0", "3", "2", "4"]
    assert repr(rows[0]["train_seconds"]) == "1.5"
    csv = list(csv_rows(StringIO(table.to_csv(index=False))))
    assert [row["best_epoch"] for row in csv] == ["2", "2", "2", "", ""]


def test_parameter_that_some_trials_lack_is_an_integer(
    store: Store, folder: Path, request: pytest.FixtureRequest
) -> None:
    tracker = StudyTracker(store, examples.facts(request.node.name))
    tracker.record(0, CONFIG, [examples.end(best=0.9)], folder)
    other = {**CONFIG, "architecture": {"name": "dense", "parameters": {"units": 64, "dropout": 1.0}}}
    tracker.record(1, other, [examples.end(best=0.8)], folder)
    rows = json.loads(leaderboard(tracker.facts.name, store).to_json(orient="records"))
    assert [repr(row["dense.units"]) for row in rows] == ["None", "64"]
    assert [repr(row["dense.dropout"]) for row in rows] == ["None", "1.0"]


def test_smallest_loss_is_first(local_store: Store, folder: Path) -> None:
    facts = examples.facts(objectives=[Objective("val_loss", "minimize")])
    tracker = StudyTracker(local_store, facts)
    for number, value in enumerate([0.3, 0.1, 0.2]):
        event = Finished(examples.START + 4, "complete", "", {"best_val_loss": value, "best_epoch": 1})
        config = {**CONFIG, "objective": "val_loss", "direction": "minimize"}
        tracker.record(number, config, [event], folder)
    assert list(leaderboard(facts.name, local_store)["trial"]) == [1, 2, 0]
    study = local_store.client.get_run(tracker.run_id)
    assert study.data.metrics["best_val_loss"] == 0.1


def test_study_without_trial_has_empty_table(local_store: Store) -> None:
    StudyTracker(local_store, examples.facts())
    table = leaderboard("digits_cnn")
    assert len(table) == 0
    assert "best_val_accuracy" in table.columns


def test_trials_on_several_pages_are_read(study: StudyTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_store, "_PAGE_SIZE", 2)
    assert len(leaderboard(study.facts.name, study.store)) == 5


def test_table_shows_study_started_last(study: StudyTracker, folder: Path) -> None:
    name = study.facts.name
    again = StudyTracker(study.store, examples.facts(name, uid="def456"))
    again.record(0, CONFIG, [examples.end(best=0.5)], folder)
    assert list(leaderboard(name, study.store)["best_val_accuracy"]) == [0.5]


def test_unknown_study_is_reported(local_store: Store) -> None:
    StudyTracker(local_store, examples.facts())
    local_store.client.create_experiment("digits_cn")  # no study
    with pytest.raises(
        TrackingError, match=r"a study named 'digit_cnn' in \S+\. Did you mean 'digits_cnn'\?$"
    ):
        leaderboard("digit_cnn", local_store)
    with pytest.raises(TrackingError, match="a study named 'digits_cn'"):
        leaderboard("digits_cn", local_store)


def test_folder_without_database_is_reported(working_folder: Path) -> None:
    with pytest.raises(TrackingError, match=r"no MLflow database .*mlflow\.db"):
        leaderboard("digits_cnn")
    assert list(working_folder.iterdir()) == []


def test_ended_runs_are_complete(study: StudyTracker, folder: Path) -> None:
    store, name = study.store, study.facts.name
    other = StudyTracker(store, examples.facts(name, uid="def456"))
    other.record(0, CONFIG, [examples.events()[0]], folder)

    complete = dict.fromkeys(range(4), "complete")
    assert trial_states(store, name, "abc123") == {**complete, 4: "incomplete"}  # trial 4 is running
    assert trial_states(store, name, "def456") == {0: "incomplete"}
    assert trial_states(store, "unknown", "abc123") == {}

    study.record(4, CONFIG, examples.events(), folder)
    assert trial_states(store, name, "abc123")[4] == "complete"
    run = examples.run_of(study, 4)
    assert run.info.status == "FINISHED"
    assert run.data.tags["zoo.state"] == "complete"
    assert len(run.outputs.model_outputs) == 1


def test_compared_studies_keep_their_order(local_store: Store, folder: Path) -> None:
    for name, best in [("one", 0.8), ("two", 0.9)]:
        StudyTracker(local_store, examples.facts(name)).record(0, CONFIG, [examples.end(best=best)], folder)
    table = compare("one", "two")
    assert list(table.columns[:2]) == ["study", "trial"]
    assert list(table["study"]) == ["one", "two"]
    assert list(table["best_val_accuracy"]) == [0.8, 0.9]


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(StudyError, match="no study to compare"):
        compare()
