"""Scoring a recorded model on the test split."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from shared_tools import RecordingDisplay

import zoo
from zoo import tracking
from zoo.data.store import open_dataset
from zoo.errors import StudyError
from zoo.evaluation import evaluate
from zoo.evaluation import recorded as evaluation
from zoo.events import Scored
from zoo.models import recorded
from zoo.models.recorded import find_run
from zoo.record import StandaloneDirectory, TrialDirectory
from zoo.training.saved import predict_splits
from zoo.tuning.display import NoDisplay


@pytest.fixture
def listener():
    return RecordingDisplay()


@pytest.fixture
def folder(in_study, tmp_path, monkeypatch, keras_in_process):
    """A copy of the recorded study, since scores are added to it."""
    copy = shutil.copytree(in_study, tmp_path / "copy")
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def mlflow(monkeypatch):
    """The scores that MLflow gets."""
    calls = []

    def add(store, study, uid, event, best_epoch):
        assert best_epoch in (1, 2)
        calls.append((store, study, uid, event.metrics, event.time))
        return True

    monkeypatch.setattr(tracking, "connect", lambda create: "a store")
    monkeypatch.setattr(tracking, "add_test_metrics", add)
    return calls


def problems_of(listener):
    """The problems except the note that trial 3 has no final state."""
    return [line for line in listener.problems if not line.startswith("trial 3 has no final state")]


def scores_in(folder):
    return [event for event in TrialDirectory(folder).events() if isinstance(event, Scored)]


def source_of(run):
    return open_dataset(run.cache_dir, run.config.digest).source


def test_public_name():
    assert zoo.evaluate is evaluate


def test_scores_belong_to_the_test_split(folder, mlflow, listener):
    result = evaluate("example", display=listener)
    run = find_run("example", 1, None, NoDisplay())
    labels = np.asarray(open_dataset(run.cache_dir, run.config.digest).test.labels)
    probabilities, _ = predict_splits(run.directory.model_path, run.cache_dir, run.config.digest)
    predicted = probabilities.argmax(axis=1)
    assert (result.study, result.name, result.images) == ("example", "trial 1", len(labels))
    assert result.metrics["test_accuracy"] == (predicted == labels).mean()
    assert list(result.classes.index) == list("0123456789")
    assert list(result.classes["images"]) == [(labels == one).sum() for one in range(10)]
    for one in range(10):
        right = ((predicted == one) & (labels == one)).sum()
        assert result.classes["recall"].iloc[one] == pytest.approx(right / (labels == one).sum())
        if (predicted == one).any():
            assert result.classes["precision"].iloc[one] == pytest.approx(right / (predicted == one).sum())
    assert problems_of(listener) == []


def test_scores_are_logged_and_recorded_once(folder, mlflow, listener):
    metrics = evaluate("example", 1, display=listener).metrics
    evaluate("example", 1, display=listener)
    (event,) = scores_in(folder / "mlruns/zoo/example/trials/001")
    assert event.metrics == metrics
    assert mlflow == [("a store", "example", "5f0c-1", metrics, event.time)] * 2


def test_rounding_does_not_replace_recorded_scores(folder, mlflow, listener):
    """Other threads add numbers in another order; the recorded scores stay."""
    directory = TrialDirectory(folder / "mlruns/zoo/example/trials/001")
    exactly = evaluate("example", 1, display=listener).metrics
    recorded = {**exactly, "test_loss": exactly["test_loss"] * (1 + 1e-6)}
    directory.append(Scored(1.0, recorded))
    assert evaluate("example", 1, display=listener).metrics == recorded
    other_version = {**exactly, "test_loss": exactly["test_loss"] * 2}  # of the trial's plugin
    directory.append(Scored(2.0, other_version))
    assert evaluate("example", 1, display=listener).metrics == exactly
    assert directory.latest_score().metrics == exactly


def test_source_and_warning_of_the_data_are_returned(folder, mlflow, listener, monkeypatch):
    whole = evaluation.dataset_of
    monkeypatch.setattr(evaluation, "dataset_of", lambda *found: replace(whole(*found), warning="a few only"))
    result = evaluate("example", display=listener)
    assert (result.source, result.warning) == (
        source_of(find_run("example", 1, None, NoDisplay())),
        "a few only",
    )


def test_class_without_predictions_has_no_precision(folder, mlflow, listener, monkeypatch):
    def always_zero(function, *arguments, log_path):
        _, labels = function(*arguments)
        return np.eye(10)[np.zeros(len(labels), int)], labels

    monkeypatch.setattr(recorded, "call_in_worker", always_zero)
    classes = evaluate("example", display=listener).classes
    assert classes["recall"].tolist() == [1.0] + [0.0] * 9
    assert classes["precision"].notna().tolist() == [True] + [False] * 9


def test_standalone_run_is_scored(folder, mlflow, listener):
    (run,) = (folder / "mlruns/zoo/example/standalone").iterdir()
    for _ in range(2):
        result = evaluate(run=run, display=listener)
        StandaloneDirectory(run).mark_complete_in_mlflow()
    assert result.name == f"run {run.name}"
    assert [uid for _, _, uid, *_ in mlflow] == ["abc-3", "abc-3"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (False, "MLflow does not have this run"),
        (tracking.TrackingError("away"), "away; run the command again to add them"),
        (tracking.TrackingError("Full."), "Full; run the command again to add them"),
        (
            tracking.StoreAway("no answer (1.2.3.4). Start it."),
            "no answer (1.2.3.4); run the command again to add them",
        ),
    ],
)
def test_failure_of_mlflow_is_reported(folder, listener, mlflow, monkeypatch, answer, message):
    def add(*_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(tracking, "add_test_metrics", add)
    evaluate("example", 1, display=listener)
    (problem,) = problems_of(listener)
    assert problem.endswith(f"but not in MLflow: {message}")
    assert len(scores_in(folder / "mlruns/zoo/example/trials/001")) == 1


def test_dataset_without_test_split_is_an_error(folder, mlflow, listener, monkeypatch):
    whole = evaluation.dataset_of
    monkeypatch.setattr(evaluation, "dataset_of", lambda *found: replace(whole(*found), test=None))
    with pytest.raises(StudyError, match="the dataset 'digits' has no test split to score a model on"):
        evaluate("example", display=listener)
    assert mlflow == []


@pytest.mark.parametrize(
    ("study", "trial", "message"),
    [
        ("example", 2, "trial 2 of 'example' was pruned, so it has no model"),
        ("example", 9, r"there is no trial 9 of 'example'"),
        ("exampel", 3, r"Did you mean 'example'\?"),
        (None, None, "expected a study, or the folder of a run"),
    ],
)
def test_run_without_model_is_an_error(folder, mlflow, listener, study, trial, message):
    with pytest.raises(StudyError, match=message):
        evaluate(study, trial, display=listener)
