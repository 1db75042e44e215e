"""One training outside any search, with stand-ins for its process, MLflow and the terminal."""

from __future__ import annotations

import os
import signal
from collections import deque

import pytest

from zoo.study import Objective
from zoo.tuning.alone import TrialFailed, run_alone
from zoo.tuning.display import NoDisplay
from zoo.tuning.executor import ended
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.record import StudyRecord

STARTED = {"event": "started", "time": 1.0}
EPOCH = {"event": "epoch", "time": 2.0, "epoch": 1, "metrics": {"val_accuracy": 0.5}}
PROGRESS = {"event": "progress", "epoch": 1, "fraction": 0.5}
COMPLETE = {**ended("complete", ""), "summary": {"best_val_accuracy": 0.5, "best_epoch": 1}}


class Stage(NoDisplay):
    """Executor, tracker and display in one; where the trial has nothing more to say, Ctrl-C is pressed.

    `None` among its events is where it is pressed before they were read.
    """

    def __init__(self, folder, config, events):
        self.config = config
        self.record = StudyRecord(folder, "example").training()
        self.record.begin(config.as_json())
        self.events = deque(events)
        self.answers, self.tracked, self.shown, self.stopped = [], [], [], False

    def start(self, number, config, cache, folder):
        assert folder == self.record.folder

    def wait(self, timeout):
        if not timeout:
            return [7] if self.events else []
        if not self.events or self.events[0] is None:
            self.events = deque(event for event in self.events if event is not None)
            os.kill(os.getpid(), signal.SIGINT)
        return [7]

    def read(self, number):
        event = self.events.popleft()
        if isinstance(event, BaseException):
            raise event
        return event

    def answer(self, number, go_on):
        self.answers.append(go_on)

    def stop_all(self):
        self.stopped = True

    def put(self, number, config, event, folder):
        self.tracked.append((number, event["event"]))

    def begin(self, study, objectives, done, total):
        self.objectives = list(objectives)

    def finished(self, number, state, values, reason, best, done):
        self.shown.append((number, state, values, reason))

    def run(self):
        with Interrupts() as interrupts:
            cache = self.record.folder
            return run_alone(7, self.config, cache, self.record, self, self, self, interrupts)


@pytest.fixture
def stage(define, tmp_path):
    config = define().baseline("d" * 64, 0)
    return lambda *events: Stage(tmp_path, config, events)


def test_it_is_recorded_and_never_pruned(stage):
    here = stage(STARTED, PROGRESS, EPOCH, COMPLETE)
    assert here.run() == COMPLETE
    assert here.record.events() == [STARTED, EPOCH, COMPLETE]
    assert here.tracked == [(7, "started"), (7, "epoch"), (7, "finished")]
    assert here.answers == [True]
    assert here.shown == [(7, "complete", {"val_accuracy": 0.5}, "")]
    assert here.objectives == [Objective("val_accuracy", "maximize")]


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_any_other_end_is_an_error_that_names_the_log(stage, state):
    here = stage(STARTED, ended(state, "it fell"))
    with pytest.raises(TrialFailed) as failed:
        here.run()
    assert failed.value.exit_status == 1
    assert "it fell" in str(failed.value)
    assert str(here.record.folder / "output.log") in str(failed.value)
    assert here.tracked[-1] == (7, "finished")
    assert not here.stopped


def test_ctrl_c_ends_it_with_its_record_whole(stage):
    here = stage(STARTED, EPOCH)
    with pytest.raises(TrialFailed, match="stopped") as stopped:
        here.run()
    assert stopped.value.exit_status == 130
    assert str(here.record.folder) in str(stopped.value)
    assert here.stopped
    assert here.record.finished()["reason"] == "interrupted"
    assert here.tracked[-1] == (7, "finished")


def test_an_end_that_was_there_when_ctrl_c_came_is_its_end(stage):
    here = stage(STARTED, None, EPOCH, COMPLETE)
    assert here.run() == COMPLETE
    assert here.record.events() == [STARTED, EPOCH, COMPLETE]


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_whatever_else_stops_it_mlflow_hears_of_the_end(stage, error):
    here = stage(STARTED, error)
    with pytest.raises(type(error)):
        here.run()
    assert here.stopped
    assert here.record.finished()["reason"] == "interrupted: the training was stopped"
    assert here.tracked[-1] == (7, "finished")


def test_a_full_disk_too(stage, monkeypatch):
    here = stage(STARTED, EPOCH)

    def full(event):
        raise OSError("no space left on device")

    monkeypatch.setattr(here.record, "append", full)
    with pytest.raises(OSError, match="no space left"):
        here.run()
    assert here.tracked[-1] == (7, "finished")
