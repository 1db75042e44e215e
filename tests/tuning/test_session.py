"""What a session does around the trials, with stand-ins for processes and MLflow."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future
from typing import ClassVar

import numpy as np
import pytest

from zoo.data import Dataset, Split
from zoo.data.store import PreparedDataset, cut_validation, save_dataset
from zoo.errors import ZooError
from zoo.tuning import session as session_module
from zoo.tuning.display import NoDisplay
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.session import Session


class Display(NoDisplay):
    def __init__(self):
        self.phases, self.problems = [], []

    def phase(self, text):
        self.phases.append(text)

    def problem(self, text):
        self.problems.append(text)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A dataset of 40 images in the cache; the pixels of each are its number."""
    monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
    numbers = np.arange(40, dtype="uint8")
    images = np.broadcast_to(numbers[:, None, None, None], (40, 4, 4, 1))
    dataset = Dataset(train=Split(images, numbers % 2), class_names=("even", "odd"))
    cache = tmp_path / "mlruns" / "zoo" / ".cache"
    digest = save_dataset(cache, dataset)
    for seed in (0, 7):
        cut_validation(cache, digest, dataset, {"fraction": 0.1, "seed": seed})
    return PreparedDataset(digest, ("even", "odd"), (4, 4, 1), {"train": 36, "validation": 4}, "", "")


@pytest.fixture
def session(define, prepared, tmp_path):
    """A session of the example study that is open as far as these tests need it."""
    session = Session(define(), tmp_path, jobs=1, display=Display())
    session.record.open()
    session.prepared = prepared
    return session


class TestTheBeginning:
    def test_where_mlflow_does_not_answer_nothing_is_begun(self, session):
        session._is_new, session._store = False, Future()
        session._store.set_exception(ZooError("No MLflow server answers"))
        begun = []
        with pytest.raises(ZooError, match="No MLflow server answers"):
            session.search_with(begun.append)
        assert begun == []


class TestTheEnd:
    """Whatever is lost on the way: MLflow hears of the end."""

    def test_where_the_display_raises_and_the_storage_is_gone(self, session, monkeypatch):
        closed = []

        class Search:
            def uid(self, number=None):
                return "uid"

            def front(self):
                raise OSError("the storage is gone")

        class Supervisor:
            def __init__(self, *_):
                pass

            def run(self, interrupts):
                raise OSError("the storage is gone")

        def phase(text):
            raise RuntimeError("a display of somebody's own")

        session._is_new = True
        monkeypatch.setattr(session_module, "Supervisor", Supervisor)
        monkeypatch.setattr(session, "tracker", lambda *_: None)
        monkeypatch.setattr(session, "_reconcile", lambda *_: None)
        monkeypatch.setattr(session, "_close", lambda tracker, status, *_: closed.append(status))
        with pytest.raises(OSError, match="the storage is gone"):
            session.search_with(lambda manifest: Search())
        monkeypatch.setattr(session.display, "phase", phase)
        with pytest.raises(RuntimeError):
            session.search_with(lambda manifest: Search())
        assert closed == ["FAILED", "FAILED"]


class Tracker:
    """MLflow, and whether it takes what it is told."""

    takes = True
    made: list[Tracker]

    def __init__(self, uid, manifest, training=""):
        self.heard = [(uid, training)]
        self.made.append(self)

    def replay(self, number, config, events, folder):
        self.heard += [number, [event["event"] for event in events]]

    def put(self, number, config, event, folder):
        self.heard.append(event["event"])

    def close(self, status="FINISHED", timeout=None):
        return self.takes


class TestTrainings:
    RUN: ClassVar = {"uid": "abc", "name": "training-007", "number": 7}

    @pytest.fixture
    def trackers(self, session, monkeypatch):
        monkeypatch.setattr(session, "tracker", Tracker)
        monkeypatch.setattr(Tracker, "made", [], raising=False)
        return Tracker.made

    @pytest.fixture
    def killed(self, session, define):
        """What `zoo train --trial 7` left that was killed."""
        record = session.record.training()
        record.begin(define().baseline(session.prepared.digest, 0).as_json())
        record.is_run(self.RUN)
        record.append({"event": "started", "time": 1.0})
        return record

    def test_one_that_was_killed_gets_its_end(self, session, killed, trackers):
        session._mend_trainings()
        assert killed.finished()["reason"] == "interrupted: zoo train was killed"
        assert trackers[0].heard == [("abc", "training-007"), 7, ["started", "finished"]]
        assert session.display.problems == [
            f"the last training-007 was killed; put in order: {killed.folder}"
        ]
        session._mend_trainings()
        assert len(trackers) == 1

    def test_what_mlflow_was_away_for_it_hears_the_next_time(self, session, killed, trackers, monkeypatch):
        killed.append({"event": "finished", "time": 2.0, "state": "complete", "reason": "", "summary": {}})
        monkeypatch.setattr(Tracker, "takes", False)
        session._mend_trainings()
        monkeypatch.setattr(Tracker, "takes", True)
        session._mend_trainings()
        session._mend_trainings()
        assert [tracker.heard[-1] for tracker in trackers] == [["started", "finished"]] * 2
        assert session.display.problems == []

    def test_one_of_other_data_waits_for_those(self, session, define, trackers):
        record = session.record.training()
        record.begin(define().baseline("e" * 64, 0).as_json())
        record.is_run(self.RUN)
        session._mend_trainings()
        assert trackers == []
        assert record.unrecorded() == self.RUN

    @pytest.mark.parametrize("takes", [True, False])
    def test_a_training_says_which_run_it_is_until_mlflow_has_it(
        self, session, define, trackers, monkeypatch, takes
    ):
        seen = []

        def run_alone(number, config, cache, record, *_):
            seen.append(record.unrecorded())
            return {"summary": {}}

        monkeypatch.setattr(session_module, "run_alone", run_alone)
        monkeypatch.setattr(session, "_close", lambda *_: takes)
        config = define().baseline(session.prepared.digest, 0)
        folder = session.train(config, trial=7).folder
        (run,) = seen
        assert (run["name"], run["number"]) == ("training-007", 7)
        assert trackers[0].heard == [(run["uid"], "training-007")]
        assert (folder / "unrecorded.json").exists() != takes


