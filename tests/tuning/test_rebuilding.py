"""An Optuna study that is lost, is an older copy, or has other values than the event logs."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from tuning_examples import MANIFEST

from zoo.errors import ManifestError, RecordError, StudyError
from zoo.events import EpochEnd, Finished, Started
from zoo.tuning.differences import mlflow_differences, optuna_differences
from zoo.tuning.patience import Patience
from zoo.tuning.retrying import AGAIN
from zoo.tuning.search import OptunaSearch

optuna = pytest.importorskip("optuna")

COMPLETE = Finished(9.0, "complete", "", {"best_val_accuracy": 0.5, "parameters": 9})
PRUNED = Finished(9.0, "pruned", "pruned after epoch 2", {"best_val_accuracy": 0.1})
FAILED = Finished(9.0, "failed", "it fell")
INTERRUPTED = Finished(9.0, "failed", "interrupted", is_interrupted=True)
KILLED = replace(INTERRUPTED, reason="interrupted: killed by signal 9 (SIGKILL)", is_killed=True)


def run(search, directory, final, value=0.5):
    """Run a trial as the supervisor does: its event log first, then Optuna."""
    pending = search.ask()
    trial = directory.trial(pending.number)
    trial.create(pending.config.as_json())
    trial.append(Started(1.0))
    for number in (1, 2):
        event = EpochEnd(1.0 + number, number, {"val_accuracy": value / number, "val_loss": 1.0})
        trial.append(event)
        search.report(pending.number, event)
    if final is not None:
        summary = (
            {**final.summary, "best_val_accuracy": value} if final.state == "complete" else final.summary
        )
        event = replace(final, summary=summary)
        trial.append(event)
        search.tell(pending.number, event)
    return pending.number


def remove(storage):
    Path(storage.removeprefix("sqlite:///")).unlink()


def facts(search):
    """Everything that matters of the trials in Optuna, except the exact times.

    The trial that a finished one had again does not matter: only a queued trial continues another.
    """
    return [
        (
            trial.number,
            trial.state.name,
            trial.values,
            trial.params,
            trial.distributions,
            trial.intermediate_values,
            {name: value for name, value in trial.user_attrs.items() if name != AGAIN},
            trial.constraints,
            trial.system_attrs.get("fixed_params") if trial.state.name == "WAITING" else None,
        )
        for trial in search._study.trials
    ]


@pytest.fixture
def reopen(define, storage, directory):
    """reopen() -> the search as the next `zoo tune` opens it; `reopen.lines` has what it said."""

    def make(*overrides, manifest=MANIFEST, url=storage):
        return OptunaSearch(
            define(*overrides), manifest, directory, url, patience=Patience(make.lines.append)
        )

    make.lines = []
    return make


@pytest.fixture
def ran(reopen, directory):
    """A study with a trial of every end; the interrupted ones are queued again, one of them has run."""
    search = reopen("search.max_parameters=100", manifest={**MANIFEST, "max_parameters": 100})
    for final, value in ((COMPLETE, 0.5), (INTERRUPTED, 0.3), (COMPLETE, 0.7), (PRUNED, 0.1), (FAILED, 0.2)):
        run(search, directory, final, value)
    run(search, directory, KILLED, 0.4)
    return search


class TestLostStorage:
    def open(self, reopen):
        return reopen("search.max_parameters=100", manifest={**MANIFEST, "max_parameters": 100})

    def test_deleted_storage_is_rebuilt_after_saying_so(self, ran, reopen, storage, directory):
        before, uid = facts(ran), ran.uid()
        remove(storage)
        search = self.open(reopen)
        assert facts(search) == before
        assert (search.uid(), search.done(), search.best()) == (uid, ran.done(), (2, 0.7))
        assert reopen.lines == [
            "Optuna does not have the trials of 'example'; they are rebuilt from the event logs of "
            f"6 trials in {directory.trials_dir}"
        ]
        assert [trial.datetime_start.timestamp() for trial in search._study.trials[:6]] == [1.0] * 6
        assert self.open(reopen).done() == ran.done()
        assert len(reopen.lines) == 1

    def test_rebuilt_study_continues_where_it_was(self, ran, reopen, storage):
        queued = ran._study.trials[6].system_attrs["fixed_params"]
        remove(storage)
        pending = self.open(reopen).ask()
        assert pending.number == 6
        assert pending.config.training["learning_rate"] == queued["training.learning_rate"]

    def test_other_storage_gets_the_trials(self, ran, reopen, tmp_path):
        url = f"sqlite:///{tmp_path}/other.db"
        search = reopen("search.max_parameters=100", manifest={**MANIFEST, "max_parameters": 100}, url=url)
        assert facts(search) == facts(ran)

    def test_older_copy_of_the_storage_is_completed(self, ran, reopen, storage, directory, tmp_path):
        path, copy = Path(storage.removeprefix("sqlite:///")), tmp_path / "copy.db"
        copy.write_bytes(path.read_bytes())
        run(ran, directory, COMPLETE, 0.9)
        path.write_bytes(copy.read_bytes())
        assert self.open(reopen).best() == (6, 0.9)

    def test_running_trial_is_retried(self, ran, reopen, storage, directory):
        number = run(ran, directory, None)
        remove(storage)
        search = self.open(reopen)
        assert search.unfinished_trials() == [number]
        search.tell(number, INTERRUPTED)
        assert search.done() == 4

    def test_damaged_record_keeps_its_place(self, ran, reopen, storage, directory):
        directory.trial(2).config_path.write_bytes(b"garbage")
        log = directory.trial(0).event_log.path
        log.write_bytes(log.read_bytes().replace(b"complete", b"Complete"))
        remove(storage)
        search = self.open(reopen)
        assert [trial.state.name for trial in search._study.trials[:3]] == ["FAIL"] * 3
        assert search.best() is None
        assert search.done() == 4

    def test_changed_study_file_is_refused_and_nothing_is_changed(self, ran, reopen, storage, directory):
        remove(storage)
        with pytest.raises(ManifestError, match="max_parameters"):
            reopen()
        (directory.path / "manifest.json").unlink()  # of a record without it
        with pytest.raises(StudyError, match=r"trial \d ran: .* or add --name example-2 to start a new"):
            reopen("training.epochs=7", manifest={**MANIFEST, "max_parameters": 100})
        assert self.open(reopen).best() == (2, 0.7)

    def test_unknown_study_is_refused(self, ran, reopen, storage, directory):
        remove(storage)
        (directory.path / "uid").unlink()
        with pytest.raises(RecordError, match=r"uid is missing, and Optuna lacks the trials in"):
            self.open(reopen)
        assert directory.numbers() == list(range(6))

    def test_storage_of_another_study_is_refused(self, ran, reopen, storage, directory):
        directory.trials_dir.rename(directory.path / "aside")
        (directory.path / "uid").unlink()
        remove(storage)
        run(self.open(reopen), directory, COMPLETE)
        other = directory.uid()
        (directory.path / "uid").unlink()
        directory.trials_dir.rename(directory.path / "other")
        (directory.path / "aside").rename(directory.trials_dir)
        (directory.path / "uid").write_text("f" * 32)
        with pytest.raises(StudyError, match=rf"which says f{{32}}; the study 'example' in .* is {other}"):
            self.open(reopen)


class TestOtherValues:
    def change(self, storage, sql):
        with sqlite3.connect(storage.removeprefix("sqlite:///")) as database:
            assert database.execute(sql).rowcount == 1

    def test_value_in_optuna_is_found_and_does_not_count(self, ran, reopen, storage, directory):
        self.change(storage, "UPDATE trial_values SET value = 0.99 WHERE trial_id = 1")
        search = reopen("search.max_parameters=100", manifest={**MANIFEST, "max_parameters": 100})
        assert search.best() == (0, 0.99)
        assert search.use_logged_values(directory) == {
            0: "Optuna has val_accuracy 0.99, its event log 0.5",
        }
        assert search.best() == (2, 0.7)

    def test_state_in_optuna_is_found_and_does_not_count(self, ran, reopen, storage, directory):
        self.change(storage, "UPDATE trials SET state = 'FAIL' WHERE trial_id = 3")
        search = reopen("search.max_parameters=100", manifest={**MANIFEST, "max_parameters": 100})
        assert search.best() == (0, 0.5)
        assert search.use_logged_values(directory) == {2: "Optuna has the state FAIL, its event log complete"}
        assert search.best() == (2, 0.7)

    def test_equal_records_have_no_difference(self, ran, directory):
        assert optuna_differences(directory, ran.objectives, ran._study.trials) == {}

    def test_value_in_mlflow_is_found(self, ran, directory, monkeypatch):
        results = {0: {"best_val_accuracy": 0.5}, 2: {"best_val_accuracy": 0.8}, 3: {}, 99: {}}
        monkeypatch.setattr("zoo.tuning.differences.trial_results", lambda *_: results)
        assert mlflow_differences(directory, ran.objectives, None, "uid") == {
            2: "MLflow has val_accuracy 0.8, its event log 0.7"
        }
