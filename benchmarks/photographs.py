"""Training on folders of JPEGs, augmented: zoo with the full record, and a bare loop with Keras's loading.

    ZOO_DATA_DIR=~/data python benchmarks/photographs.py                 2 trials of 3 epochs, 2,000 images
    python benchmarks/photographs.py --images 200 --epochs 1 --runs 1    a minute

Every run is a shell command in a new folder, without a prepared dataset. The contenders run in turn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import BenchmarkError, machine, main, run, table, take_turns, write_rates, zoo_command

CONTENDERS = Path(__file__).parent / "contenders"
SOURCE = "cats_and_dogs_small"
TRIALS = 2
HOLD_RATIO = 1.2  # images per second of zoo / of the bare loop


def commands(epochs: int) -> dict[str, list[str]]:
    """Return the command of each contender, by title."""
    study = str(CONTENDERS / "photographs_study.toml")
    return {
        "bare Keras loop": [sys.executable, str(CONTENDERS / "bare_photographs.py")],
        "zoo": [*zoo_command(), "tune", "--study", study, "--set", f"training.epochs={epochs}"],
    }


def measure() -> None:
    options = _options()
    contenders = commands(options.epochs)
    where = machine("keras-zoo", "keras", "tensorflow")
    with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as name:
        work = Path(name)
        trained = TRIALS * options.epochs * copy_photographs(work / "photographs", options.images)
        variables = {"ZOO_DATA_DIR": str(work), "BENCHMARK_EPOCHS": str(options.epochs)}

        def once(title: str) -> float:
            with tempfile.TemporaryDirectory(dir=work) as folder:
                command = contenders[title]
                return run(title, command, Path(folder), variables=variables, timeout=7200).seconds

        seconds = take_turns(contenders, once, options.runs)
    print(f"{where}. {TRIALS} trials of {options.epochs} epochs, {trained:,} images trained.\n")
    print(report(seconds, trained))
    if options.csv is not None:
        write_rates(options.csv, seconds, trained)


def copy_photographs(folder: Path, count: int) -> int:
    """Copy up to `count` training and half as many validation images; return how many are trained on."""
    source = Path(os.environ.get("ZOO_DATA_DIR", "."), SOURCE)
    if not (source / "train").is_dir():
        raise BenchmarkError(
            f"{source}/train does not exist; set ZOO_DATA_DIR to the folder that has {SOURCE}"
        )
    copied = {"train": 0, "validation": 0}
    for split, limit in (("train", count), ("validation", count // 2)):
        classes = sorted(path for path in (source / split).iterdir() if path.is_dir())
        for one in classes:
            (folder / split / one.name).mkdir(parents=True)
            for path in sorted(one.glob("*.jpg"))[: limit // len(classes)]:
                shutil.copy(path, folder / split / one.name)
                copied[split] += 1
    return copied["train"]


def report(seconds: dict[str, list[float]], trained: int) -> str:
    """Return the medians as Markdown, and whether the ratio is held."""
    medians = {title: statistics.median(times) for title, times in seconds.items()}
    bare = medians["bare Keras loop"]
    rows = [
        [
            title,
            f"{median:.1f}",
            f"{min(seconds[title]):.1f} … {max(seconds[title]):.1f}",
            f"{trained / median:,.0f}",
            f"{bare / median:.2f}",
        ]
        for title, median in medians.items()
    ]
    header = ["contender", "median, s", "range, s", "images per second", "to the bare loop"]
    ratio = bare / medians["zoo"]
    verdict = "held" if ratio >= HOLD_RATIO else "**not held**"
    return f"{table(header, rows)}\n\n* zoo: {ratio:.2f}, to hold {HOLD_RATIO}: {verdict}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=2000, metavar="N", help="training images (2,000)")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="of each trial (3)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="measured rounds (5)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every measured run")
    return parser.parse_args()


if __name__ == "__main__":
    main(measure)
