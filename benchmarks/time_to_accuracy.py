"""Seconds until a search has a network with 99 % validation accuracy on full MNIST, over several seeds.

    ZOO_DATA_DIR=~/data python benchmarks/time_to_accuracy.py --seeds 2 --csv time_to_accuracy.csv
    ZOO_DATA_DIR=~/data python benchmarks/time_to_accuracy.py --images 2000 --target 0.9 --seeds 1 --limit 60

zoo with its full record, Optuna alone, and KerasTuner's Hyperband search the same space on the same split.
Every run is a shell command in a new folder. It ends itself after the epoch that reaches the target, or the
first one after the time limit. The contenders run in turn, and each seed starts with another one.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from measuring import BenchmarkError, machine, main, print_progress, run, table, zoo_command

from zoo.events import EpochEnd, EventLog, Started

CONTENDERS = Path(__file__).parent / "contenders"
SCRIPTS = {"Optuna alone": "target_optuna.py", "KerasTuner Hyperband": "target_tuner.py"}
ALL = ("zoo", *SCRIPTS)
DISTRIBUTIONS = ("keras-zoo", "keras", "tensorflow", "optuna", "keras-tuner")
FRACTION = 0.1  # of the images, for validation
AFTERWARDS_S = 600  # after the time limit: the epoch that runs, and the end of the command


@dataclass(frozen=True)
class Epoch:
    """A finished epoch: its time in seconds since 1970, accuracy, and the network's filters and weights."""

    time: float
    val_accuracy: float
    filters: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Row:
    """One run. `seconds` is the time to the target from the start of the command, None if it was not reached.

    `command_s` is the time of the whole command, `best` the best validation accuracy within the limit.
    """

    contender: str
    seed: int
    seconds: float | None
    command_s: float
    epochs: int
    best: float


def measure() -> None:
    options = _options()
    source = Path(os.environ.get("ZOO_DATA_DIR") or "", "mnist.npz")
    if not source.exists():
        raise BenchmarkError("ZOO_DATA_DIR must name a folder with mnist.npz")
    rows, where = [], machine(*DISTRIBUTIONS)
    with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as name:
        work = Path(name)
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            data = _write_data(source, work / f"data-{seed}", options.images, seed)
            for contender in [*ALL[seed % len(ALL) :], *ALL[: seed % len(ALL)]]:
                rows.append(once(contender, seed, options.target, options.limit, work, data))
                print_progress(_line(rows[-1]))
    print(f"{where}. Target {options.target:g}, limit {options.limit:g} s, {options.images:,} images.\n")
    print(report(rows, options.limit))
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, Row.__dataclass_fields__)
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="runs of each contender (5)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="to continue a run (0)")
    parser.add_argument("--target", type=float, default=0.99, help="validation accuracy (0.99)")
    parser.add_argument("--limit", type=float, default=600, metavar="S", help="seconds of one search (600)")
    parser.add_argument("--images", type=int, default=60_000, metavar="N", help="the first N (60000)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every measurement")
    return parser.parse_args()


