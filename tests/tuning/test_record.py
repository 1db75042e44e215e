"""The files of a study and its trials."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zoo.errors import StudyError, ZooError
from zoo.study import Objective
from zoo.tuning.record import StudyRecord, TrialRecord

EPOCH = {"event": "epoch", "time": 2.5, "epoch": 1, "metrics": {"loss": 0.1}}
END = {"event": "finished", "time": 3.5, "state": "failed", "reason": "größer\nals 1", "summary": {}}

HOLD = """
import sys
from pathlib import Path
from zoo.tuning.record import StudyRecord

record = StudyRecord(Path(sys.argv[1]), "example")
record.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def trial(tmp_path):
    record = TrialRecord(tmp_path / "trials" / "007")
    record.begin({"seed": 7})
    return record


class TestOfATrial:
    def test_keeps_events_as_they_were_in_order(self, trial):
        for event in (EPOCH, END):
            trial.append(event)
        assert trial.events() == [EPOCH, END]
        assert trial.finished() == END
        assert trial.events_path.read_text().count("\n") == 2

    def test_has_nothing_where_there_is_none(self, tmp_path):
        record = TrialRecord(tmp_path / "absent")
        assert record.events() == []
        assert record.finished() is None
        assert record.config() is None
        record.drop_copies()

    @pytest.mark.parametrize("kept", [1, 20, -2, -1])
    def test_leaves_out_a_last_line_that_was_cut_off(self, trial, kept):
        trial.append(EPOCH)
        whole = trial.events_path.read_bytes()
        trial.append(END)
        line = trial.events_path.read_bytes()[len(whole) :]
        trial.events_path.write_bytes(whole + line[:kept])
        assert trial.events() == ([EPOCH, END] if kept == -1 else [EPOCH])

    def test_goes_on_after_a_line_that_was_cut_off(self, trial):
        trial.append(EPOCH)
        trial.events_path.write_bytes(trial.events_path.read_bytes() + b'{"event": "epo')
        trial.append(END)
        assert trial.events() == [EPOCH, END]

    def test_begins_anew(self, trial):
        trial.append(END)
        (trial.folder / "model.keras").touch()
        trial.begin({"seed": 8})
        assert trial.events() == []
        assert trial.config() == {"seed": 8}
        assert [path.name for path in trial.folder.iterdir()] == ["config.json"]

    def test_drops_what_mlflow_holds_too_and_nothing_else(self, trial):
        trial.append(END)
        for name in ("model.keras", "predictions.npz", "summary.txt", "output.log"):
            (trial.folder / name).touch()
        trial.drop_copies()
        left = {path.name for path in trial.folder.iterdir()}
        assert left == {"config.json", "events.jsonl", "summary.txt", "output.log"}


class TestOfATraining:
    def test_says_which_run_it_is_until_mlflow_has_all_of_it(self, tmp_path):
        record = StudyRecord(tmp_path, "example").training()
        record.begin({})
        assert record.unrecorded() is None
        run = {"uid": "abc", "name": "training-baseline", "number": 0}
        record.is_run(run)
        (again,) = StudyRecord(tmp_path, "example").trainings()
        assert (again.folder, again.unrecorded(), again.run()) == (record.folder, run, run)
        for _ in range(2):
            again.recorded()
            assert (record.unrecorded(), record.run()) == (None, run)

    def test_one_whose_writer_was_killed_over_it_has_no_run_yet(self, tmp_path):
        record = StudyRecord(tmp_path, "example").training()
        record.begin({})
        (record.folder / "unrecorded.json").write_text('{"uid": "ab')
        assert (record.unrecorded(), record.run()) == (None, None)


class TestOfAStudy:
    def test_has_a_folder_for_every_trial(self, tmp_path):
        record = StudyRecord(tmp_path, "example")
        assert record.trial(7).folder == tmp_path / "mlruns" / "zoo" / "example" / "trials" / "007"
        assert record.trial(1234).folder.name == "1234"
        assert record.training().folder.parent == tmp_path / "mlruns" / "zoo" / "example" / "training"

    def test_keeps_prepared_data_where_the_environment_says(self, tmp_path, monkeypatch):
        monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
        assert StudyRecord(tmp_path, "example").cache == tmp_path / "mlruns" / "zoo" / ".cache"
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "shared"))
        record = StudyRecord(tmp_path, "example")
        record.open()
        assert record.cache == tmp_path / "shared"
        assert record.cache.is_dir()

    def test_puts_the_trials_of_an_earlier_study_of_that_name_aside(self, tmp_path):
        record = StudyRecord(tmp_path, "example")
        record.open()
        assert record.objectives() == []
        judged_by = [Objective("parameters", "minimize"), Objective("val_accuracy", "maximize")]
        record.belong_to("a" * 32, judged_by)
        assert record.objectives() == judged_by
        for number in (3, 0):
            record.trial(number).begin({"seed": number})
        record.belong_to("a" * 32, judged_by)  # the same again
        assert record.numbers() == [0, 3]
        record.belong_to("b" * 32, judged_by)  # its Optuna file was removed, and it was begun anew
        assert record.numbers() == []
        assert (record.folder / "trials-aaaaaaaa" / "003" / "config.json").exists()

    def test_is_known_by_a_name_that_stays_when_it_is_moved(self, tmp_path):
        for name in ("before", "another"):
            StudyRecord(tmp_path / name, "example").open()
        home = StudyRecord(tmp_path / "before", "example").home()
        (tmp_path / "before").rename(tmp_path / "after")
        moved = StudyRecord(tmp_path / "after", "example")
        assert moved.home() == home != StudyRecord(tmp_path / "another", "example").home()
        (moved.folder / "home").write_text("")  # its writer was killed
        assert moved.home() == moved.home() != ""

    def test_is_of_one_process_at_a_time(self, tmp_path):
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout.readline() == "held\n"
                with pytest.raises(StudyError) as refused:
                    StudyRecord(tmp_path, "example").acquire()
                assert str(refused.value) == (
                    f"The study 'example' is being worked on by process {other.pid}; "
                    "wait for it, or stop it with Ctrl-C."
                )
                StudyRecord(tmp_path, "another").acquire()
            finally:
                other.kill()
        record = StudyRecord(tmp_path, "example")
        record.acquire()  # the lock went with the process, however that ended
        assert (record.folder / "lock").read_text() == f"process {os.getpid()}"
        record.release()
        record.release()

    def test_released_it_can_be_had_again(self, tmp_path):
        first, second = (StudyRecord(tmp_path, "example") for _ in range(2))
        first.acquire()
        with pytest.raises(StudyError):
            second.acquire()
        first.release()
        second.acquire()
        second.release()

    def test_says_what_is_in_the_way(self, tmp_path):
        (tmp_path / "mlruns").write_text("a file")
        with pytest.raises(ZooError) as refused:
            StudyRecord(tmp_path, "example").acquire()
        assert str(refused.value) == (
            f"{tmp_path}/mlruns/zoo/example cannot be written (Not a directory); zoo keeps its record there. "
            "Run it from a folder you may write to."
        )
