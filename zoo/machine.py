"""The cores and the memory that processes may use, and what a process uses of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the number of cores that this process may use; in a container, the machine may have more."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(_core_quota() or cores)))


def available_memory() -> int | None:
    """Return the bytes that further processes can use before memory runs out; None if they are unknown."""
    free = _table(Path("/proc/meminfo")).get("MemAvailable")
    limits = [None if free is None else 1024 * free, *_cgroup_memory()]
    return min((limit for limit in limits if limit is not None), default=None)


def private_memory(pid: int) -> int | None:
    """Return the bytes that only the process uses, without files it reads; None if they are unknown.

    Memory that a fork shares with its parent does not count.
    """
    table = _table(Path(f"/proc/{pid}/smaps_rollup"))
    return 1024 * (table["Private_Dirty"] + table.get("Swap", 0)) if "Private_Dirty" in table else None


def oom_kills() -> int:
    """Return how many processes of this machine were killed because memory ran out; 0 if unknown."""
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
    """Yield the bytes left of the limit of a control group, of version 2 or 1; files in memory count as free.

    In a container, the container's group is the root.
    """
    names = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folders = CGROUPS, CGROUPS / "memory"
    for folder, (limit, usage) in zip(folders, names, strict=True):
        with suppress(OSError, ValueError):  # `max`: there is no limit
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
