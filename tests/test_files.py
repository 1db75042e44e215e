"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import socket

import pytest

from zoo.errors import ZooError
from zoo.files import (
    atomic_path,
    check_writable,
    link_or_copy,
    remove_leftovers,
    temporary_path,
    write_atomically,
)


def test_content_replaces_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_atomically(path, "one")
    write_atomically(path, "zwö")
    assert path.read_text(encoding="utf-8") == "zwö"
    write_atomically(path, b"\0\1")
    assert path.read_bytes() == b"\0\1"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_link_is_the_same_file(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("x")
    link_or_copy(source, target)
    assert source.samefile(target)


def test_link_falls_back_to_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("x")
    link_or_copy(source, target)
    assert target.read_text() == "x"
    assert not source.samefile(target)


def test_leftovers_of_ended_processes_are_removed(tmp_path):
    ended = tmp_path / f".{socket.gethostname()}-99999999-0123abcd.tmp"
    ended.write_text("half")
    folder = tmp_path / f".{socket.gethostname()}-99999998-0123abcd.tmp"
    (folder / "deep").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_others_are_kept(tmp_path):
    kept = [
        temporary_path(tmp_path),
        tmp_path / ".another.machine-99999999-0123abcd.tmp",
        # of a machine whose name begins with this one's
        tmp_path / f".{socket.gethostname()}-99999999-7-0123abcd.tmp",
        tmp_path / f".{socket.gethostname()}-1-0123abcd.tmp",
        tmp_path / "data.tmp",
    ]
    for path in kept:
        path.mkdir()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_writable_path_stays_as_it_is(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    check_writable(tmp_path / "old.csv", "--output")
    check_writable(tmp_path / "new.csv", "--output")
    check_writable(tmp_path / "a" / "b" / "new.csv", "--output", creates_folders=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old.csv"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [(".", "Is a directory"), ("no/a.csv", "No such file or directory"), ("file/a.csv", "Not a directory")],
)
def test_unwritable_path_is_an_error(tmp_path, path, reason):
    (tmp_path / "file").touch()
    with pytest.raises(
        ZooError, match=rf"^--output .*: cannot be written \({reason}\)\. Choose another path\.$"
    ):
        check_writable(tmp_path / path, "--output")
