"""The directories of studies, trials and standalone runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from filelock import FileLock
from shared_tools import run_python

from zoo.errors import DataError, RecordError, StudyError, ZooError
from zoo.events import EpochEnd, Finished, Scored
from zoo.record import MLflowRun, StudyDirectory, TrialDirectory, epochs_of, read_predictions
from zoo.study import Objective

EPOCH = EpochEnd(2.5, 1, {"loss": 0.1})
END = Finished(3.5, "failed", "größer\nals 1")

HOLD_LOCK = """
import sys
from pathlib import Path
from zoo.record import StudyDirectory

with StudyDirectory(Path(sys.argv[1]), "example").locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def trial(tmp_path):
    directory = TrialDirectory(tmp_path / "trials" / "007")
    directory.create({"seed": 7})
    return directory


class TestTrial:
    def test_events_are_kept_in_order(self, trial):
        for event in (EPOCH, END):
            trial.append(event)
        assert trial.events() == [EPOCH, END]
        assert trial.final_event() == END
        assert trial.event_log.path.read_text().count("\n") == 2

    def test_missing_directory_is_empty(self, tmp_path):
        directory = TrialDirectory(tmp_path / "absent")
        assert directory.events() == []
        assert directory.final_event() is directory.latest_score() is directory.config() is None
        directory.delete_copies()

    def test_create_replaces_an_older_trial(self, trial):
        trial.append(END)
        trial.model_path.touch()
        trial.create({"seed": 8})
        assert trial.events() == []
        assert trial.config() == {"seed": 8}
        assert [path.name for path in trial.path.iterdir()] == ["config.json"]

    def test_latest_scores_count(self, trial):
        trial.append(Scored(1.0, {"test_accuracy": 0.5}))
        trial.append(Scored(2.0, {"test_accuracy": 0.75}))
        assert trial.latest_score().metrics == {"test_accuracy": 0.75}

    def test_only_copies_are_deleted(self, trial):
        trial.append(END)
        for name in ("model.keras", "predictions.npz", "summary.txt", "output.log"):
            (trial.path / name).touch()
        trial.delete_copies()
        left = {path.name for path in trial.path.iterdir()}
        assert left == {"config.json", "events.jsonl", "summary.txt", "output.log"}

    def test_damaged_predictions_are_an_error(self, trial):
        trial.predictions_path.write_bytes(b"not an archive")
        with pytest.raises(DataError, match=r"cannot read the predictions in .*predictions\.npz"):
            read_predictions(trial.predictions_path)


def test_later_event_of_an_epoch_counts():
    first, again, other_fold = EpochEnd(1.0, 1, {}), EpochEnd(2.0, 1, {}), EpochEnd(3.0, 1, {}, fold=2)
    assert epochs_of([first, END, other_fold, again]) == [again, other_fold]


class TestStandaloneRun:
    RUN = MLflowRun("abc", "standalone-baseline", 0)

    def test_run_json_names_the_mlflow_run(self, tmp_path):
        directory = StudyDirectory(tmp_path, "example").new_standalone_run(self.RUN)
        assert directory.mlflow_run() is None
        directory.create({})
        (again,) = StudyDirectory(tmp_path, "example").standalone_runs()
        assert (again.path, again.mlflow_run()) == (directory.path, self.RUN)
        again.mark_complete_in_mlflow()
        assert directory.mlflow_run() == MLflowRun("abc", "standalone-baseline", 0, is_complete=True)

    @pytest.mark.parametrize("content", ['{"uid": "ab', "[]", '{"uid": "abc"}'])
    def test_damaged_run_json_is_an_error(self, tmp_path, content):
        directory = StudyDirectory(tmp_path, "example").new_standalone_run(self.RUN)
        directory.create({})
        (directory.path / "run.json").write_text(content)
        with pytest.raises(RecordError, match=r"run\.json is damaged: .* Restore it from a backup\.$"):
            directory.mlflow_run()


