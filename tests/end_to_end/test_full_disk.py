"""A study on a small disk that becomes full while it runs, and has room again later."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from end_to_end_studies import TINY
from end_to_end_tools import final_event

pytestmark = pytest.mark.faults

MB = 1_000_000


@pytest.fixture
def small_disk(new_zoo):
    """A study in a folder that is a file system of 40 MB; skipped where that is not permitted."""
    zoo = new_zoo("small", database=False)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40M", "tmpfs", str(zoo.folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a file system of its own")
    (zoo.folder / "studies").mkdir()
    (zoo.folder / "studies" / "tiny.toml").write_text(TINY)
    yield zoo
    subprocess.run(["umount", "--lazy", str(zoo.folder)], check=True)


def fill(path):
    """Write to a file until the disk is full, to the last byte."""
    with path.open("ab", buffering=0) as file:
        for size in (MB, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"0" * size)


def test_study_waits_for_room(small_disk):
    zoo, filler = small_disk, small_disk.folder / "filler"
    log = zoo.folder / "mlruns/zoo/tiny/trials/000/events.jsonl"
    with zoo.running("tune", "tiny", "--no-promote") as running:
        running.until(lambda: log.exists() and log.stat().st_size, "the first event")
        fill(filler)
        running.until(lambda: "waiting until there is room" in running.stderr(), "the line about the disk")
        filler.unlink()
        done = running.done()
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "sqlalche" not in done.stderr.lower()
    for number in range(2):
        assert final_event(zoo.events("tiny", number)).state == "complete"
    assert zoo("sync", "tiny").stdout == "MLflow has the whole study\n"


def test_command_that_starts_on_a_full_disk_changes_nothing(small_disk):
    filler = small_disk.folder / "filler"
    fill(filler)
    refused = small_disk("tune", "tiny")
    assert refused.returncode == 1
    (error,) = refused.stderr.splitlines()
    assert error.startswith(f"error: the disk is full: {small_disk.folder}")
    filler.unlink()
    assert small_disk("tune", "tiny", "--no-promote").returncode == 0
