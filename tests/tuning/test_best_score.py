"""The best trial is scored on the test split, once."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import pytest
from shared_tools import CONFIG

from zoo.errors import DataError, ZooError
from zoo.events import Scored
from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tracking import TrackingError
from zoo.tuning import scoring, study_run
from zoo.tuning.display import NoDisplay
from zoo.tuning.interrupts import Interrupted, Interrupts

METRICS = {"test_accuracy": 0.75, "test_loss": 0.5}


def config_of(number):
    return replace(CONFIG, digest="d", seed=number).as_json()


class Stage(NoDisplay):
    """Open study, trial source, worker process, record in MLflow and display in one."""

    def __init__(self, folder, best):
        self.directory = StudyDirectory(folder, "example")
        self.dataset = SimpleNamespace(digest="d", sizes={"train": 9, "test": 2})
        self.display = self
        self.best_trial = best
        self.answer = METRICS
        self.calls, self.tracked, self.problems = [], [], []
        self.verified = Future()
        self.verified.set_result(None)
        for number in range(3):
            self.directory.trial(number).create(config_of(number))
            for name in ("model.keras", "predictions.npz"):
                (self.directory.trial(number).path / name).touch()

    def best(self):
        return self.best_trial

    def call_in_worker(self, function, model_path, cache_dir, digest, predictions_path, *, log_path):
        self.calls.append((model_path.parent.name, cache_dir == self.directory.cache_dir, digest))
        assert log_path == model_path.parent / "output.log"
        assert predictions_path == model_path.parent / "test-predictions.npz"
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def put(self, number, config, events, folder):
        self.tracked.append((number, config, [(event.is_best, event.metrics) for event in events]))

    def problem(self, text):
        self.problems.append(text)

    def score(self):
        with Interrupts() as self.interrupts:
            return scoring.score_best(self, self, self)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """stage((1, 0.9)) -> a study with three trials; trial 1 is the best."""

    def make(best):
        stage = Stage(tmp_path, best)
        monkeypatch.setattr(scoring, "call_in_worker", stage.call_in_worker)
        # No plugin registers a metric.
        monkeypatch.setattr(scoring, "read_predictions", lambda path: ((), ()))
        monkeypatch.setattr(scoring, "score_registered", lambda *_: {})
        return stage

    return make


def test_best_trial_is_scored_once(stage):
    here = stage((1, 0.9))
    assert here.score() == METRICS
    assert here.score() == METRICS
    assert here.calls == [("001", True, "d")]
    # MLflow gets the scores twice, because it may not have answered the first time.
    assert here.tracked == [(1, config_of(1), [(True, METRICS)])] * 2
    assert here.directory.trial(1).latest_score().metrics == METRICS


def test_scores_of_zoo_evaluate_are_not_computed_again(stage):
    here = stage((1, 0.9))
    here.directory.trial(1).append(Scored(1.0, {"test_accuracy": 0.7}))
    here.directory.trial(1).append(Scored(2.0, METRICS))  # on another machine
    assert here.score() == METRICS
    assert here.calls == []
    assert here.tracked == [(1, config_of(1), [(True, METRICS)])]


def test_new_best_trial_is_scored(stage):
    here = stage((1, 0.9))
    here.score()
    here.best_trial = (2, 0.95)
    here.score()
    assert [name for name, *_ in here.calls] == ["001", "002"]


def test_nothing_is_scored_without_a_complete_trial(stage):
    here = stage(None)
    assert here.score() == {}
    assert here.calls == here.problems == []


def test_nothing_is_scored_without_a_test_split(stage):
    here = stage((1, 0.9))
    here.dataset.sizes = {"train": 9}
    assert here.score() == {}
    assert here.calls == here.problems == []


class TestMissingModel:
    """The trial was not the best before, so its local model was deleted."""

    @pytest.fixture
    def here(self, stage):
        here = stage((1, 0.9))
        (here.directory.path / "uid").write_text("5f0c")
        here.directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
        here.directory.trial(1).model_path.unlink()
        here.definition = SimpleNamespace(name="example")
        here.store = SimpleNamespace(is_away=False, result=lambda: "a store")
        return here

    def test_missing_model_is_fetched_from_mlflow(self, here, monkeypatch, tmp_path):
        model_path = here.directory.trial(2).model_path

        def fetch_model(store, study, uid, folder):
            assert (store, study, uid, folder.is_dir()) == ("a store", "example", "5f0c-1", True)
            return model_path

        monkeypatch.setattr(scoring, "fetch_model", fetch_model)
        monkeypatch.setattr(scoring, "call_in_worker", lambda function, path, *_, log_path: METRICS)
        assert here.score() == METRICS
        assert here.directory.trial(1).latest_score().metrics == METRICS

    def test_model_that_mlflow_lacks_is_reported(self, here, monkeypatch):
        def fetch_model(*_):
            raise TrackingError(
                "MLflow does not have the model; `zoo train example --trial 1` trains it again."
            )

        monkeypatch.setattr(scoring, "fetch_model", fetch_model)
        assert here.score() == {}
        (problem,) = here.problems
        assert problem.startswith(
            "trial 1 was not scored on the test split: MLflow does not have the model; "
        )
        assert here.directory.trial(1).events() == []


def test_dead_process_is_reported_and_tried_again(stage):
    here = stage((1, 0.9))
    here.answer = ZooError("the worker process died: killed by signal 9 (SIGKILL)")
    assert here.score() == {}
    assert here.problems == [f"trial 1 was not scored on the test split: {here.answer}"]
    here.answer = METRICS
    assert here.score() == METRICS


def test_changed_test_images_are_not_scored(stage):
    here = stage((1, 0.9))
    here.verified = Future()
    here.verified.set_exception(DataError("the prepared dataset was changed (test-images.npy)"))
    assert here.score() == {}
    assert here.calls == here.directory.trial(1).events() == []
    assert here.problems == [
        "trial 1 was not scored on the test split: the prepared dataset was changed (test-images.npy)"
    ]


def test_interrupted_scoring_records_nothing(stage):
    here = stage((1, 0.9))
    here.answer = Interrupted()
    assert here.score() == {}
    assert here.directory.trial(1).events() == []


def test_only_the_best_model_stays_on_disk(stage):
    here = stage((1, 0.9))
    here.recorded_trials = lambda: [0, 1]  # MLflow does not have all of trial 2 yet
    study_run._delete_copies(here, here, here)
    paths = [here.directory.trial(number).path for number in range(3)]
    left = [sorted(path.name for path in folder.glob("*.[kn]*")) for folder in paths]
    assert left == [[], ["model.keras", "predictions.npz"], ["model.keras", "predictions.npz"]]