def _write_data(source: Path, folder: Path, count: int, seed: int) -> Path:
    """Write the first images of MNIST, and the fold that zoo gives each for this seed: 1 for validation."""
    import numpy as np

    from zoo.data import Dataset
    from zoo.data.validation import cut_folds

    folder.mkdir()
    with np.load(source) as arrays:
        parts = {name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    parts |= {name: parts[name][:count] for name in ("x_train", "y_train")}
    np.savez(folder / "mnist.npz", **parts)
    dataset = Dataset.from_arrays(parts["x_train"], parts["y_train"])
    np.save(folder / "fold.npy", cut_folds(folder, dataset, {"fraction": FRACTION, "seed": seed}))
    return folder


def once(contender: str, seed: int, target: float, limit: float, work: Path, data: Path) -> Row:
    """Run one search in a new folder."""
    folder = work / f"{contender}-{seed}".replace(" ", "-")
    folder.mkdir()
    variables = {"ZOO_DATA_DIR": str(data), "BENCHMARK_SEED": str(seed)}
    variables |= {"BENCHMARK_TARGET": str(target), "BENCHMARK_END": str(time.time() + limit)}
    command = [sys.executable, str(CONTENDERS / SCRIPTS.get(contender, ""))]
    if contender == "zoo":
        settings = [f"search.target={target}", f"search.seed={seed}", f"validation.seed={seed}"]
        settings += [f"validation.fraction={FRACTION}", f"search.timeout={limit}"]
        command = [*zoo_command(), "tune", str(CONTENDERS / "target_study.toml"), "--no-promote"]
        command += [part for setting in settings for part in ("--set", setting)]
    done = run(contender, command, folder, variables=variables, timeout=limit + AFTERWARDS_S)
    epochs = list(_epochs_of_zoo(folder) if contender == "zoo" else _epochs_of_script(folder))
    check_networks(contender, epochs)
    in_time = [epoch for epoch in epochs if epoch.time <= done.began + limit]
    times = [epoch.time - done.began for epoch in in_time if epoch.val_accuracy >= target]
    best = max((epoch.val_accuracy for epoch in in_time), default=math.nan)
    return Row(contender, seed, min(times, default=None), done.seconds, len(in_time), best)


def _epochs_of_script(folder: Path) -> Iterator[Epoch]:
    for line in (folder / "epochs.jsonl").read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        yield Epoch(**{**values, "filters": tuple(values["filters"])})


def _epochs_of_zoo(folder: Path) -> Iterator[Epoch]:
    for path in folder.glob("mlruns/zoo/*/trials/*/events.jsonl"):
        config = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
        filters, events = tuple(config["architecture"]["parameters"]["filters"]), EventLog(path).read()
        parameters = next((one.num_parameters or 0 for one in events if isinstance(one, Started)), 0)
        for event in events:
            if isinstance(event, EpochEnd):
                yield Epoch(event.time, event.metrics["val_accuracy"], filters, parameters)


def check_networks(contender: str, epochs: Sequence[Epoch]) -> None:
    """Raise BenchmarkError unless every network has the weights that its filters have in all contenders."""
    for epoch in epochs:
        if epoch.parameters != (expected := _weights(epoch.filters)):
            raise BenchmarkError(
                f"{contender}: filters {epoch.filters} have {epoch.parameters} weights; expected {expected}"
            )


def _weights(filters: tuple[int, ...]) -> int:
    """Return the weights: 3×3 convolutions without bias, 4 of batch normalization per filter, 10 classes."""
    blocks = sum(
        9 * before * after + 4 * after for before, after in zip((1, *filters), filters, strict=False)
    )
    return blocks + ((28 // 2 ** len(filters)) ** 2 * filters[-1] + 1) * 10


def report(rows: Sequence[Row], limit: float) -> str:
    """Return the table; a run that did not reach the target counts as longer than the limit."""
    lines, alone = [], _median(rows, "Optuna alone")
    for name in ALL:
        own = [row for row in rows if row.contender == name]
        times = [_time(row) for row in own]
        median = _median(rows, name)
        ratio = "–" if math.isinf(median + alone) else f"{median / alone:.2f}"
        spread = f"{_seconds(min(times), limit)} … {_seconds(max(times), limit)}"
        command = f"{statistics.median(row.command_s for row in own):.1f}"
        reached = f"{sum(row.seconds is not None for row in own)} of {len(own)}"
        best = f"{min(row.best for row in own):.4f}"
        lines.append([name, _seconds(median, limit), spread, ratio, command, reached, best])
    header = ["contender", "median to the target, s", "range, s", "ratio", "whole command, s"]
    return table([*header, "reached", "lowest best accuracy"], lines)


def _time(row: Row) -> float:
    return math.inf if row.seconds is None else row.seconds


def _median(rows: Sequence[Row], contender: str) -> float:
    return statistics.median(_time(row) for row in rows if row.contender == contender)


def _seconds(value: float, limit: float) -> str:
    return f"> {limit:g}" if math.isinf(value) else f"{value:.1f}"


def _line(row: Row) -> str:
    reached = "target not reached" if row.seconds is None else f"target after {row.seconds:.1f} s"
    return f"seed {row.seed}: {row.contender}: {reached}, {row.epochs} epochs, {row.command_s:.1f} s in all"


if __name__ == "__main__":
    main(measure)
