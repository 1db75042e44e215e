"""The record in MLflow while a study runs, with stand-ins for the tracker and the store."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest
from shared_tools import RecordingDisplay

from zoo.data import Dataset, Split
from zoo.data.store import PreparedDataset, save_dataset
from zoo.data.validation import cut_validation
from zoo.record import StudyDirectory
from zoo.tuning import mlflow_record
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy


class Tracker:
    """A tracker that answers `close` with numbers of recorded trials until True; "Ctrl-C" sends a SIGINT."""

    def __init__(self, *answers, is_running=True, passing=lambda seconds: None):
        self._answers = list(answers)
        self._passing = passing
        self.is_running = is_running
        self.statuses = []
        self.num_recorded = 0

    def close(self, status, timeout):
        self.statuses.append(status)
        self._passing(timeout)
        answer = self._answers.pop(0)
        if answer == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
            return False
        self.num_recorded = answer
        return answer is True

    def recorded_trials(self):
        return list(range(self.num_recorded))

    def ready(self, timeout=None):
        return True


class Store:
    def __init__(self, answers=True):
        self._answers = answers

    def answers(self):
        return self._answers


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A dataset of 40 images in the cache; the pixels of each image are its number."""
    monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
    numbers = np.arange(40, dtype="uint8")
    images = np.broadcast_to(numbers[:, None, None, None], (40, 4, 4, 1))
    dataset = Dataset(train=Split(images, numbers % 2), class_names=("even", "odd"))
    cache_dir = tmp_path / "mlruns" / "zoo" / ".cache"
    digest = save_dataset(cache_dir, dataset)
    for seed in (0, 7):
        cut_validation(cache_dir, digest, dataset, {"fraction": 0.1, "seed": seed})
    return PreparedDataset(digest, ("even", "odd"), (4, 4, 1), {"train": 36, "validation": 4}, "", "")


@pytest.fixture
def study(define, prepared, tmp_path):
    store = SimpleNamespace(is_away=False, result=lambda: Store(), retry_now=lambda: None)
    with Interrupts() as interrupts:
        directory = StudyDirectory(tmp_path, "example")
        yield OpenStudy(
            define(), directory, None, prepared, store, False, RecordingDisplay(), Future(), interrupts
        )


@pytest.fixture
def open_record(study, monkeypatch):
    """open_record(tracker) -> a record that uses this tracker."""

    def make(tracker):
        monkeypatch.setattr(mlflow_record, "BackgroundTracker", lambda *_, **__: tracker)
        return MLflowRecord(study, "5f0c")

    return make


@pytest.fixture
def clock(monkeypatch, study):
    """clock(5.0) -> five seconds pass."""
    now = [0.0]
    fake = SimpleNamespace(
        monotonic=lambda: now[0],
        time=lambda: now[0],
        localtime=lambda seconds: seconds,
        strftime=lambda form, seconds: f"second {seconds:g}",
    )
    monkeypatch.setattr(mlflow_record, "time", fake)
    monkeypatch.setattr(mlflow_record, "tracking_uri", lambda: "sqlite:///mlflow.db")
    study.display.notes = []
    monkeypatch.setattr(study.display, "note", study.display.notes.append)

    def advance(seconds):
        now[0] += seconds

    return advance


