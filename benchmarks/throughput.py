"""Images trained per second, by trials at once and threads of each: the full record of zoo, and a bare loop.

    ZOO_DATA_DIR=~/data python benchmarks/throughput.py                  full MNIST, 8 trials of 3 epochs
    python benchmarks/throughput.py --images 5000 --epochs 2 --runs 1    two minutes
    python benchmarks/throughput.py --short                              the two contenders that are compared

Every run is a shell command in a new folder. The contenders run in turn. The time is that of the whole
command: it includes the start of Python and the import of Keras.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from contenders.fixed_trials import FILTERS
from measuring import BenchmarkError, cpus, machine, main, run, table, take_turns, write_rates, zoo_command

CONTENDERS = Path(__file__).parent / "contenders"
RATES = (1e-3, 2e-3)  # learning rates: with the filters, 8 trials
HOLD_RATIO = 1.1  # images per second of `--jobs auto` / of the bare loop
VALIDATION = 0.1
SHORT = ("bare Keras loop", "auto")  # what has to be held


def contenders() -> dict[str, tuple[str, int]]:
    """Return `--jobs`, and the threads of each trial (0: as zoo divides them), by title."""
    cores = cpus()
    return {
        "bare Keras loop": ("", 0),
        f"1 x {cores}": ("1", 0),
        f"{cores} x 1": (str(cores), 1),
        f"{cores} x {cores}": (str(cores), cores),
        "auto": ("auto", 0),
    }


def measure() -> None:
    options = _options()
    chosen = {title: how for title, how in contenders().items() if not options.short or title in SHORT}
    where = machine("keras-zoo", "keras", "tensorflow")
    with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as work:
        num_train = write_data(Path(work), options.images)
        trained = len(FILTERS) * len(RATES) * options.epochs * num_train
        seconds = take_turns(
            chosen,
            lambda title: once(Path(work), *chosen[title], options.epochs, num_train),
            options.runs,
            has_warm_up=False,
        )
    print(f"{where}. {len(FILTERS) * len(RATES)} trials of {options.epochs} epochs, {num_train:,} images.\n")
    print(report(seconds, trained))
    if options.csv is not None:
        write_rates(options.csv, seconds, trained)


def once(work: Path, jobs: str, threads: int, epochs: int, num_train: int) -> float:
    """Run one contender in a new folder; return its seconds."""
    variables = {"ZOO_DATA_DIR": str(work)}
    if threads:
        variables |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    with tempfile.TemporaryDirectory(dir=work) as folder:
        if not jobs:
            settings = {"BENCHMARK_EPOCHS": str(epochs), "BENCHMARK_IMAGES": str(num_train)}
            variables |= {**settings, "BENCHMARK_RATES": ",".join(map(str, RATES))}
            command = [sys.executable, str(CONTENDERS / "bare_keras.py")]
        else:
            command = [*zoo_command(), "tune", str(CONTENDERS / "zoo_study.toml"), "--jobs", jobs]
            rates = f"training.learning_rate={{choices={list(RATES)}}}"
            command += ["--trials", "8", "--set", f"training.epochs={epochs}", "--set", rates]
        return run("a contender", command, Path(folder), variables=variables, timeout=7200).seconds


def write_data(folder: Path, count: int) -> int:
    """Write the first `count` images of MNIST; return how many are trained on."""
    import numpy as np

    given = Path(os.environ.get("ZOO_DATA_DIR", "."), "mnist.npz")
    if not given.exists():
        raise BenchmarkError(f"{given} does not exist; set ZOO_DATA_DIR to a folder with Keras's mnist.npz")
    with np.load(given) as arrays:
        images = {name: arrays[name][:count] for name in ("x_train", "y_train")}
        images |= {name: arrays[name][:1000] for name in ("x_test", "y_test")}
    np.savez(folder / "mnist.npz", **images)
    return len(images["x_train"]) - round(VALIDATION * len(images["x_train"]))


def report(seconds: dict[str, list[float]], trained: int) -> str:
    """Return the medians as Markdown, and whether the ratio is held."""
    medians = {title: statistics.median(values) for title, values in seconds.items()}
    bare = medians["bare Keras loop"]
    rows = [
        [
            title,
            f"{trained / median:,.0f}",
            f"{trained / max(seconds[title]):,.0f} … {trained / min(seconds[title]):,.0f}",
            f"{bare / median:.2f}",
        ]
        for title, median in medians.items()
    ]
    header = ["trials at once x threads", "images per second", "range", "to the bare loop"]
    ratio = bare / medians["auto"]
    verdict = "held" if ratio >= HOLD_RATIO else "**not held**"
    return f"{table(header, rows)}\n\n* `--jobs auto`: {ratio:.2f}, to hold {HOLD_RATIO}: {verdict}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000, metavar="N", help="training images (60,000)")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="of each trial (3)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds (5)")
    parser.add_argument("--short", action="store_true", help="the bare loop and --jobs auto alone")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every measurement")
    return parser.parse_args()


if __name__ == "__main__":
    main(measure)
