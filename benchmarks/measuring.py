"""Shared by the benchmarks: running and timing commands in new folders, and tables of the results."""

from __future__ import annotations

import csv
import os
import platform
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# Environment variables that would change what is measured or where it is recorded.
_REMOVED = ("MLFLOW_", "OPTUNA_", "ZOO_", "PYTHONDONTWRITEBYTECODE")


class BenchmarkError(Exception):
    """A command failed or did something else than what is measured."""


@dataclass(frozen=True)
class Finished:
    """A command that succeeded. `began` and `ended` are seconds since 1970."""

    began: float
    ended: float
    seconds: float


def zoo_command() -> list[str]:
    """Return the `zoo` command of this Python.

    Raises:
        BenchmarkError: zoo is not installed.
    """
    path = Path(sysconfig.get_path("scripts"), "zoo")
    if not path.exists():
        raise BenchmarkError(f"{path} does not exist; install zoo first: pip install -e '.[benchmark]'")
    return [str(path)]


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without variables of MLflow, Optuna and zoo, without telemetry, with bytecode.

    Without bytecode, each process compiles the modules of an editable installation again.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)}
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
    """Run `command` in `folder` and return its time, including the start of the interpreter.

    Args:
        watch: called with the process id every `every` seconds while the command runs.
        timeout: seconds after which the command is killed.

    Raises:
        BenchmarkError: the exit status is not 0, or the time is over.
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
        how = f"did not finish within {timeout:.0f} s" if status is None else f"exited with status {status}"
        raise BenchmarkError(f"{title} {how}; the end of its output:\n{_tail(output)}")
    return Finished(began, ended, seconds)


def _watch(watch: Callable[[int], None] | None, pid: int, over: threading.Event, every: float) -> None:
    assert watch is not None
    while not over.wait(every):
        watch(pid)


def _tail(output: Path, lines: int = 15) -> str:
    text = output.read_text(encoding="utf-8", errors="replace")
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-lines:])


def take_turns(
    contenders: Iterable[str], once: Callable[[str], float], rounds: int, *, has_warm_up: bool = True
) -> dict[str, list[float]]:
    """Run the contenders in turn; return the seconds of each round by contender.

    In turn, so that a slow minute of the machine affects all of them.

    Args:
        once: runs a contender, and returns its seconds.
        has_warm_up: a first round, which fills the disk cache, is not counted.
    """
    seconds: dict[str, list[float]] = {title: [] for title in contenders}
    for number in range(0 if has_warm_up else 1, rounds + 1):
        for title, times in seconds.items():
            took = once(title)
            if number > 0:
                times.append(took)
            print_progress(f"round {number} of {rounds}: {title}, {took:.1f} s")
    return seconds


def write_rates(path: Path, seconds: Mapping[str, Sequence[float]], images: int) -> None:
    """Write every measured run to a CSV file, with the images per second."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["contender", "round", "seconds", "images_per_second"])
        for title, times in seconds.items():
            for number, took in enumerate(times, start=1):
                writer.writerow([title, number, f"{took:.2f}", f"{images / took:.1f}"])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is left-aligned, the others right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(*distributions: str) -> str:
    """Describe the machine: CPUs, their current load, versions."""
    versions = [f"Python {platform.python_version()}"]
    for name in distributions:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} not installed")
    load = f"load {os.getloadavg()[0]:.1f} now" if hasattr(os, "getloadavg") else "load unknown"
    return f"{cpus()} CPUs ({load}), {platform.system()} {platform.machine()}; {', '.join(versions)}"


def print_progress(text: str) -> None:
    """Print to stderr; only the tables go to stdout."""
    print(text, file=sys.stderr, flush=True)


def main(measure: Callable[[], None]) -> None:
    """Run a benchmark; report an error in one line, with exit status 1."""
    try:
        measure()
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
