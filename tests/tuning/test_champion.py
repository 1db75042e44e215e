"""The best trial is scored on the test split, once."""

from __future__ import annotations

import pytest

from zoo.tuning.champion import drop_copies, score_champion
from zoo.tuning.display import NoDisplay
from zoo.tuning.interrupts import Interrupted, Interrupts
from zoo.tuning.record import StudyRecord

METRICS = {"test_accuracy": 0.75, "test_loss": 0.5}


class Search:
    def __init__(self, best):
        self._best = best

    def best(self):
        return self._best


class Stage(NoDisplay):
    """Executor, tracker and display in one."""

    def __init__(self, folder, best, answer=METRICS):
        self.record = StudyRecord(folder, "example")
        self.search = Search(best)
        self.answer = answer
        self.evaluated, self.tracked, self.problems = [], [], []
        for number in range(3):
            self.record.trial(number).begin({"number": number})
            for name in ("model.keras", "predictions.npz"):
                (self.record.trial(number).folder / name).touch()

    def evaluate(self, model, cache, digest, log):
        self.evaluated.append((model.parent.name, cache == self.record.cache, digest))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def put(self, number, config, event, folder):
        self.tracked.append((number, config, event["event"], event["champion"], event["metrics"]))

    def problem(self, text):
        self.problems.append(text)

    def score(self):
        with Interrupts() as interrupts:
            return score_champion(self.search, self.record, self, self, "d", self, interrupts)


def test_it_is_scored_once_and_read_back_afterwards(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9))
    assert stage.score() == METRICS
    assert stage.score() == METRICS
    assert stage.evaluated == [("001", True, "d")]
    # MLflow hears it again: it may have been away the first time.
    assert stage.tracked == [(1, {"number": 1}, "tested", True, METRICS)] * 2
    assert [event["event"] for event in stage.record.trial(1).events()] == ["tested"]


def test_what_zoo_evaluate_found_is_not_scored_again(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9))
    stage.record.trial(1).add_tested({"test_accuracy": 0.7})
    stage.record.trial(1).add_tested(METRICS)  # on another machine
    assert stage.score() == METRICS
    assert stage.evaluated == []
    assert stage.tracked == [(1, {"number": 1}, "tested", True, METRICS)]


def test_a_better_one_is_scored_in_its_turn(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9))
    stage.score()
    stage.search._best = (2, 0.95)
    stage.score()
    assert [name for name, *_ in stage.evaluated] == ["001", "002"]


def test_where_nothing_is_complete_there_is_none(tmp_path):
    stage = Stage(tmp_path, best=None)
    assert stage.score() == {}
    assert stage.evaluated == stage.problems == []


def test_a_model_that_is_gone_is_told(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9))
    (stage.record.trial(1).folder / "model.keras").unlink()
    assert stage.score() == {}
    assert "its model is not in" in stage.problems[0]
    assert stage.problems[0].endswith("; to have it again: zoo train --study example --trial 1")
    assert stage.record.trial(1).events() == []


def test_a_process_that_died_is_told_and_it_is_tried_again_next_time(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9), answer="killed by signal 9")
    assert stage.score() == {}
    assert stage.problems[0].startswith("trial 1 was not scored on the test split: killed by signal 9; see ")
    stage.answer = METRICS
    assert stage.score() == METRICS


def test_interrupted_it_is_scored_next_time(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9), answer=Interrupted())
    with pytest.raises(Interrupted):
        stage.score()
    assert stage.record.trial(1).events() == []


def test_of_what_mlflow_holds_only_the_champions_model_stays(tmp_path):
    stage = Stage(tmp_path, best=(1, 0.9))
    drop_copies(stage.record, stage.search, [0, 1])  # MLflow does not have all of trial 2 yet
    left = [
        sorted(path.name for path in stage.record.trial(number).folder.glob("*.[kn]*")) for number in range(3)
    ]
    assert left == [[], ["model.keras", "predictions.npz"], ["model.keras", "predictions.npz"]]
