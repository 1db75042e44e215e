"""The store: which one is used, how it is created, errors when it cannot be used."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import tracking_examples as examples
from warm_command import WarmClient

from zoo.errors import ZooError
from zoo.tracking import (
    Store,
    StudyTracker,
    TrackingError,
    _connection,
    _store,
    connect,
    free_port,
    server_answers,
    tracking_uri,
)


def test_default_is_database_in_working_folder(working_folder: Path) -> None:
    assert tracking_uri() == f"sqlite:///{working_folder}/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:///mine.db", "sqlite:///{here}/mine.db"),
        ("sqlite:///sub/mine.db", "sqlite:///{here}/sub/mine.db"),
        ("sqlite:////tmp/mine.db", "sqlite:////tmp/mine.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("http://tracking.example:5000", "http://tracking.example:5000"),
        ("postgresql://localhost/mlflow", "postgresql://localhost/mlflow"),
    ],
)
def test_relative_path_becomes_absolute(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str, expected: str
) -> None:
    assert tracking_uri(uri) == expected.format(here=working_folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert tracking_uri() == expected.format(here=working_folder)


def test_old_file_format_is_selected_as_by_mlflow(working_folder: Path) -> None:
    (working_folder / "mlruns" / "0").mkdir(parents=True)
    (working_folder / "mlruns" / "0" / "meta.yaml").touch()
    import mlflow

    assert tracking_uri() == mlflow.get_tracking_uri()
    with pytest.raises(TrackingError, match="mlflow migrate-filestore"):
        connect()


@pytest.mark.parametrize("name", ["with space", "ha#sh", "ünïcode", "qu'ote", "semi;colon"])
def test_folder_with_unusual_name_is_used(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """MLflow without zoo, in the same folder, finds what zoo recorded."""
    folder = working_folder / name
    folder.mkdir()
    shutil.copyfile(empty_database, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    StudyTracker(connect(), examples.facts())
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "mlruns"}
    assert {path.name for path in working_folder.iterdir()} == {name}

    from mlflow import MlflowClient

    assert MlflowClient().get_experiment_by_name("digits_cnn") is not None


@pytest.mark.parametrize("name", ["per%20cent", "wh?t"])
def test_folder_that_mlflow_misreads_is_refused(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (working_folder / name).mkdir()
    monkeypatch.chdir(working_folder / name)
    with pytest.raises(TrackingError, match="misreads '%' and"):
        connect()
    assert {path.name for path in working_folder.iterdir()} == {name}


def test_new_database_is_complete(working_folder: Path) -> None:
    connect()
    assert {path.name for path in working_folder.iterdir()} <= {"mlflow.db", "mlruns"}
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_several_processes_create_one_database(working_folder: Path, warm_command: WarmClient) -> None:
    script = "from zoo.tracking import connect; connect().open_experiment('shared'); print('in')"

    def run(number: int) -> tuple[str, str]:
        done = warm_command.run([sys.executable, "-c", script], cwd=working_folder, env=os.environ)
        return done.stdout, done.stderr

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(run, range(3))) == [("in\n", "")] * 3
    assert connect().studies() == ["shared"]
    assert {path.name for path in working_folder.iterdir()} <= {"mlflow.db", "mlruns"}


def test_killed_process_leaves_no_database(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(uri: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_connection, "_open", killed)
    with pytest.raises(KeyboardInterrupt):
        connect()
    assert not (working_folder / "mlflow.db").exists()


def test_database_is_created_without_hard_links(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(_connection.os, "link", refuse)
    monkeypatch.setattr(_connection, "_open", lambda uri: sqlite3.connect(uri[10:]).close())
    (working_folder / "new").mkdir()
    _connection._create_database(working_folder / "new" / "mlflow.db")
    assert [path.name for path in (working_folder / "new").iterdir()] == ["mlflow.db"]


def one_line(error: pytest.ExceptionInfo[TrackingError]) -> str:
    text = str(error.value)
    assert isinstance(error.value, ZooError)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize("broken", ["a folder", "no database", "below a file", "read-only"])
def test_unusable_database_is_not_opened_by_mlflow(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """MLflow would try again for minutes."""
    monkeypatch.setattr(_connection, "_open", lambda uri: pytest.fail(f"MLflow opens {uri}"))
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
    with pytest.raises(TrackingError) as error:
        connect(f"sqlite:///{path}")
    text = one_line(error)
    assert str(path) in text
    assert "MLFLOW_TRACKING_URI" in text


def test_locked_database_is_reported(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "_LOCK_TIMEOUT_S", 0.1)
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError) as error:
            connect()
    assert "database is locked" in one_line(error)


def test_database_of_another_program_is_refused(working_folder: Path) -> None:
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as other:
        other.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        other.execute("INSERT INTO alembic_version VALUES ('v3.2.0.a')")
        other.commit()
    with pytest.raises(TrackingError) as error:
        connect()
    assert f"{working_folder}/mlflow.db" in one_line(error)


@pytest.mark.parametrize("create", [True, False])
def test_database_of_another_mlflow_version_is_refused(
    working_folder: Path, empty_database: Path, create: bool
) -> None:
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    with closing(sqlite3.connect(working_folder / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'f4a9b2c7d1e6'")
        database.commit()
    with pytest.raises(TrackingError) as error:
        connect(create=create)
    text = one_line(error)
    assert "was made by another version of MLflow" in text
    assert f"`mlflow db upgrade sqlite:///{working_folder}/mlflow.db`" in text
    assert text.endswith("run `pip install --upgrade mlflow`.")


def test_reader_creates_no_database(working_folder: Path) -> None:
    with pytest.raises(TrackingError, match="Run a study in this folder first"):
        connect(create=False)
    assert list(working_folder.iterdir()) == []


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[list[str | None]]:
    """The retries and seconds of each request to a server, as MLflow reads them; the user has set none."""
    names = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT")
    for name in names:
        monkeypatch.setenv(name, _store.DEFAULTS[name])
    monkeypatch.setitem(_store._SHORT_TIMEOUTS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    limits: list[list[str | None]] = []
    create = _connection._open

    def spy(uri: str) -> object:
        limits.append([os.environ.get(name) for name in names])
        return create(uri)

    monkeypatch.setattr(_connection, "_open", spy)
    return limits


def test_dead_server_is_reported_without_password(limits: list[list[str | None]]) -> None:
    address = f"http://user:secret@127.0.0.1:{free_port(wanted=0)}"
    with pytest.raises(TrackingError) as error:
        connect(address)
    assert limits == [["1", "1"]]
    text = one_line(error)
    assert "no MLflow server answers at http://user:***@127.0.0.1" in text
    assert "Connection refused" in text
    assert "secret" not in text


def test_silent_server_is_reported(limits: list[list[str | None]]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackingError) as error:
            connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert limits == [["1", "1"]]
    assert "timed out" in one_line(error)


def test_reason_is_the_cause_of_a_database_error() -> None:
    hint = "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)"
    error = RuntimeError(f"{hint}\n(sqlite3.OperationalError) database is locked\n[SQL: INSERT]")
    assert _store.reason(error) == "database is locked"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            Exception("(sqlite3.Error) database or disk is full"),
            "the disk is full",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/a.toml"), "the disk is full: /tmp/a.toml"),
    ],
)
def test_reason_of_a_full_disk_is_plain(error: Exception, text: str) -> None:
    assert _store.reason(error) == text


@pytest.mark.parametrize("uri", ["ftp://example.org", "postgresql://127.0.0.1:1/mlflow"])
def test_address_that_mlflow_cannot_use_is_reported(uri: str) -> None:
    with pytest.raises(TrackingError, match="MLflow cannot use") as error:
        connect(uri)
    assert uri in one_line(error)


def test_deleted_experiment_is_refused(local_store: Store) -> None:
    experiment_id = local_store.open_experiment("removed")
    local_store.client.delete_experiment(experiment_id)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore --experiment-id {experiment_id}"):
        StudyTracker(local_store, examples.facts("removed"))


def test_existing_experiment_is_used(local_store: Store) -> None:
    experiment_id = local_store.client.create_experiment("mine")
    assert local_store.open_experiment("mine") == experiment_id
    assert local_store.studies() == ["mine"]


def test_name_that_mlflow_refuses_is_reported(local_store: Store) -> None:
    with pytest.raises(TrackingError, match="cannot create the experiment"):
        local_store.open_experiment("x" * 1000)


def test_users_setting_is_kept(
    working_folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(empty_database, working_folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    connect()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"


_SCRIPT = """
import sys
from pathlib import Path

