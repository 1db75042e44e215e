"""Seconds until a search has a network with 99 % validation accuracy on full MNIST, over several seeds.

    ZOO_DATA_DIR=~/data python benchmarks/time_to_accuracy.py
    ZOO_DATA_DIR=~/data python benchmarks/time_to_accuracy.py --seeds 1 --target 0.985

zoo with its full record, Optuna alone, and KerasTuner's Hyperband search the same space. Every run is a shell
command in a new folder, and ends itself when it has reached the target. The contenders run in turn.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measuring import BenchmarkError, machine, main, print_progress, run, table, zoo_command

from zoo.events import EpochEnd, EventLog

CONTENDERS = Path(__file__).parent / "contenders"
ALL = ("zoo", "Optuna alone", "KerasTuner Hyperband")
DISTRIBUTIONS = ("keras-zoo", "keras", "tensorflow", "optuna", "keras-tuner")


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs of each contender (5)")
    parser.add_argument("--target", type=float, default=0.99, help="validation accuracy (0.99)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every measurement")
    options = parser.parse_args()
    data = Path(os.environ.get("ZOO_DATA_DIR") or "", "mnist.npz")
    if not data.exists():
        raise BenchmarkError("ZOO_DATA_DIR must name a folder with mnist.npz")
    rows: list[tuple[str, int, float, float]] = []
    where = machine(*DISTRIBUTIONS)
    with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as work:
        for seed in range(options.seeds):
            for name in ALL:
                folder = Path(work, f"{name}-{seed}".replace(" ", "-"))
                folder.mkdir()
                seconds, accuracy = once(name, seed, options.target, folder, data.parent.absolute())
                rows.append((name, seed, seconds, accuracy))
                print_progress(f"seed {seed}: {name}: {seconds:.1f} s, {accuracy:.4f}")
    print(f"{where}. Target {options.target:g}.\n")
    print(report(rows, options.target))
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("contender", "seed", "seconds", "val_accuracy"), *rows])


def once(name: str, seed: int, target: float, folder: Path, data: Path) -> tuple[float, float]:
    """Return the seconds of the whole command, and the best validation accuracy that it reached."""
    variables = {
        "ZOO_DATA_DIR": str(data),
        "BENCHMARK_SEED": str(seed),
        "BENCHMARK_TARGET": str(target),
    }
    if name == "zoo":
        settings = [f"search.target={target}", f"search.seed={seed}", f"validation.seed={seed}"]
        command = [*zoo_command(), "tune", str(CONTENDERS / "target_study.toml"), "--no-promote"]
        command += [part for setting in settings for part in ("--set", setting)]
        done = run(name, command, folder, variables=variables, timeout=7200)
        logs = folder.glob("mlruns/zoo/*/trials/*/events.jsonl")
        events = [event for log in logs for event in EventLog(log).read()]
        return done.seconds, max(
            event.metrics["val_accuracy"] for event in events if isinstance(event, EpochEnd)
        )
    script = {"Optuna alone": "target_optuna.py", "KerasTuner Hyperband": "target_tuner.py"}[name]
    done = run(name, [sys.executable, str(CONTENDERS / script)], folder, variables=variables, timeout=7200)
    return done.seconds, _best(folder)


def _best(folder: Path) -> float:
    lines = (folder / "accuracy.jsonl").read_text(encoding="utf-8").splitlines()
    return max(float(json.loads(line)[1]) for line in lines)


def report(rows: Sequence[tuple[str, int, float, float]], target: float) -> str:
    """Return the table; a run that did not reach the target counts with the time of its whole search."""
    lines, bare = [], statistics.median(row[2] for row in rows if row[0] == "Optuna alone")
    for name in ALL:
        own = [row for row in rows if row[0] == name]
        times = [row[2] for row in own]
        median = statistics.median(times)
        reached = sum(row[3] >= target for row in own)
        spread = f"{min(times):.1f} … {max(times):.1f}"
        lines.append([name, f"{median:.1f}", spread, f"{median / bare:.2f}", f"{reached} of {len(own)}"])
    return table(["contender", "median, s", "range, s", "ratio", "reached"], lines)


if __name__ == "__main__":
    main(measure)
