"""Completing what a killed process left incomplete."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from shared_tools import RecordingDisplay

from zoo import tracking
from zoo.events import EpochEnd, Finished, Started
from zoo.record import MLflowRun
from zoo.tuning import reconcile as module
from zoo.tuning.reconcile import reconcile, reconcile_standalone_runs, settle_unfinished_trials

STARTED = Started(1.0)
COMPLETE = Finished(9.0, "complete", "", {"best_val_accuracy": 0.9, "best_epoch": 1})
DIGEST = "d" * 64


class Record:
    """The record of a study or a standalone run in MLflow."""

    is_complete = True
    made: list[Record]

    def __init__(self, study=None, uid="", *, standalone_name="", repeat=0):
        self.name = (uid, standalone_name)
        self.events = {}
        self.recorded_before = []
        self.removed = set()
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def put(self, number, config, events, folder):
        self.events[number] = [event.name for event in events]

    def remove_surplus(self):
        self.removed_at_last = self.removed.copy()


@pytest.fixture
def records(monkeypatch):
    monkeypatch.setattr(Record, "made", [], raising=False)
    monkeypatch.setattr(module, "MLflowRecord", Record)
    return Record.made


@pytest.fixture
def mlflow(monkeypatch):
    """A stand-in for MLflow: the trials that it has completely, and those that were deleted in it."""
    mlflow = SimpleNamespace(complete=set(), deleted=set(), without_model=set())

    def trial_states(store, study, uid):
        states = {**dict.fromkeys(range(3), "incomplete"), **dict.fromkeys(mlflow.complete, "complete")}
        return states | dict.fromkeys(mlflow.deleted, "deleted")

    monkeypatch.setattr(tracking, "is_study_run_deleted", lambda *_: False)
    monkeypatch.setattr(module, "trials_without_model", lambda *_: mlflow.without_model)
    for package in (module, tracking):
        monkeypatch.setattr(package, "trial_states", trial_states)
    monkeypatch.setattr(tracking, "is_study_run_deleted", lambda *_: False)
    return mlflow


@pytest.fixture
def study(define, directory, mlflow):
    return SimpleNamespace(
        definition=define(),
        directory=directory,
        dataset=SimpleNamespace(digest=DIGEST),
        store=SimpleNamespace(is_away=False, result=lambda: "a store"),
        display=RecordingDisplay(),
    )


@pytest.fixture
def killed(open_search, directory):
    """A supervisor that was killed after trial 0, while trials 1 and 2 were running."""
    search = open_search()
    for _ in range(3):
        trial = search.ask()
        directory.trial(trial.number).create(trial.config.as_json())
    directory.trial(0).append(COMPLETE)
    search.tell(0, COMPLETE)
    directory.trial(1).append(STARTED)
    return directory


def states(search):
    return [trial.state.name for trial in search._study.trials if trial.state.name != "WAITING"]


class TestAbandonedTrials:
    def test_trial_without_final_state_was_interrupted(self, killed, study, open_search):
        search = open_search()
        assert settle_unfinished_trials(study, search) == [1, 2]
        assert states(search) == ["COMPLETE", "FAIL", "FAIL"]
        events = [killed.trial(number).final_event() for number in (1, 2)]
        assert [event.reason for event in events] == ["interrupted: the supervisor was killed"] * 2
        assert search.done() == 1
        again = [search.ask().config.as_json()["training"] for _ in range(2)]
        assert again == [killed.trial(number).config()["training"] for number in (1, 2)]

    def test_logged_final_state_is_kept(self, killed, study, open_search):
        killed.trial(1).append(COMPLETE)
        killed.trial(2).append(Finished(9.0, "failed", "killed by signal 9 (SIGKILL)"))
        search = open_search()
        assert settle_unfinished_trials(study, search) == []
        assert states(search) == ["COMPLETE", "COMPLETE", "FAIL"]
        assert search.done() == 3

    def test_logged_epochs_that_optuna_lacks_are_reported(self, killed, study, open_search):
        for epoch, value in enumerate([0.5, 0.7, 0.6], 1):
            killed.trial(1).append(EpochEnd(float(epoch), epoch, {"val_accuracy": value}))
        search = open_search()
        search.unfinished_trials()
        search.report(1, EpochEnd(1.0, 1, {"val_accuracy": 0.5}))  # all that Optuna got before the kill
        settle_unfinished_trials(study, search)
        assert search._study.trials[1].intermediate_values == {1: 0.5, 2: 0.7, 3: 0.7}

    def test_torn_line_is_no_final_state(self, killed, study, open_search):
        path = killed.trial(1).event_log.path
        path.write_bytes(path.read_bytes() + b'{"version": 2, "event": "finished", "time": 9.0, "sta')
        settle_unfinished_trials(study, open_search())
        assert killed.trial(1).final_event().is_interrupted

    def test_trial_without_directory_was_interrupted(self, killed, study, open_search):
        (killed.trial(2).path / "config.json").unlink()
        killed.trial(2).path.rmdir()
        assert settle_unfinished_trials(study, open_search()) == [1, 2]
        assert killed.trial(2).final_event().is_interrupted

    def test_clean_study_has_no_unfinished_trial(self, study, open_search, directory):
        search = open_search()
        trial = search.ask()
        directory.trial(trial.number).create(trial.config.as_json())
        search.tell(trial.number, COMPLETE)
        assert settle_unfinished_trials(study, open_search()) == []

    def test_retried_trials_are_reported(self, killed, study, open_search, records):
        reconcile(study, open_search(), Record())
        assert study.display.problems == [
            "the previous run was killed; trials 1, 2 were marked as interrupted and will be retried"
        ]


class TestMLflow:
    def test_mlflow_gets_the_trials_that_it_lacks(self, killed, study, mlflow, open_search, records):
        search, record = open_search(), Record()
        mlflow.complete = {0}
        reconcile(study, search, record)
        assert record.recorded_before == [0]
        assert record.events == {1: ["started", "finished"], 2: ["finished"]}

    def test_removed_models_are_removed_once(self, killed, study, mlflow, open_search, records):
        mlflow.without_model, mlflow.complete = {0, 1, 2}, {0, 1}  # the run of trial 2 was not ended
        killed.trial(1).model_path.write_bytes(b"")  # the process was killed before this file was deleted
        record = Record()
        reconcile(study, open_search(), record)
        assert record.removed_at_last == {0}

    def test_deleted_trials_are_excluded_and_reported_once(self, killed, study, mlflow, open_search, records):
        mlflow.deleted = {0}
        search, record = open_search(), Record()
        reconcile(study, search, record)
        assert search.best() is None
        assert 0 not in record.events
        assert killed.deleted_trials() == {0}
        assert study.display.problems[-1].startswith(
            "trial 0 of 'example' was deleted in MLflow and will be excluded; "
        )
        study.display.problems.clear()
        search = open_search()
        reconcile(study, search, Record())
        assert study.display.problems == []
        assert search.best() is None
        mlflow.deleted = set()  # restored in MLflow
        reconcile(study, search, Record())
        assert search.best() == (0, 0.9)

    def test_study_without_trials_does_not_wait_for_mlflow(self, study, open_search, records):
        study.store.result = lambda: pytest.fail("MLflow was asked")
        reconcile(study, open_search(), Record())


def test_damaged_lines_are_reported(killed, study, open_search, records):
    path = killed.trial(1).event_log.path
    path.write_bytes(b"garbage\n" + path.read_bytes())
    record = Record()
    reconcile(study, open_search(), record)
    assert f"{path}: line 1 is damaged, so an event of trial 1 is lost" in study.display.problems
    assert record.events[1] == ["started", "finished"]


def lose_final_line(trial):
    content = trial.event_log.path.read_bytes()
    trial.event_log.path.write_bytes(content[: content.rindex(b'{"version"') + 40])


def change_final_value(trial):
    content = trial.event_log.path.read_bytes()
    trial.event_log.path.write_bytes(content.replace(b"0.9", b"0.8"))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (
            lose_final_line,
            r"its final state is missing in .*events\.jsonl\. Restore a backup, or run `zoo delete",
        ),
        (change_final_value, r"line 1 of .*events\.jsonl is damaged, and the trial's final state is lost"),
        (lambda trial: trial.event_log.path.unlink(), r"its final state is missing in .*events\.jsonl"),
        (lambda trial: trial.config_path.write_text('{"seed":'), r"config\.json is damaged: it is not JSON"),
        (
            lambda trial: trial.config_path.unlink(),
            r"config\.json is missing\. Restore it from a backup, or from",
        ),
    ],
)
def test_trial_with_damaged_record_is_set_aside(killed, study, open_search, records, damage, what):
    trial = killed.trial(0)
    damage(trial)
    search, record = open_search(), Record()
    assert search.best() == (0, 0.9)
    reconcile(study, search, record)
    assert search.best() is None
    assert search.done() == 1
    assert sorted(record.events) == [1, 2]
    (problem,) = (line for line in study.display.problems if "set aside" in line)
    assert re.match(f"trial 0 of 'example' is set aside: (.*/)?{what}", problem)


def test_damaged_standalone_run_is_reported(directory, study, records):
    run = directory.new_standalone_run(MLflowRun("abc", "standalone-007", 7))
    run.create({})
    (run.path / "run.json").write_bytes(b"null")
    reconcile_standalone_runs(study)
    (run.path / "run.json").write_bytes(b'{"uid": "\xff"}')
    reconcile_standalone_runs(study)
    assert records == []
    assert [line.partition("run.json ")[2] for line in study.display.problems] == [
        f"is damaged: it is {what}. It names the run in MLflow. Restore it from a backup."
        for what in ("null", "not JSON")
    ]


class TestStandaloneRuns:
    RUN = MLflowRun("abc", "standalone-007", 7)

    @pytest.fixture
    def killed_run(self, directory, define):
        """What a killed `zoo train --trial 7` left."""
        run = directory.new_standalone_run(self.RUN)
        run.create(define().baseline(DIGEST, 0).as_json())
        run.append(STARTED)
        return run

    def test_killed_run_gets_its_final_state(self, killed_run, study, records):
        reconcile_standalone_runs(study)
        assert killed_run.final_event().reason == "interrupted: zoo train was killed"
        (record,) = records
        assert (record.name, record.events) == (("abc", "standalone-007"), {7: ["started", "finished"]})
        assert study.display.problems == [
            f"standalone-007 was killed; it was marked as interrupted: {killed_run.path}"
        ]
        reconcile_standalone_runs(study)
        assert len(records) == 1

    def test_incomplete_run_is_sent_until_mlflow_has_it(self, killed_run, study, records, monkeypatch):
        killed_run.append(EpochEnd(1.5, 1, {}))
        killed_run.append(COMPLETE)
        monkeypatch.setattr(Record, "is_complete", False)
        reconcile_standalone_runs(study)
        monkeypatch.setattr(Record, "is_complete", True)
        reconcile_standalone_runs(study)
        reconcile_standalone_runs(study)
        assert [record.events[7] for record in records] == [["started", "epoch_end", "finished"]] * 2
        assert study.display.problems == []

    def test_run_of_other_data_waits(self, directory, define, study, records):
        run = directory.new_standalone_run(self.RUN)
        run.create(define().baseline("e" * 64, 0).as_json())
        reconcile_standalone_runs(study)
        assert records == []
        assert run.mlflow_run() == self.RUN
