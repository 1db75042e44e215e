"""Which store, how it is made, and what is said when it cannot be used."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import tracking_examples as examples

from zoo.errors import ZooError
from zoo.tracking import Store, StudyTracker, TrackingError, connect, free_port, store, tracking_uri


def test_mlflow_db_in_this_folder(working_folder: Path) -> None:
    assert tracking_uri() == f"sqlite:///{working_folder}/mlflow.db"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("sqlite:///mine.db", "sqlite:///{here}/mine.db"),
        ("sqlite:///sub/mine.db", "sqlite:///{here}/sub/mine.db"),
        ("sqlite:////tmp/mine.db", "sqlite:////tmp/mine.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("http://tracking.example:5000", "http://tracking.example:5000"),
        ("postgresql://localhost/mlflow", "postgresql://localhost/mlflow"),
    ],
)
def test_what_the_environment_says(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, meant: str
) -> None:
    assert tracking_uri(said) == meant.format(here=working_folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", said)
    assert tracking_uri() == meant.format(here=working_folder)


def test_the_old_file_format_is_chosen_as_mlflow_does(working_folder: Path) -> None:
    (working_folder / "mlruns" / "0").mkdir(parents=True)
    (working_folder / "mlruns" / "0" / "meta.yaml").touch()
    import mlflow

    assert tracking_uri() == mlflow.get_tracking_uri()
    with pytest.raises(TrackingError, match="mlflow migrate-filestore"):
        connect()


@pytest.mark.parametrize("name", ["with space", "ha#sh", "ünïcode", "qu'ote", "semi;colon"])
def test_folders_with_odd_names(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A plain MLflow in the same folder sees what zoo recorded."""
    folder = working_folder / name
    folder.mkdir()
    shutil.copyfile(empty_database, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    StudyTracker(connect(), examples.facts())
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "mlruns"}
    assert {path.name for path in working_folder.iterdir()} == {name}

    from mlflow import MlflowClient

    assert MlflowClient().get_experiment_by_name("digits_cnn") is not None


def test_a_question_mark_in_a_name(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / "wh?t").mkdir()
    (working_folder / "wh").mkdir()
    shutil.copyfile(empty_database, working_folder / "wh?t" / "mlflow.db")
    monkeypatch.chdir(working_folder / "wh?t")
    StudyTracker(connect(), examples.facts())
    assert {path.name for path in Path.cwd().iterdir()} == {"mlflow.db", "mlruns"}
    assert list((working_folder / "wh").iterdir()) == []


def test_a_folder_that_mlflow_would_write_beside(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / "per%20cent").mkdir()
    monkeypatch.chdir(working_folder / "per%20cent")
    with pytest.raises(TrackingError, match="without a percent sign"):
        connect()
    assert {path.name for path in working_folder.iterdir()} == {"per%20cent"}


def test_a_new_database_appears_complete(working_folder: Path) -> None:
    connect()
    assert {path.name for path in working_folder.iterdir()} <= {"mlflow.db", "mlruns"}
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_several_processes_begin_at_once(working_folder: Path) -> None:
    script = "from zoo.tracking import connect; connect().open_experiment('shared'); print('in')"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(3)
    ]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["in\n"] * 3
    assert connect().studies() == ["shared"]
    assert {path.name for path in working_folder.iterdir()} <= {"mlflow.db", "mlruns"}