class TestClosing:
    def test_status_is_failed_after_an_exception(self, open_record):
        tracker = Tracker(True)
        with pytest.raises(OSError, match="storage"), open_record(tracker):
            raise OSError("the storage is gone")
        assert tracker.statuses == ["FAILED"]

    def test_broken_display_does_not_prevent_closing(self, open_record, study, monkeypatch):
        def phase(text):
            raise RuntimeError("a display of a user's own")

        monkeypatch.setattr(study.display, "phase", phase)
        tracker = Tracker(True)
        with pytest.raises(RuntimeError), open_record(tracker) as record:
            record.status = "FINISHED"
        assert tracker.statuses == ["FINISHED"]

    def test_closing_waits_while_mlflow_completes_trials(self, open_record, study, clock):
        tracker = Tracker(3, *[4] * 50, *[5] * 50, True, passing=clock)
        with open_record(tracker) as record:
            pass
        assert record.is_complete
        assert study.display.problems == []
        assert study.display.notes == [
            "MLflow at sqlite:///mlflow.db still stores the study; waiting until second 310, "
            "Ctrl-C ends the wait"
        ]

    def test_closing_ends_when_mlflow_completes_nothing(self, open_record, study, clock):
        tracker = Tracker(3, *[4] * 99, passing=clock)
        with open_record(tracker) as record:
            pass
        assert not record.is_complete
        assert len(tracker.statuses) == 62  # 310 seconds
        (problem,) = study.display.problems
        assert problem.endswith("and the next run of the study, or `zoo sync example`, sends it.")

    def test_closing_ends_soon_when_the_server_answers_nothing(self, open_record, study, clock, monkeypatch):
        answers = [True, *[False] * 99]
        monkeypatch.setattr(mlflow_record, "server_answers", lambda: answers.pop(0))
        tracker = Tracker(*[3] * 99, passing=clock)
        with open_record(tracker) as record:
            pass
        assert not record.is_complete
        assert len(tracker.statuses) == 7  # 5 seconds, and 30 more
        assert study.display.notes == [
            "MLflow at sqlite:///mlflow.db does not answer; waiting until second 35, Ctrl-C ends the wait"
        ]

    def test_ctrl_c_ends_the_waiting(self, open_record, study):
        tracker = Tracker(3, "Ctrl-C", 5)
        with open_record(tracker) as record:
            pass
        assert not record.is_complete
        assert study.interrupts.signum == signal.SIGINT
        assert len(tracker.statuses) == 2
        assert study.display.problems[0] == "stopped waiting for MLflow"

    def test_earlier_ctrl_c_does_not_end_the_waiting(self, open_record, study):
        study.interrupts.signum = signal.SIGINT
        with open_record(Tracker(3, True)) as record:
            pass
        assert record.is_complete


class TestFigures:
    def test_figures_use_the_recorded_validation_split(self, open_record, monkeypatch, tmp_path):
        drawn = []

        def draw(folder, images, class_names, *, title):
            drawn.append((images[:][:, 0, 0, 0].tolist(), title))

        monkeypatch.setattr(mlflow_record, "draw_trial", draw)
        record = open_record(Tracker(True))
        for name, seed in (("003", 0), ("20260101-5", 7), ("004", 0)):
            record._draw(tmp_path / name, {"validation": {"fraction": 0.1, "seed": seed}})
        record._draw(tmp_path / "005", {})  # its configuration is lost
        (first, _), (other, _), (third, _), (lost, _) = drawn
        assert first == third == lost != other
        assert [title for _, title in drawn[:2]] == ["example, trial 3", "example, run 20260101-5"]


class TestModelUri:
    @pytest.fixture
    def model_uri(self, open_record, study, monkeypatch):
        """model_uri(is_complete, recorded, answers, result) -> the address, and whether MLflow was asked."""

        def find(*, is_complete, recorded=True, answers=True, result="models:/m-1"):
            questions = []

            def model_address(store, name, uid):
                questions.append((name, uid))
                if isinstance(result, Exception):
                    raise result
                return result

            monkeypatch.setattr(mlflow_record, "model_address", model_address)
            study.store.result = lambda: Store(answers)
            record = open_record(Tracker())
            record.is_complete = is_complete
            if recorded:
                record.recorded_before.append(3)
            uri = record.model_uri(3)
            assert questions in ([], [("example", "5f0c-3")])
            return uri, bool(questions)

        return find

    def test_address_comes_from_mlflow(self, model_uri):
        assert model_uri(is_complete=True, answers=False) == ("models:/m-1", True)
        assert model_uri(is_complete=False) == ("models:/m-1", True)

    def test_dead_server_is_not_asked(self, model_uri):
        assert model_uri(is_complete=False, answers=False) == ("", False)

    def test_trial_that_mlflow_lacks_has_no_address(self, model_uri):
        assert model_uri(is_complete=False, recorded=False) == ("", False)

    def test_failure_of_mlflow_does_not_lose_the_result(self, model_uri):
        assert model_uri(is_complete=True, result=OSError("away")) == ("", True)
