"""Waiting for a database that is locked or away."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from types import SimpleNamespace

import pytest

from zoo.errors import ZooError
from zoo.tuning import patience as patience_module
from zoo.tuning.patience import DatabaseAway, Patience, make_patient, unavailable
from zoo.tuning.storage import open_storage

optuna = pytest.importorskip("optuna")
exc = pytest.importorskip("sqlalchemy.exc")

URL = "postgresql://ada:secret@db.example/zoo"


class DriverError(Exception):
    """The error of a driver of a database server."""


def away(text="connection to server failed: Connection refused", statement=None, **facts):
    """The error that Optuna raises if its database does not answer."""
    error = exc.OperationalError(statement, None, DriverError(text), **facts)
    raise optuna.exceptions.StorageInternalError("e.g. exceeding max length. ") from error


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping advances; its list has the seconds of each sleep."""
    now, sleeps = [0.0], []

    def sleep(seconds):
        sleeps.append(seconds)
        now[0] += seconds

    fake = SimpleNamespace(
        monotonic=lambda: now[0],
        sleep=sleep,
        time=lambda: 0.0,
        localtime=lambda seconds: seconds,
        strftime=lambda form, seconds: f"second {seconds:g}",
    )
    monkeypatch.setattr(patience_module, "time", fake)
    return sleeps


def answers_at(call, problem=away):
    """A call to a storage that fails until its `call`-th time."""
    calls = []

    def function(value):
        calls.append(value)
        return problem() if len(calls) < call else value

    return function


def test_call_goes_on_when_the_database_is_back(clock):
    lines = []
    patience = Patience(lines.append)
    assert patience.call(answers_at(150), URL, 7) == 7
    assert sum(clock) == 74.5
    reason = "connection to server failed: Connection refused"
    assert lines == [
        f"waiting for the database postgresql://ada:***@db.example/zoo until second 598: {reason}"
    ]


def test_short_lock_is_not_reported(clock):
    lines = []
    assert Patience(lines.append).call(answers_at(4), URL, 7) == 7
    assert lines == []


def test_database_that_stays_away_ends_the_wait_in_one_plain_line(clock):
    patience = Patience(lambda text: None)
    with pytest.raises(DatabaseAway) as caught:
        patience.call(answers_at(9_999), URL, 7)
    assert str(caught.value) == (
        "the database postgresql://ada:***@db.example/zoo has not answered for 10m: connection to server "
        "failed: Connection refused. Nothing is lost: the event logs have every trial. When it answers, run "
        "the same command again."
    )
    assert caught.value.exit_status == 1
    assert sum(clock) == 600
    with pytest.raises(DatabaseAway):
        patience.call(answers_at(2), URL, 7)
    assert sum(clock) == 600  # it does not wait again for each running trial


def test_signal_ends_the_wait(clock):
    patience = Patience(lambda text: None, lambda: 130 if len(clock) == 10 else None)
    with pytest.raises(DatabaseAway) as caught:
        patience.call(answers_at(9_999), URL, 7)
    assert caught.value.exit_status == 130
    assert len(clock) == 10


@pytest.mark.parametrize(
    "error",
    [
        exc.IntegrityError("INSERT", None, DriverError("unique constraint")),
        exc.OperationalError("INSERT", None, DriverError("value too long")),
        exc.OperationalError(None, None, sqlite3.OperationalError("disk I/O error")),
        ValueError("no database"),
    ],
)
def test_other_errors_are_raised_at_once(clock, error):
    def fails(value):
        raise error

    with pytest.raises(type(error)):
        Patience().call(fails, URL, 7)
    assert clock == []


def test_lost_connection_is_waited_for():
    with pytest.raises(optuna.exceptions.StorageInternalError) as caught:
        away("server closed the connection unexpectedly", "SELECT 1", connection_invalidated=True)
    assert unavailable(caught.value) == "server closed the connection unexpectedly"


def test_state_that_was_stored_before_its_answer_was_lost_is_accepted(clock):
    calls = []

    def tell(value):
        calls.append(value)
        if len(calls) == 1:
            away("server closed the connection", "COMMIT", connection_invalidated=True)
        raise optuna.exceptions.UpdateFinishedTrialError

    assert Patience().call(tell, URL, 7) is True
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        Patience().call(tell, URL, 7)


def test_every_method_of_a_storage_waits():
    storage = optuna.storages.RDBStorage("sqlite://")
    make_patient(storage, Patience())
    study = optuna.create_study(storage=storage)
    study.tell(study.ask(), 0.5)
    assert study.best_value == 0.5


@pytest.fixture
def locked(tmp_path):
    """locked() -> another program begins to write into `optuna.db`, until the returned function is called."""
    open_storage(f"sqlite:///{tmp_path}/optuna.db", tmp_path)
    ends = []

    def lock():
        taken, end = threading.Event(), threading.Event()

        def hold():
            with closing(sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)) as database:
                database.execute("BEGIN EXCLUSIVE")
                taken.set()
                end.wait(60)
                database.execute("ROLLBACK")

        threading.Thread(target=hold).start()
        taken.wait(60)
        ends.append(end)
        return end.set

    yield lock
    for end in ends:
        end.set()


@pytest.mark.faults
def test_locked_file_is_waited_for(locked, tmp_path):
    """The database is locked while it is opened, and again during a study."""
    releases, lines = [locked()], []

    def report(line):
        lines.append(line)
        releases.pop()()

    url = f"sqlite:///{tmp_path}/optuna.db"
    storage = open_storage(url, tmp_path, patience=Patience(report))
    study = optuna.create_study(storage=storage, study_name="busy")
    trial = study.ask()
    releases.append(locked())
    study.tell(trial, 0.5)
    assert [line.partition(" until ")[0] for line in lines] == [f"waiting for the database {url}"] * 2
    assert all(line.endswith(": database is locked") for line in lines)
    assert [one.value for one in study.trials] == [0.5]


@pytest.mark.faults
def test_file_that_stays_locked_is_one_plain_line(locked, tmp_path):
    locked()
    patience = Patience(lambda line: None, max_wait_s=1.0)
    with pytest.raises(ZooError, match=r"^the database sqlite:\S+ has not answered for \S+: database"):
        open_storage(f"sqlite:///{tmp_path}/optuna.db", tmp_path, patience=patience)


def test_full_disk_is_waited_for_without_a_limit(clock, tmp_path):
    lines = []

    def full():
        raise optuna.exceptions.StorageInternalError("e.g. exceeding max length. ") from exc.OperationalError(
            "INSERT", None, sqlite3.OperationalError("database or disk is full")
        )

    patience = Patience(lines.append, max_wait_s=1.0)
    url = f"sqlite:///{tmp_path}/optuna.db"
    assert patience.call(answers_at(100, full), url, 5) == 5
    (line,) = lines
    assert line.startswith(f"the disk is full: {tmp_path}/optuna.db cannot be written (")
    with pytest.raises(DatabaseAway, match="its disk is full"):
        Patience(lines.append, signal_status=lambda: 130).call(answers_at(100, full), url, 5)
