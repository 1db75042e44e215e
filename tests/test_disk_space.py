"""A full disk. The errors are injected in this process; `tests/end_to_end/test_full_disk.py` fills a disk."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from zoo import disk_space
from zoo.disk_space import DiskFull, is_full, keep_trying
from zoo.events import EventLog, Finished, Started


def full(path="x"):
    return OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.fixture
def sleeps(monkeypatch):
    """The seconds of each pause; none is waited for."""
    pauses = []
    monkeypatch.setattr(disk_space.time, "sleep", pauses.append)
    return pauses


def failing(times, result="done"):
    """A function that finds the disk full at its first calls."""
    calls = []

    def write():
        calls.append(1)
        if len(calls) <= times:
            raise full()
        return result

    return write


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_a_quota_and_a_limit_are_a_full_disk(number):
    assert is_full(OSError(number, "no"))


def test_cause_of_another_error_is_found():
    error = RuntimeError("StorageInternalError: e.g. exceeding max length")
    error.__cause__ = sqlite3.OperationalError("database or disk is full")
    assert is_full(error)
    assert not is_full(OSError(errno.EACCES, "Permission denied"))


def test_write_is_repeated_until_there_is_room(sleeps, tmp_path):
    lines, signs = [], []
    path = tmp_path / "events.jsonl"
    found = keep_trying(failing(3), path, lines.append, needed=40_000_000, alive=lambda: signs.append(1))
    assert (found, len(sleeps), len(signs)) == ("done", 3, 3)
    (line,) = lines
    assert line.startswith(f"the disk is full: {path} cannot be written (")
    assert line.endswith(", 40.0 MB are needed); waiting until there is room. Ctrl-C stops")


def test_signal_ends_the_waiting(sleeps, tmp_path):
    with pytest.raises(DiskFull, match=r"Make room, and run the same command again\.$"):
        keep_trying(failing(99), tmp_path, print, must_stop=lambda: len(sleeps) == 2)


def test_other_error_is_raised_at_once(sleeps, tmp_path):
    def write():
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        keep_trying(write, tmp_path, print)
    assert sleeps == []


class TestEventLog:
    def test_each_event_is_flushed_to_the_disk(self, tmp_path, monkeypatch):
        flushed = []
        monkeypatch.setattr("zoo.events.os.fsync", lambda handle: flushed.append(path.stat().st_size))
        path = tmp_path / "events.jsonl"
        EventLog(path).append(Started(1.0))
        assert flushed == [path.stat().st_size]

    def test_failed_append_leaves_no_torn_line(self, tmp_path, monkeypatch):
        log = EventLog(tmp_path / "events.jsonl")
        log.append(Started(1.0))
        before = log.path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("zoo.events.os.fsync", lambda handle: (_ for _ in ()).throw(full()))
            with pytest.raises(OSError, match="No space left"):
                log.append(Finished(2.0, "complete"))
        assert log.path.read_bytes() == before
        log.append(Finished(2.0, "complete"))
        assert ([event.name for event in log.read()], log.damaged_lines()) == (["started", "finished"], [])
