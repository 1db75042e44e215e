"""Cores and memory that processes may use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zoo import machine
from zoo.machine import available_cores, available_memory, private_memory, size_text


@pytest.fixture
def cgroups(monkeypatch, tmp_path):
    """cgroups(name="text", …) writes files of a control group."""
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1)])
def test_quota_of_a_container_limits_the_cores(cgroups, quota, cores):
    cgroups(cpu_DOT_max=f"{quota}\n")
    assert available_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3)])
def test_quota_of_an_old_control_group_limits_the_cores(cgroups, quota, cores):
    cgroups(cpu__cpu_DOT_cfs_quota_us=quota, cpu__cpu_DOT_cfs_period_us="100000")
    assert available_cores() == cores


def test_limit_of_a_container_limits_the_memory(cgroups):
    cgroups(memory_DOT_max="max", memory_DOT_current="1000")
    free = available_memory()
    cgroups(memory_DOT_max="5000", memory_DOT_stat="anon 500\ninactive_file 300\n")
    assert available_memory() == 5000 - 1000 + 300
    assert free is None or free > 5000


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_of_a_process_is_its_own():
    size = 50 * 2**20
    script = f"data = b'x' * {size}; print('ready', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        assert size <= private_memory(process.pid) < 2 * size
    finally:
        process.communicate(b"\n")


def test_memory_of_an_ended_process_is_unknown():
    assert private_memory(2**22 + 1) is None


@pytest.mark.parametrize(
    ("mebibytes", "text"), [(79.4, "79 MiB"), (1536, "1.5 GiB"), (21.4 * 1024, "21 GiB"), (1023, "1023 MiB")]
)
def test_sizes_are_short(mebibytes, text):
    assert size_text(mebibytes * 2**20) == text
