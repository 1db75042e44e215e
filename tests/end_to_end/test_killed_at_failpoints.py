"""A process is killed at each failpoint; the next `zoo tune` completes the study."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import whole_record
from end_to_end_studies import TINY

from zoo.events import EventLog, Finished
from zoo.machine import available_cores

pytestmark = pytest.mark.faults

KILLED = -signal.SIGKILL
SUPERVISOR = [
    "study.created", "study.assigned", "trial.asked", "trial.created", "trial.started", "event.received",
    "event.logged", "epoch.reported", "epoch.answered", "final.received", "final.logged", "final.recorded",
    "study.scored", "study.reported", "study.recorded", "study.promoted",
]  # fmt: skip
MLFLOW = [
    "mlflow.experiment", "mlflow.study", "mlflow.trial", "mlflow.epochs", "mlflow.model",
    "mlflow.model_uploaded", "mlflow.model_linked", "mlflow.results", "mlflow.ended",
]  # fmt: skip
WORKER = [
    "worker.entered", "worker.built", "worker.epoch", "worker.answered", "worker.predictions",
    "worker.model", "worker.finished", "worker.loading",
]  # fmt: skip
DATASET = ["dataset.reading", "dataset.written", "dataset.stored", "dataset.ready"]


@pytest.fixture
def zoo_in(warm_command, script, environment, tmp_path):
    """zoo_in(environment variables, "tune", …) -> status, stdout and stderr of the command in `tmp_path`."""

    def run(env, *arguments):
        done = warm_command.run([script, *arguments], cwd=tmp_path, env={**environment, **env})
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A cache, in which the first command prepares the dataset."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tune(zoo_in, prepared, empty_database, tmp_path):
    """tune("trial.asked=kill") -> status, stdout and stderr of `zoo tune` in an own folder."""
    folder = tmp_path
    (folder / "studies").mkdir()
    (folder / "studies" / "tiny.toml").write_text(TINY)
    (folder / "failed").mkdir()
    shutil.copyfile(empty_database, folder / "mlflow.db")

    def run(failpoints="", cache=prepared):
        env = {"ZOO_FAILPOINTS": failpoints, "ZOO_FAILPOINTS_DIR": str(folder / "failed")}
        env["ZOO_CACHE_DIR"] = str(cache)
        return zoo_in(env, "tune", "tiny", "--set", "training.epochs=1", "--jobs", "1")

    return run


def _check_whole(folder: Path, result: tuple[int, str, str]) -> None:
    status, stdout, stderr = result
    assert (status, stdout.partition(" ")[0]) == (0, "best:"), stderr
    assert whole_record.problems(folder, "tiny", 2) == []


@pytest.mark.parametrize("names", [SUPERVISOR, MLFLOW], ids=["supervisor", "mlflow"])
def test_supervisor_killed_at_one_step_after_another_loses_nothing(tune, tmp_path, names):
    """Each command continues where the last one was killed, and reaches the next step."""
    for name in names:
        status, _, stderr = tune(f"{name}=kill")
        assert (status, _failed(tmp_path)) == (KILLED, [name]), stderr
        (tmp_path / "failed" / name).unlink()
    _check_whole(tmp_path, tune())


@pytest.mark.parametrize("name", WORKER)
def test_killed_trial_is_run_again(tune, tmp_path, name):
    _check_whole(tmp_path, tune(f"{name}=kill"))
    assert _failed(tmp_path) == [name]
    (first,) = [one for one in _events(tmp_path, 0) if isinstance(one, Finished)]
    assert first.is_interrupted
    assert "killed by signal 9 (SIGKILL)" in first.reason


@pytest.mark.skipif(available_cores() < 2, reason="no trial is prepared ahead")
def test_supervisor_killed_with_a_prepared_trial_leaves_nothing_of_it(tune, tmp_path):
    status, _, stderr = tune("trial.prepared=kill")
    assert (status, _failed(tmp_path)) == (KILLED, ["trial.prepared"]), stderr
    _check_whole(tmp_path, tune())


def test_killed_supervisor_after_killed_trial_retries_it_once(tune, tmp_path):
    status, _, stderr = tune("worker.epoch=kill,retry.queued=kill")
    assert status == KILLED, stderr
    _check_whole(tmp_path, tune())
    assert not (tmp_path / "mlruns/zoo/tiny/trials/003").exists()


@pytest.mark.parametrize("name", DATASET)
def test_killed_dataset_process_leaves_nothing_behind(tune, tmp_path, name):
    cache = tmp_path / "cache"
    status, _, stderr = tune(f"{name}=kill", cache)
    assert status == 2
    assert "the process that prepares the dataset 'digits' died: killed by signal 9 (SIGKILL)" in stderr
    _check_whole(tmp_path, tune("", cache))
    assert not list(cache.glob(".*"))


def test_killed_writer_of_a_small_file_leaves_the_old_file(tune, tmp_path):
    for visit in (1, 3, 6, 9):
        status, _, stderr = tune(f"file.written=kill@{visit}")
        assert status == KILLED, stderr
        (tmp_path / "failed" / "file.written").unlink()
    assert list(tmp_path.rglob("*.tmp"))
    _check_whole(tmp_path, tune())


def test_doctor_repairs_both_databases(tune, zoo_in, tmp_path):
    """An interrupted study whose databases have other values than its event logs."""
    assert tune()[0] == 0
    status, stdout, stderr = zoo_in({}, "doctor", "tiny")
    assert (status, "problem" in stdout) == (0, False), stdout + stderr
    for database, change in (
        ("mlruns/optuna.db", "UPDATE trial_values SET value = 0.999 WHERE trial_id = 1"),
        ("mlflow.db", "UPDATE latest_metrics SET value = 0.998 WHERE key = 'best_val_accuracy'"),
    ):
        with closing(sqlite3.connect(tmp_path / database)) as connection:
            connection.execute(change)
            connection.commit()
    status, stdout, _ = zoo_in({}, "doctor", "tiny")
    assert status == 1
    assert "trial 0: Optuna has val_accuracy 0.999, its event log 0." in stdout
    assert "trial 1: MLflow has val_accuracy 0.998, its event log 0." in stdout
    status, stdout, stderr = zoo_in({}, "doctor", "tiny", "--repair")
    assert (status, "problem" in stdout) == (0, False), stdout + stderr
    (tmp_path / "mlruns" / "optuna.db").unlink()
    assert zoo_in({}, "doctor", "tiny", "--repair")[0] == 0
    assert whole_record.problems(tmp_path, "tiny", 2) == []


def _failed(folder: Path) -> list[str]:
    """Return the failpoints that have acted."""
    return [path.name for path in (folder / "failed").iterdir()]


def _events(folder: Path, number: int) -> list:
    return EventLog(folder / f"mlruns/zoo/tiny/trials/{number:03d}/events.jsonl").read()
