"""The content of MLflow after a study was recorded: the same with SQLite and with a server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG, DIGEST

from zoo.events import EpochEnd, Event, Started
from zoo.record import trial_uid
from zoo.tracking import Store, StudyTracker, TrackingError, add_test_metrics, leaderboard


@pytest.fixture
def tracker(store: Store, request: pytest.FixtureRequest) -> StudyTracker:
    return StudyTracker(store, examples.facts(request.node.name))


@pytest.fixture
def bare_folder(tmp_path: Path) -> Path:
    return examples.make_folder(tmp_path / "trials" / "008")


def test_complete_trial_is_recorded_as_finished(tracker: StudyTracker, folder: Path) -> None:
    store = tracker.store
    (folder / "output.log").write_text("a warning\n")
    examples.record(tracker, 7, examples.events(), folder)
    run = examples.run_of(tracker, 7)

    assert run.info.run_name == "trial-007"
    assert run.info.status == "FINISHED"
    assert run.info.start_time == 1_700_000_000_000
    assert run.info.end_time == 1_700_000_004_000
    assert {
        "mlflow.parentRunId": tracker.run_id,
        "mlflow.source.name": "zoo tune",
        "zoo.kind": "trial",
        "zoo.study": tracker.facts.name,
        "zoo.trial": "7",
        "zoo.uid": "abc123-7",
        "zoo.state": "complete",
        "zoo.dataset.digest": DIGEST,
        "zoo.dataset.source": "scikit-learn",
        "zoo.dataset.warning": "only 1,797 images",
        "zoo.plugin.keras-zoo": "0.1.0",
        "zoo.device": "cpu",
        "zoo.backend": "tensorflow",
    }.items() <= run.data.tags.items()
    assert "zoo.reason" not in run.data.tags
    assert run.data.params == {
        "dataset": "digits",
        "dataset.subset": "100",
        "validation.fraction": "0.1",
        "validation.seed": "0",
        "architecture": "conv_net",
        "conv_net.filters": "[32, 64]",
        "conv_net.filters.length": "2",
        "conv_net.filters.1": "32",
        "conv_net.filters.2": "64",
        "conv_net.dropout": "0.25",
        "augmentation": "affine",
        "affine.rotation": "10",
        "training.epochs": "3",
        "training.optimizer": "adam",
        "training.learning_rate": "0.001",
        "objective": "val_accuracy",
        "direction": "maximize",
        "seed": "7",
    }
    assert examples.history(store, run, "val_accuracy") == [
        (1, 1_700_000_001_125, 0.8),
        (2, 1_700_000_002_125, 0.9),
        (3, 1_700_000_003_125, 0.8),
    ]
    for key, value in {
        "best_val_accuracy": 0.9,
        "best_epoch": 2,
        "parameters": 650,
        "train_seconds": 1.5,
    }.items():
        assert [point[2] for point in examples.history(store, run, key)] == [value]
    assert examples.artifacts(store, run) == [
        "config.json", "figures/learning_curves.png", "output.log", "summary.txt",
    ]  # fmt: skip
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", DIGEST[:36])
    assert json.loads(dataset.dataset.source)["tags"]["digest"] == DIGEST


def test_model_of_best_epoch_is_published(tracker: StudyTracker, folder: Path) -> None:
    store = tracker.store
    examples.record(tracker, 7, examples.events(), folder)
    run = examples.run_of(tracker, 7)

    (model,) = examples.logged_models(store, tracker.experiment_id)
    assert str(model.status) == "READY"
    assert model.source_run_id == run.info.run_id
    assert [(o.model_id, o.step) for o in run.outputs.model_outputs] == [(model.model_id, 2)]
    assert {(m.key, m.step, m.value) for m in model.metrics} == {
        ("loss", 2, 0.5),
        ("val_accuracy", 2, 0.9),
        ("epoch_seconds", 2, 0.5),
        ("best_val_accuracy", 0, 0.9),
        ("best_epoch", 0, 2.0),
        ("train_seconds", 0, 1.5),
    }
    assert model.params == run.data.params
    assert model.tags["zoo.uid"] == "abc123-7"


def test_epoch_is_recorded_when_it_ends(tracker: StudyTracker, bare_folder: Path) -> None:
    started, _, first, *_ = examples.events()
    tracker.record(8, CONFIG, [started], bare_folder)
    assert examples.run_of(tracker, 8).info.status == "RUNNING"
    assert examples.run_of(tracker, 8).data.metrics == {"parameters": 650}
    tracker.record(8, CONFIG, [first], bare_folder)
    assert examples.run_of(tracker, 8).data.metrics["loss"] == 1.0


@pytest.mark.parametrize(("state", "status"), [("failed", "FAILED"), ("pruned", "KILLED")])
def test_trial_without_result_keeps_reason_and_output(
    tracker: StudyTracker, bare_folder: Path, state: str, status: str
) -> None:
    (bare_folder / "output.log").write_text("Segmentation fault\n")
    examples.record(tracker, 8, examples.events(state, reason="killed by signal 9", epochs=1), bare_folder)
    run = examples.run_of(tracker, 8)
    assert run.info.status == status
    assert run.data.tags["zoo.state"] == state
    assert run.data.tags["zoo.reason"] == "killed by signal 9"
    assert run.data.metrics["parameters"] == 650
    assert examples.artifacts(tracker.store, run) == ["config.json", "output.log"]
    assert examples.logged_models(tracker.store, tracker.experiment_id) == []


def test_trial_that_failed_before_its_start_is_recorded(tracker: StudyTracker, bare_folder: Path) -> None:
    end = examples.end("failed", reason="out of memory")
    tracker.record(8, CONFIG, [end], bare_folder)
    run = examples.run_of(tracker, 8)
    assert run.info.status == "FAILED"
    assert run.data.params["architecture"] == "conv_net"


def test_metric_that_is_no_number_is_left_out(tracker: StudyTracker, bare_folder: Path) -> None:
    metrics: Any = {"loss": float("nan"), "val_loss": float("inf"), "note": "text", "nothing": None}
    for _ in range(2):
        sent: list[Event] = [Started(examples.START, num_parameters=650)]
        sent.append(EpochEnd(examples.START + 1, 1, metrics))
        examples.record(tracker, 8, sent, bare_folder)
    run = examples.run_of(tracker, 8)
    assert set(run.data.metrics) == {"parameters", "loss", "val_loss"}
    assert len(examples.history(tracker.store, run, "loss")) == 1


def test_long_reason_is_cut_off(tracker: StudyTracker, bare_folder: Path) -> None:
    tracker.record(8, CONFIG, [examples.end("failed", reason="x" * 20_000)], bare_folder)
    assert 1000 < len(examples.run_of(tracker, 8).data.tags["zoo.reason"]) < 8000


def test_study_run_is_opened_again(tracker: StudyTracker, bare_folder: Path) -> None:
    store = tracker.store
    run = store.client.get_run(tracker.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.tags["zoo.kind"] == "study"
    assert run.data.tags["zoo.uid"] == "abc123"
    assert examples.artifacts(store, run) == ["manifest.json", "study.toml"]
    tracker.finish("KILLED")
    assert store.client.get_run(tracker.run_id).info.status == "KILLED"

    again = StudyTracker(store, tracker.facts)
    assert again.run_id == tracker.run_id
    assert store.client.get_run(tracker.run_id).info.status == "RUNNING"
    again.finish()
    assert store.client.get_run(tracker.run_id).info.status == "FINISHED"


def test_study_run_shows_best_value_so_far(tracker: StudyTracker, tmp_path: Path, model_file: Path) -> None:
    """Trial 2 ends before trial 1; what MLflow shows last is the best of all."""
    for number, best, start in [(0, 0.5, 0.0), (2, 0.7, 10.0), (1, 0.8, 20.0)]:
        folder = examples.make_folder(tmp_path / str(number), model_file)
        sent = examples.events(best=best, start=examples.START + start)
        for _ in range(2):
            examples.record(tracker, number, sent, folder)
    run = tracker.store.client.get_run(tracker.run_id)
    points = examples.history(tracker.store, run, "best_val_accuracy")
    assert [(step, value) for step, _, value in points] == [(0, 0.5), (2, 0.7), (2, 0.8)]
    assert run.data.metrics["best_val_accuracy"] == 0.8


def test_best_score_is_on_study_run_too(tracker: StudyTracker, folder: Path) -> None:
    examples.record(tracker, 7, examples.events(), folder)
    for _ in range(2):
        tracker.record(7, {}, [examples.score(is_best=True)], folder)
    store, run = tracker.store, examples.run_of(tracker, 7)
    assert run.info.status == "FINISHED"
    assert [(s, v) for s, _, v in examples.history(store, run, "test_accuracy")] == [(2, 0.88)]
    (model,) = examples.logged_models(store, tracker.experiment_id)
    assert [m.value for m in model.metrics if m.key == "test_accuracy"] == [0.88]
    study = store.client.get_run(tracker.run_id)
    assert study.data.metrics["test_accuracy"] == 0.88
    assert study.data.tags["zoo.best_trial"] == "7"


def test_score_is_added_to_ended_run(tracker: StudyTracker, folder: Path) -> None:
    examples.record(tracker, 7, examples.events(), folder)
    store, facts = tracker.store, tracker.facts
    for _ in range(2):
        assert add_test_metrics(store, facts.name, trial_uid(facts.uid, 7), examples.score())
    run = examples.run_of(tracker, 7)
    assert run.info.status == "FINISHED"
    assert [(s, v) for s, _, v in examples.history(store, run, "test_accuracy")] == [(2, 0.88)]
    (model,) = examples.logged_models(store, tracker.experiment_id)
    assert [m.value for m in model.metrics if m.key == "test_accuracy"] == [0.88]
    assert (
        "test_accuracy" not in store.client.get_run(tracker.run_id).data.metrics
    )  # the trial is not the best
    for study, uid in ((facts.name, "another-7"), ("another", trial_uid(facts.uid, 7))):
        assert not add_test_metrics(store, study, uid, examples.score())


def test_replayed_score_sets_no_champion_tag(tracker: StudyTracker, folder: Path) -> None:
    tracker.record(7, {}, [*examples.events(), examples.score()], folder)
    assert examples.run_of(tracker, 7).data.metrics["test_accuracy"] == 0.88
    study = tracker.store.client.get_run(tracker.run_id)
    assert "test_accuracy" not in study.data.metrics
    assert "zoo.best_trial" not in study.data.tags


def test_refused_score_is_reported_in_one_line(
    tracker: StudyTracker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples.record(tracker, 7, examples.events(), folder)

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("attempt to write a readonly database\n[SQL: …]")

    monkeypatch.setattr(type(tracker.store.client), "log_batch", refuse)
    uid = trial_uid(tracker.facts.uid, 7)
    with pytest.raises(TrackingError, match=r"refused a request: .*readonly database") as refused:
        add_test_metrics(tracker.store, tracker.facts.name, uid, examples.score())
    assert "\n" not in str(refused.value)


def test_recording_again_has_no_effect(tracker: StudyTracker, folder: Path, bare_folder: Path) -> None:
    failed = examples.events("failed", reason="killed by signal 9", epochs=2)
    examples.record(tracker, 7, examples.events(), folder)
    examples.record(tracker, 8, failed, bare_folder)
    before = examples.content(tracker)

    examples.record(tracker, 7, examples.events(), folder)  # the same process
    later = StudyTracker(tracker.store, tracker.facts)  # and a new one
    examples.record(later, 7, examples.events(), folder)
    later.record(8, CONFIG, failed, bare_folder)
    assert examples.content(later) == before


def test_events_at_once_and_one_by_one_are_equal(
    store: Store, folder: Path, request: pytest.FixtureRequest
) -> None:
    single = StudyTracker(store, examples.facts(f"{request.node.name}-single"))
    together = StudyTracker(store, examples.facts(f"{request.node.name}-together"))
    examples.record(single, 7, examples.events(), folder)
    together.record(7, CONFIG, examples.events(), folder)

    def comparable(tracker: StudyTracker) -> str:
        return json.dumps(examples.content(tracker), sort_keys=True).replace(tracker.facts.name, "")

    assert comparable(together) == comparable(single)


def test_incomplete_run_is_completed_later(tracker: StudyTracker, folder: Path) -> None:
    examples.record(tracker, 7, examples.events()[:-1], folder)
    tracker.end_with_problem(7, CONFIG, examples.end(), "no space left on device")
    run = examples.run_of(tracker, 7)
    assert run.info.status == "FINISHED"
    assert run.data.tags["zoo.problem"] == "no space left on device"

    tracker.record(7, CONFIG, [examples.end()], folder)
    assert "zoo.problem" not in examples.run_of(tracker, 7).data.tags
    assert len(examples.logged_models(tracker.store, tracker.experiment_id)) == 1


def test_model_that_mlflow_has_is_not_missing(tracker: StudyTracker, folder: Path) -> None:
    examples.record(tracker, 7, examples.events(), folder)
    (folder / "model.keras").unlink()
    tracker.record(7, CONFIG, [examples.end()], folder)
    run = examples.run_of(tracker, 7)
    assert "zoo.problem" not in run.data.tags
    assert len(run.outputs.model_outputs) == 1


def test_study_started_again_has_new_runs(tracker: StudyTracker, bare_folder: Path) -> None:
    tracker.record(8, CONFIG, [examples.end("failed", reason="old")], bare_folder)
    again = StudyTracker(tracker.store, examples.facts(tracker.facts.name, uid="def456"))
    again.record(8, CONFIG, [examples.end("failed", reason="new")], bare_folder)
    assert again.run_id != tracker.run_id
    assert examples.run_of(tracker, 8).data.tags["zoo.reason"] == "old"
    assert examples.run_of(again, 8).data.tags["zoo.reason"] == "new"


def test_standalone_run_leaves_study_unchanged(tracker: StudyTracker, folder: Path) -> None:
    store, name = tracker.store, tracker.facts.name
    examples.record(tracker, 0, examples.events(best=0.7), folder)
    before = store.client.get_run(tracker.run_id)
    standalone = StudyTracker(
        store, examples.facts(name, uid="def456", standalone_name="standalone-baseline")
    )
    examples.record(standalone, 0, examples.events(best=0.9), folder)
    standalone.finish()

    assert standalone.run_id is None
    run = examples.run_of(standalone, 0)
    assert run.info.run_name == "standalone-baseline"
    assert run.info.status == "FINISHED"
    assert run.data.tags["zoo.kind"] == "standalone"
    assert "mlflow.parentRunId" not in run.data.tags
    assert len(run.outputs.model_outputs) == 1
    assert store.client.get_run(tracker.run_id).to_dictionary() == before.to_dictionary()
    assert list(leaderboard(name, store)["best_val_accuracy"]) == [0.7]


def test_commit_of_working_folder_is_tagged(local_store: Store, working_folder: Path) -> None:
    outside = StudyTracker(local_store, examples.facts("without"))
    assert "mlflow.source.git.commit" not in local_store.client.get_run(outside.run_id).data.tags

    identity = ["-c", "user.name=zoo", "-c", "user.email=zoo@example.org"]
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    tracker = StudyTracker(local_store, examples.facts())
    tags = local_store.client.get_run(tracker.run_id).data.tags
    assert tags["mlflow.source.git.commit"] == commit.stdout.strip()


def test_ended_trials_stay_in_no_cache_of_mlflow(tracker: StudyTracker, folder: Path) -> None:
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    examples.record(tracker, 7, examples.events(), folder)
    assert examples.run_of(tracker, 7).info.run_id not in _artifact_repos_cache
    assert tracker.run_id in _artifact_repos_cache  # the study's run has files, too