class TestLastWords:
    """MLflow hears the rest, one piece at a time; `Ctrl-C` among the answers is where it is pressed."""

    class Tracker:
        def __init__(self, *answers, working=True):
            self._answers = list(answers)
            self.working = working
            self.calls = 0

        def close(self, status, timeout):
            self.calls += 1
            answer = self._answers.pop(0)
            if answer == "Ctrl-C":
                os.kill(os.getpid(), signal.SIGINT)
                return False
            self.whole = answer
            return answer is True

        def recorded(self):
            return list(range(self.whole))

        def ready(self, timeout):
            return True

    def close(self, session, tracker, signum=None):
        with Interrupts() as interrupts:
            interrupts.signum = signum
            return session._close(tracker, "FINISHED", interrupts), interrupts.signum

    def test_are_waited_for_as_long_as_it_takes_in_more(self, session):
        assert self.close(session, self.Tracker(3, 4, 5, True)) == (True, None)
        assert session.display.problems == []

    def test_where_it_takes_in_nothing_more_they_are_kept_for_the_next_run(self, session):
        tracker = self.Tracker(3, 4, 4)
        assert self.close(session, tracker) == (False, None)
        assert tracker.calls == 3
        (problem,) = session.display.problems
        assert problem.endswith("and the next run of the study adds it")

    def test_ctrl_c_ends_the_wait_and_says_so(self, session):
        tracker = self.Tracker(3, "Ctrl-C", 5)
        assert self.close(session, tracker) == (False, signal.SIGINT)
        assert tracker.calls == 2
        assert session.display.problems[0] == "stopped waiting for MLflow"

    def test_a_ctrl_c_that_ended_the_search_does_not_end_this_too(self, session):
        assert self.close(session, self.Tracker(3, True), signal.SIGINT) == (True, signal.SIGINT)


class TestFigures:
    def test_are_of_the_images_that_the_trial_was_validated_with(self, session, monkeypatch, tmp_path):
        drawn = []

        def draw(folder, images, class_names, *, title):
            drawn.append((images[:][:, 0, 0, 0].tolist(), title))

        monkeypatch.setattr(session_module, "draw_trial", draw)
        for name, seed in (("003", 0), ("20260101-5", 7), ("004", 0)):
            session._draw(tmp_path / name, {"validation": {"fraction": 0.1, "seed": seed}})
        session._draw(tmp_path / "005", {})  # its configuration is lost
        (first, _), (other, _), (third, _), (lost, _) = drawn
        assert first == third == lost != other
        assert [title for _, title in drawn[:2]] == ["example, trial 3", "example, training 20260101-5"]


class TestTheModelsAddress:
    class Store:
        def __init__(self, answers):
            self._answers = answers

        def answers(self):
            return self._answers

    @pytest.fixture
    def address(self, session, monkeypatch):
        """address(store, recorded, says) -> what comes of it, and whether MLflow was asked for it."""

        def find(store, recorded, says="models:/m-1"):
            asked = []

            def model_address(study, uid, where):
                asked.append((study, uid, where))
                if isinstance(says, Exception):
                    raise says
                return says

            monkeypatch.setattr(session_module, "model_address", model_address)
            session._store = Future()
            session._store.set_result(store)
            return session._model_address("uid-3", recorded), bool(asked)

        return find

    def test_is_what_mlflow_says(self, address):
        assert address(self.Store(False), recorded=True) == ("models:/m-1", True)
        assert address(self.Store(True), recorded=False) == ("models:/m-1", True)

    def test_of_a_server_that_is_gone_nothing_is_asked_for_minutes(self, address):
        assert address(self.Store(False), recorded=False) == ("", False)

    def test_is_no_reason_to_lose_what_the_search_came_to(self, address):
        assert address(self.Store(True), recorded=True, says=OSError("away")) == ("", True)


class TestTheArchitecture:
    CHOICES = 'dataset = "digits"\narchitecture = { name = { choices = ["conv_net", "small_lenet"] } }'

    def test_is_told_where_there_is_a_choice(self, define, tmp_path):
        definition = define(text=self.CHOICES)
        session = Session(definition, tmp_path, jobs=1, display=Display())
        session.record.trial(4).begin(definition.baseline("d" * 64, 0).as_json())
        assert session._architecture(4) == "conv_net"
        assert session._architecture(5) == ""  # its configuration is lost

    def test_is_no_news_where_there_is_none(self, session, define):
        session.record.trial(4).begin(define().baseline("d" * 64, 0).as_json())
        assert session._architecture(4) == ""