import tracking_examples as examples
from zoo.tracking import StudyTracker, connect, leaderboard

heavy = {"mlflow", "pandas", "sqlalchemy", "keras", "tensorflow", "numpy", "optuna"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
tracker = StudyTracker(connect(), examples.facts("printed"))
folder = examples.make_folder(Path("007"), Path(sys.argv[1]))
examples.record(tracker, 7, examples.events(), folder)
tracker.finish()
assert len(leaderboard("printed")) == 1
assert not {"keras", "tensorflow"} & set(sys.modules)
"""


@pytest.mark.parametrize("where", ["sqlite", "server"])
def test_nothing_is_printed_and_keras_not_imported(
    where: str, request: pytest.FixtureRequest, model_file: Path, run_python: Callable[..., str]
) -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parent)}
    if where == "server":
        environment["MLFLOW_TRACKING_URI"] = request.getfixturevalue("server_address")
    assert run_python(_SCRIPT, str(model_file), **environment) == ""


class TestServerAnswers:
    """The end of a study asks only if the server answers anything."""

    @pytest.fixture
    def listener(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{port}/base/")
            yield listener

    def test_server_that_accepts_and_says_nothing_does_not_answer(self, listener):
        assert not server_answers(timeout=0.2)

    def test_refused_connection_is_no_answer(self, listener):
        listener.close()
        assert not server_answers(timeout=0.2)

    def test_error_status_is_an_answer(self, listener):
        def answer():
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(4096).decode())
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

        requests = []
        thread = threading.Thread(target=answer)
        thread.start()
        assert server_answers(timeout=60)
        thread.join()
        assert requests[0].startswith("GET /base/health ")
        assert "secret" not in requests[0]

    def test_database_needs_no_answer(self, monkeypatch):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert server_answers()
