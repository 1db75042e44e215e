"""Scoring a recorded model on the test split: the figures, where they go, what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

import zoo
from zoo import evaluation, tracking
from zoo.data.store import open_dataset
from zoo.errors import StudyError
from zoo.evaluation import evaluate
from zoo.runs import asking, find_run
from zoo.training.scoring import predict_test_split
from zoo.tuning.display import NoDisplay
from zoo.tuning.record import TrainingRecord, TrialRecord


class Listener(NoDisplay):
    def __init__(self):
        self.problems = []

    def problem(self, text):
        self.problems.append(text)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def folder(in_study, tmp_path, monkeypatch):
    """A copy of the recorded study, since what is found is added to it; questions are answered here."""
    monkeypatch.setattr(asking, "begin", lambda: None)
    monkeypatch.setattr(asking, "ask", lambda question, *arguments, log: question(*arguments))
    copy = shutil.copytree(in_study, tmp_path / "copy")
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def mlflow(monkeypatch):
    """What MLflow is told."""
    told = []

    def add(store, study, uid, event):
        told.append((store, study, uid, event["metrics"], event["time"]))
        return True

    monkeypatch.setattr(tracking, "connect", lambda create: "a store")
    monkeypatch.setattr(tracking, "add_test_metrics", add)
    return told


def scores_in(folder):
    return [event for event in TrialRecord(folder).events() if event["event"] == "tested"]


def source_of(run):
    return open_dataset(run.cache, run.config.digest).source


def test_the_public_name():
    assert zoo.evaluate is evaluate


def test_the_figures_are_those_of_the_test_split(folder, mlflow, listener):
    result = evaluate("example", display=listener)
    run = find_run("example", 1, None)
    labels = np.asarray(open_dataset(run.cache, run.config.digest).test.labels)
    predicted = predict_test_split(run.folder / "model.keras", run.cache, run.config.digest).argmax(axis=1)
    assert (result.study, result.name, result.images) == ("example", "trial 1", len(labels))
    assert result.metrics["test_accuracy"] == (predicted == labels).mean()
    assert list(result.classes.index) == list("0123456789")
    assert list(result.classes["images"]) == [(labels == one).sum() for one in range(10)]
    for one in range(10):
        right = ((predicted == one) & (labels == one)).sum()
        assert result.classes["recall"].iloc[one] == pytest.approx(right / (labels == one).sum())
        if (predicted == one).any():
            assert result.classes["precision"].iloc[one] == pytest.approx(right / (predicted == one).sum())
    assert listener.problems == []


def test_they_go_into_the_runs_events_and_to_mlflow_and_twice_is_as_once(folder, mlflow, listener):
    metrics = evaluate("example", 1, display=listener).metrics
    evaluate("example", 1, display=listener)
    (event,) = scores_in(folder / "mlruns/zoo/example/trials/001")
    assert event["metrics"] == metrics
    assert mlflow == [("a store", "example", "5f0c-1", metrics, event["time"])] * 2


def test_a_last_digit_is_no_other_figure(folder, mlflow, listener):
    """Other threads add in another order; what the search said is what is said."""
    record = TrialRecord(folder / "mlruns/zoo/example/trials/001")
    exactly = evaluate("example", 1, display=listener).metrics
    said = record.add_tested({**exactly, "test_loss": exactly["test_loss"] * (1 + 1e-6)})["metrics"]
    assert evaluate("example", 1, display=listener).metrics == said
    record.add_tested({**exactly, "test_loss": exactly["test_loss"] * 2})  # of another version of its plugin
    assert evaluate("example", 1, display=listener).metrics == exactly
    assert record.tested()["metrics"] == exactly


def test_what_has_to_be_known_of_the_data(folder, mlflow, listener, monkeypatch):
    whole = evaluation.dataset_of
    monkeypatch.setattr(evaluation, "dataset_of", lambda *found: replace(whole(*found), warning="a few only"))
    result = evaluate("example", display=listener)
    assert (result.source, result.warning) == (source_of(find_run("example", 1, None)), "a few only")


def test_a_class_that_is_never_guessed_has_no_precision(folder, mlflow, listener, monkeypatch):
    def always_zero(question, *arguments, log):
        return np.eye(10)[np.zeros(len(question(*arguments)), int)]

    monkeypatch.setattr(asking, "ask", always_zero)
    classes = evaluate("example", display=listener).classes
    assert classes["recall"].tolist() == [1.0] + [0.0] * 9
    assert classes["precision"].notna().tolist() == [True] + [False] * 9


def test_what_zoo_train_trained(folder, mlflow, listener):
    (training,) = (folder / "mlruns/zoo/example/training").iterdir()
    TrainingRecord(training).is_run({"uid": "abc", "name": "training-003", "number": 3})
    for _ in range(2):
        result = evaluate(run=training, display=listener)
        TrainingRecord(training).recorded()
    assert result.name == f"training {training.name}"
    assert [uid for _, _, uid, *_ in mlflow] == ["abc-3", "abc-3"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (False, "it has no run of it"),
        (tracking.TrackingError("away"), "away; the same command adds them later"),
    ],
)
def test_where_mlflow_does_not_take_it_that_is_told(folder, listener, mlflow, monkeypatch, answer, told):
    def add(*_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(tracking, "add_test_metrics", add)
    evaluate("example", 1, display=listener)
    (problem,) = listener.problems
    assert problem.endswith(f"but not in MLflow: {told}")
    assert len(scores_in(folder / "mlruns/zoo/example/trials/001")) == 1


def test_a_dataset_without_a_test_split(folder, mlflow, listener, monkeypatch):
    whole = evaluation.dataset_of
    monkeypatch.setattr(evaluation, "dataset_of", lambda *found: replace(whole(*found), test=None))
    with pytest.raises(StudyError, match="The dataset 'digits' has no test split to score a model on"):
        evaluate("example", display=listener)
    assert mlflow == []


@pytest.mark.parametrize(
    ("study", "trial", "told"),
    [
        ("example", 2, "Trial 2 of 'example' was pruned, so it has no model"),
        ("example", 9, r"There is no trial 9 of 'example'"),
        ("exampel", None, r"Did you mean 'example'\?"),
        (None, None, "Name a study"),
    ],
)
def test_what_cannot_be_scored(folder, mlflow, listener, study, trial, told):
    with pytest.raises(StudyError, match=told):
        evaluate(study, trial, display=listener)
