"""What the benchmarks share: commands in folders of their own, and tables."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# Of the caller's environment these would change what is measured, or where it is recorded.
_LEFT_OUT = ("MLFLOW_", "OPTUNA_", "ZOO_")


class BenchmarkError(Exception):
    """A command did not do what was to be measured."""


@dataclass(frozen=True)
class Finished:
    """A command that ended well. Times are seconds; `began` and `ended` are unix times."""

    began: float
    ended: float
    seconds: float


def zoo_command() -> list[str]:
    """The `zoo` of this Python, as it is typed.

    Raises:
        BenchmarkError: it is not installed.
    """
    path = Path(sysconfig.get_path("scripts"), "zoo")
    if not path.exists():
        raise BenchmarkError(f"There is no {path}; install zoo first: pip install -e '.[benchmark]'")
    return [str(path)]


def environment(**extra: str) -> dict[str, str]:
    """The caller's environment without settings of MLflow, Optuna and zoo; nobody phones home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "TF_CPP_MIN_LOG_LEVEL": "3", **extra}


def run(
    title: str,
    command: Sequence[str],
    folder: Path,
    *,
    variables: dict[str, str] | None = None,
    watch: Callable[[int], None] | None = None,
    every: float = 0.1,
    timeout: float = 900,
) -> Finished:
    """Run `command` in `folder` and time it, the start of its interpreter included.

    Args:
        watch: called with its process id every so many seconds (`every`) while it runs.
        timeout: seconds after which it is killed.

    Raises:
        BenchmarkError: it ended with another status than 0, or not in time.
    """
    output = folder / "output.txt"
    with output.open("wb") as file:
        began, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(**(variables or {})),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(watch, process.pid, over, every), daemon=True)
        if watch is not None:
            watcher.start()
        try:
            status: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            seconds, ended = time.perf_counter() - clock, time.time()
            over.set()
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if watch is not None:
                watcher.join()
    if status != 0:
        how = f"did not end within {timeout:.0f} s" if status is None else f"ended with status {status}"
        raise BenchmarkError(f"{title} {how}; the end of what it printed:\n{_tail(output)}")
    return Finished(began, ended, seconds)


def _watch(watch: Callable[[int], None] | None, pid: int, over: threading.Event, every: float) -> None:
    assert watch is not None
    while not over.wait(every):
        watch(pid)


def _tail(output: Path, lines: int = 15) -> str:
    text = output.read_text(encoding="utf-8", errors="replace")
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-lines:])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table; the first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cpus() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(*distributions: str) -> str:
    """Where it was measured: CPUs, their load at the moment, versions."""
    versions = [f"Python {platform.python_version()}"]
    for name in distributions:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    load = f"load {os.getloadavg()[0]:.1f} now" if hasattr(os, "getloadavg") else "load unknown"
    return f"{cpus()} CPUs ({load}), {platform.system()} {platform.machine()}; {', '.join(versions)}"


def tell(text: str) -> None:
    """Progress, for whoever waits; the tables alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def main(measure: Callable[[], None]) -> None:
    """Run a benchmark; what goes wrong is told in plain words, with exit status 1."""
    try:
        measure()
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
