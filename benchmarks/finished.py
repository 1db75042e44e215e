"""CPU time of commands that train nothing: a finished study again, and commands that read the record.

python benchmarks/finished.py
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path

import psutil
from measuring import machine, main, print_progress, run, table, zoo_command

TUNE = ["tune", "digits_cnn", "--trials", "6", "--set", "training.epochs=1"]
COMMANDS = {
    "`zoo tune`, all trials done": TUNE,
    "the same with `--quiet`, drawn again": [*TUNE, "--quiet"],
    "`zoo sync`": ["sync", "digits_cnn"],
    "`zoo compare`": ["compare", "digits_cnn"],
    "`zoo doctor`": ["doctor"],
    "`zoo list`": ["list"],
}


class CpuTime:
    """CPU seconds of a process and of all processes that it starts, sampled while it runs."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}  # by process

    def __call__(self, pid: int) -> None:
        try:
            root = psutil.Process(pid)
            processes = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            self._seconds[process.pid] = times.user + times.system

    @property
    def total(self) -> float:
        return sum(self._seconds.values())


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each command (3)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")
    options = parser.parse_args()
    seconds: dict[str, list[tuple[float, float]]] = {title: [] for title in COMMANDS}
    with tempfile.TemporaryDirectory(prefix="zoo-finished-") as name:
        folder = Path(name)
        print_progress("running the study")
        run("zoo tune", [*zoo_command(), *TUNE], folder)
        for turn in range(options.runs + 1):
            for title, arguments in COMMANDS.items():
                print_progress(f"run {turn} of {options.runs}: {title}")
                if "--quiet" in arguments:  # nothing else makes the command draw again
                    (folder / "mlruns" / "zoo" / "digits_cnn" / "finished.json").unlink(missing_ok=True)
                cpu = CpuTime()
                took = run(title, [*zoo_command(), *arguments], folder, watch=cpu, every=0.02).seconds
                if turn > 0:  # the first run fills the disk cache
                    seconds[title].append((cpu.total, took))
    header = ["command", f"CPU time, median of {options.runs}, s", "wall time, s"]
    rows = [
        [title, *(f"{statistics.median(column):.2f}" for column in zip(*times, strict=True))]
        for title, times in seconds.items()
    ]
    print(machine("keras-zoo", "mlflow", "optuna"), end="\n\n")
    print(table(header, rows))
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    main(measure)