def test_killed_while_the_tables_were_made(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(uri: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_make_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        connect()
    assert not (working_folder / "mlflow.db").exists()


def test_without_hard_links(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(store.os, "link", refuse)
    monkeypatch.setattr(store, "_make_tables", lambda uri: sqlite3.connect(uri[10:]).close())
    (working_folder / "new").mkdir()
    store._create_database(working_folder / "new" / "mlflow.db")
    assert [path.name for path in (working_folder / "new").iterdir()] == ["mlflow.db"]


def one_line(error: pytest.ExceptionInfo[TrackingError]) -> str:
    text = str(error.value)
    assert isinstance(error.value, ZooError)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize("broken", ["a folder", "no database", "below a file", "read-only"])
def test_a_database_that_cannot_be_used(working_folder: Path, broken: str) -> None:
    path = working_folder / "mlflow.db"
    match broken:
        case "a folder":
            path.mkdir()
        case "no database":
            path.write_text("to do: buy milk\n" * 100)
        case "below a file":
            path.touch()
            path = path / "mlflow.db"
        case "read-only":
            path = Path("/proc/mlflow.db")
    began = time.monotonic()
    with pytest.raises(TrackingError) as error:
        connect(f"sqlite:///{path}")
    assert time.monotonic() - began < 5
    text = one_line(error)
    assert str(path) in text
    assert "MLFLOW_TRACKING_URI" in text


def test_a_database_that_somebody_holds(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_LOCK_SECONDS", 0.1)
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError) as error:
            connect()
    assert "database is locked" in one_line(error)


def test_the_database_of_something_else(working_folder: Path) -> None:
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as other:
        other.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        other.execute("INSERT INTO alembic_version VALUES ('v3.2.0.a')")
        other.commit()
    with pytest.raises(TrackingError) as error:
        connect()
    assert f"{working_folder}/mlflow.db" in one_line(error)


@pytest.mark.parametrize("create", [True, False])
def test_the_database_of_another_mlflow(working_folder: Path, empty_database: Path, create: bool) -> None:
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'f4a9b2c7d1e6'")
        database.commit()
    with pytest.raises(TrackingError) as error:
        connect(create=create)
    text = one_line(error)
    assert "was made by another version of MLflow" in text
    assert f"`mlflow db upgrade sqlite:///{working_folder}/mlflow.db`" in text
    assert text.endswith("run `pip install --upgrade mlflow` instead.")


def test_a_reader_makes_nothing(working_folder: Path) -> None:
    with pytest.raises(TrackingError, match="Run a study here first"):
        connect(create=False)
    assert list(working_folder.iterdir()) == []


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, store._DEFAULTS[name])
    monkeypatch.setitem(store._IMPATIENT, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.mark.usefixtures("no_patience")
def test_a_dead_server() -> None:
    address = f"http://user:secret@127.0.0.1:{free_port(wanted=0)}"
    began = time.monotonic()
    with pytest.raises(TrackingError) as error:
        connect(address)
    assert time.monotonic() - began < 10
    text = one_line(error)
    assert "No MLflow server answers at http://user:***@127.0.0.1" in text
    assert "Connection refused" in text
    assert "secret" not in text


@pytest.mark.usefixtures("no_patience")
def test_a_server_that_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(TrackingError) as error:
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 20
    assert "timed out" in one_line(error)


@pytest.mark.parametrize("uri", ["ftp://example.org", "postgresql://127.0.0.1:1/mlflow"])
def test_what_mlflow_cannot_use(uri: str) -> None:
    with pytest.raises(TrackingError, match="MLflow cannot use") as error:
        connect(uri)
    assert uri in one_line(error)


def test_a_deleted_experiment(local_store: Store) -> None:
    experiment_id = local_store.open_experiment("gone")
    local_store.client.delete_experiment(experiment_id)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore --experiment-id {experiment_id}"):
        StudyTracker(local_store, examples.facts("gone"))


def test_an_experiment_that_was_there_already(local_store: Store) -> None:
    experiment_id = local_store.client.create_experiment("mine")
    assert local_store.open_experiment("mine") == experiment_id
    assert local_store.studies() == ["mine"]


def test_a_name_that_mlflow_does_not_take(local_store: Store) -> None:
    with pytest.raises(TrackingError, match="cannot make the experiment"):
        local_store.open_experiment("x" * 1000)


def test_what_the_user_chose_stays(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    connect()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"


_LIFE = """
import sys
from pathlib import Path

import tracking_examples as examples
from zoo.tracking import StudyTracker, connect, leaderboard

heavy = {"mlflow", "pandas", "sqlalchemy", "keras", "tensorflow", "numpy", "optuna"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
tracker = StudyTracker(connect(), examples.facts())
folder = examples.make_folder(Path("007"), Path(sys.argv[1]))
examples.record(tracker, 7, examples.events(), folder)
tracker.finish()
assert len(leaderboard("digits_cnn")) == 1
assert not {"keras", "tensorflow"} & set(sys.modules)
"""


@pytest.mark.parametrize("where", ["sqlite", "server"])
def test_nothing_is_printed_and_keras_stays_out(
    where: str, request: pytest.FixtureRequest, model_file: Path, run_python: Callable[..., str]
) -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    if where == "server":
        environment["MLFLOW_TRACKING_URI"] = request.getfixturevalue("server_address")
    assert run_python(_LIFE, str(model_file), **environment) == ""
