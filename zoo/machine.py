"""The cores and the memory that processes may use, and the memory that a process uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the number of cores that this process may use; the machine of a container may have more."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(_core_quota() or cores)))


def available_memory() -> int | None:
    """Return the bytes that more processes can use before memory runs out; None if unknown."""
    free = _table(Path("/proc/meminfo")).get("MemAvailable")
    limits = [None if free is None else 1024 * free, *_cgroup_memory()]
    return min((limit for limit in limits if limit is not None), default=None)


def private_memory(pid: int) -> int | None:
    """Return the bytes that only the process uses, without the files that it reads; None if unknown.

    Memory that a forked process shares with its parent is not included.
    """
    table = _table(Path(f"/proc/{pid}/smaps_rollup"))
    return 1024 * (table["Private_Dirty"] + table.get("Swap", 0)) if "Private_Dirty" in table else None


def oom_kills() -> int:
    """Return the number of processes of this machine that were killed for lack of memory; 0 if unknown."""
    return _table(Path("/proc/vmstat")).get("oom_kill", 0)


def size_text(size: float) -> str:
    """Return a number of bytes as text: `410 MiB`, `21 GiB`, `1.5 GiB`."""
    mebibytes = size / 2**20
    if mebibytes < 1024:
        return f"{mebibytes:.0f} MiB"
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes < 10 * 1024 else f"{mebibytes / 1024:.0f} GiB"


def _core_quota() -> float | None:
    """Return the number of cores that the control group of this process allows; None without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (CGROUPS / "cpu.max").read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = (
            (CGROUPS / f"cpu/cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period")
        )
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def _cgroup_memory() -> Iterator[int]:
    """Yield the free bytes within the limit of a control group, version 2 or 1; cached files count as free.

    In a container, the group of the container is the root.
    """
    names = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folders = CGROUPS, CGROUPS / "memory"
    for folder, (limit, usage) in zip(folders, names, strict=True):
        with suppress(OSError, ValueError):  # the text `max` means no limit
            left = int((folder / limit).read_text()) - int((folder / usage).read_text())
            yield left + _table(folder / "memory.stat").get("inactive_file", 0)


def _table(path: Path) -> dict[str, int]:
    """Return the names and numbers of a file such as `/proc/meminfo`; {} if it cannot be read."""
    table = {}
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, *values = line.replace(":", " ").split()
            if values and values[0].isdecimal():
                table[name] = int(values[0])
    return table