class TestStudy:
    @pytest.fixture
    def directory(self, tmp_path):
        directory = StudyDirectory(tmp_path, "example")
        directory.create()
        return directory

    def test_trials_have_directories_by_number(self, directory, tmp_path):
        assert directory.trial(7).path == tmp_path / "mlruns" / "zoo" / "example" / "trials" / "007"
        assert directory.trial(1234).path.name == "1234"
        run = directory.new_standalone_run(TestStandaloneRun.RUN)
        assert run.path.parent == tmp_path / "mlruns" / "zoo" / "example" / "standalone"

    def test_environment_variable_moves_the_cache(self, tmp_path, monkeypatch):
        monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
        assert StudyDirectory(tmp_path, "example").cache_dir == tmp_path / "mlruns" / "zoo" / ".cache"
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "shared"))
        directory = StudyDirectory(tmp_path, "example")
        directory.create()
        assert directory.cache_dir == tmp_path / "shared"
        assert directory.cache_dir.is_dir()

    def test_trials_of_another_study_are_never_taken(self, directory):
        assert directory.objectives() == []
        objectives = [Objective("parameters", "minimize"), Objective("val_accuracy", "maximize")]
        directory.assign("a" * 32, objectives)
        assert (directory.uid(), directory.objectives()) == ("a" * 32, objectives)
        for number in (3, 0):
            directory.trial(number).create({"seed": number})
        directory.set_deleted_trials([3])
        directory.assign("a" * 32, objectives)  # the same again
        assert (directory.numbers(), directory.deleted_trials()) == ([0, 3], {3})
        with pytest.raises(StudyError, match=r"uid names, which says a{32}; the study .* is b{32}"):
            directory.assign("b" * 32, objectives)
        (directory.path / "uid").unlink()
        with pytest.raises(StudyError, match=r"uid names, which is missing; .* write a{32} into that file"):
            directory.assign("a" * 32, objectives)
        assert (directory.numbers(), directory.deleted_trials(), directory.uid()) == ([0, 3], {3}, None)

    def test_id_stays_when_the_directory_is_moved(self, tmp_path):
        for name in ("before", "another"):
            StudyDirectory(tmp_path / name, "example").create()
        before = StudyDirectory(tmp_path / "before", "example").id()
        (tmp_path / "before").rename(tmp_path / "after")
        moved = StudyDirectory(tmp_path / "after", "example")
        assert moved.id() == before != StudyDirectory(tmp_path / "another", "example").id()
        (moved.path / "id").write_text("")
        with pytest.raises(RecordError, match=r"id is damaged: expected one line\..* Delete the file if"):
            moved.id()
        (moved.path / "id").unlink()
        assert moved.id() == moved.id() != ""

    def test_lock_is_held_by_one_process_at_a_time(self, directory, tmp_path):
        command = [sys.executable, "-c", HOLD_LOCK, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout.readline() == "held\n"
                with pytest.raises(StudyError) as refused, directory.locked():
                    pass
                assert str(refused.value) == (
                    f"the study 'example' is being run by process {other.pid}. "
                    "Wait until it ends, or stop it with Ctrl-C."
                )
                with StudyDirectory(tmp_path, "another").locked():
                    pass
            finally:
                other.kill()
        with directory.locked():  # the system released the lock of the killed process
            assert (directory.path / "lock-owner").read_text() == f"process {os.getpid()}\n"

    def test_reader_that_holds_the_lock_for_a_moment_is_awaited(self, directory, monkeypatch):
        directory.create()
        reader = FileLock(directory.path / "lock", thread_local=False)
        reader.acquire()
        monkeypatch.setattr("time.sleep", lambda _: reader.release())
        with directory.locked():
            assert not reader.is_locked

    def test_released_lock_can_be_taken_again(self, directory, tmp_path):
        with directory.locked(), pytest.raises(StudyError), StudyDirectory(tmp_path, "example").locked():
            pass
        with StudyDirectory(tmp_path, "example").locked():
            pass

    def test_unwritable_folder_is_named(self, tmp_path):
        (tmp_path / "mlruns").write_text("a file")
        with pytest.raises(ZooError) as refused:
            StudyDirectory(tmp_path, "example").create()
        assert str(refused.value) == (
            f"cannot write to {tmp_path}/mlruns/zoo/example (Not a directory), where zoo keeps its record or "
            "prepared datasets. Run zoo in a folder that you may write to; for the datasets, you can set "
            "ZOO_CACHE_DIR to one."
        )


def test_commands_are_kept_once_and_in_order(tmp_path):
    directory = StudyDirectory(tmp_path, "example")
    directory.create()
    assert (directory.commands(), directory.definition()) == ([], "")
    for command in ("zoo tune example", "zoo tune example --trials 9", "zoo tune example"):
        directory.describe("dataset = 'digits'\n", command)
    assert directory.commands() == ["zoo tune example", "zoo tune example --trials 9"]
    assert directory.definition() == "dataset = 'digits'"


def test_lock_removes_what_killed_processes_left(tmp_path):
    directory = StudyDirectory(tmp_path, "example")
    folders = [directory.path, directory.path / "figures", directory.trial(3).path / "figures"]
    ended = run_python("-c", "import os; print(os.getpid())")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f".{socket.gethostname()}-{int(ended.stdout)}-0123abcd.tmp").touch()
    with directory.locked():
        assert not list(tmp_path.rglob("*.tmp"))
