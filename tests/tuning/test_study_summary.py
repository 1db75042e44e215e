"""The results of a study for MLflow: description, figures, best trials."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from shared_tools import RecordingDisplay

from zoo.data.split_facts import SplitFacts
from zoo.events import EpochEnd, Finished
from zoo.tuning.study_summary import record_summary

STATES = [("complete", 0.5), ("complete", 0.75), ("pruned", 0.25), ("failed", None)]


class Record:
    def __init__(self):
        self.summary = None

    def record_summary(self, summary):
        self.summary = summary


@pytest.fixture
def study(define, directory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    splits = {"train": SplitFacts([9, 11]), "validation": SplitFacts([1, 2])}
    dataset = SimpleNamespace(splits=splits)
    return SimpleNamespace(
        definition=define(), directory=directory, display=RecordingDisplay(), dataset=dataset
    )


@pytest.fixture
def search(study, open_search):
    """A search with two complete trials, a pruned one and a failed one."""
    search = open_search()
    for state, value in STATES:
        trial = search.ask()
        directory = study.directory.trial(trial.number)
        directory.create(trial.config.as_json())
        summary = {} if value is None else {"best_val_accuracy": value, "best_epoch": 1, "parameters": 9}
        for event in (
            EpochEnd(1.0, 1, {"val_accuracy": 0.5, "val_loss": 0.5}),
            Finished(9.0, state, "", summary),
        ):
            directory.append(event)
        search.tell(trial.number, event)
    return search


def test_study_is_described_and_drawn(study, search):
    record = Record()
    record_summary(study, search, record)
    assert study.display.problems == []
    assert record.summary.text == (
        "maximize val_accuracy, dataset digits: 4 trials (2 complete, 1 pruned, 1 failed); "
        "splits: train 20 images (9 to 11 per class), validation 3 (1 to 2); "
        "best: trial 1, val_accuracy 0.7500"
    )
    assert (record.summary.best, record.summary.front) == (1, [])
    assert set(record.summary.searched) == set(study.definition.searched())
    assert {"history.png", "curves.png"} <= {path.name for path in record.summary.figures}
    assert all(path.stat().st_size for path in record.summary.figures)


def test_study_without_trials_has_no_summary(study, open_search):
    record = Record()
    record_summary(study, open_search(), record)
    assert (record.summary, study.display.problems) == (None, [])


def test_error_is_reported_and_not_raised(study, search, monkeypatch):
    def fail(text):
        raise OSError("the storage is gone")

    monkeypatch.setattr(search, "describe", fail)
    record_summary(study, search, Record())
    assert study.display.problems == ["the study was not described in MLflow: the storage is gone"]
