"""From a folder of JPEGs to the first epoch, and opening a dataset that was prepared before.

    ZOO_DATA_DIR=~/data python benchmarks/preparing.py

In turn: a script with `keras.utils.image_dataset_from_directory(…).cache()`, `zoo tune` in a new folder, and
`zoo tune` again with the data prepared. All train the same network on the photographs of cats and dogs at
150×150 pixels: as they are, and enlarged to 1,600 pixels and to 4,000 pixels, the size that cameras make.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measuring import BenchmarkError, machine, main, print_progress, run, table, zoo_command

STUDY = """
[dataset]
name = "image_folder"
path = "{path}"
image_size = 150

[architecture]
name = "conv_net"
filters = [8]
convolutions_per_block = 1
kernel_size = 3
padding = "same"
activation = "relu"
pool_size = 2
batch_norm = false
dense_units = []
dropout = 0.0

[training]
epochs = 1
batch_size = 32
optimizer = "adam"

[search]
trials = 1
"""
CONTENDERS = ("bare script", "zoo, first run", "zoo, prepared before")
HOLD, HOLD_LOAD_MS = 1.5, 50.0


def measure() -> None:
    options = _options()
    data = Path(os.environ.get("ZOO_DATA_DIR", "."), "cats_and_dogs_small").resolve()
    if not data.is_dir():
        raise BenchmarkError(f"{data} does not exist; set ZOO_DATA_DIR to the folder that contains it")
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="zoo-preparing-") as name:
        folder = Path(name)
        rows += _first_epochs("4,000 of 180 pixels", data, folder, options.runs)
        for side in options.sides:
            large = _enlarged(data, folder / f"large-{side}", options.enlarged, side)
            rows += _first_epochs(f"{options.enlarged:,} of {side:,}", large, folder, options.runs)
            shutil.rmtree(large)
        print(machine("keras-zoo", "keras", "tensorflow", "pillow"), end="\n\n")
        header = ["images", "contender", "first epoch begins, s", "first epoch ends, s", "ratio of the end"]
        print(table(header, rows), end="\n\n", flush=True)
        loads = [_load(folder, count) for count in options.files]
    header_loads = ["files", "open the prepared arrays, ms", "compare the files with those read, ms"]
    print(table(header_loads, loads))
    print(f"\nHold: first run {HOLD} × as fast as the script; arrays opened in {HOLD_LOAD_MS:g} ms")
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows, header_loads, *loads])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each contender (5)")
    parser.add_argument("--enlarged", type=int, default=400, metavar="N", help="enlarged photographs (400)")
    parser.add_argument("--sides", default="1600,4000", metavar="N,N", help="their pixels (1600,4000)")
    parser.add_argument("--files", default="4000,25000", metavar="N,N", help="files to compare (4000,25000)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write both tables as CSV")
    options = parser.parse_args()
    for name in ("files", "sides"):
        setattr(options, name, [int(one) for one in getattr(options, name).split(",") if one])
    return options


def _enlarged(data: Path, folder: Path, count: int, side: int) -> Path:
    """Enlarge photographs of both classes and of every split to `side` pixels; return their folder."""
    from PIL import Image

    def enlarge(file: Path) -> None:
        with Image.open(file) as image:
            scale = side / max(image.size)
            size = (round(image.width * scale), round(image.height * scale))
            image.resize(size).save(folder / file.relative_to(data), quality=90)

    print_progress(f"enlarging {count} photographs to {side:,} pixels")
    files: list[Path] = []
    for split, share in (("train", 0.5), ("validation", 0.25), ("test", 0.25)):
        for name in ("cats", "dogs"):
            (folder / split / name).mkdir(parents=True)
            files += sorted((data / split / name).glob("*.jpg"))[: int(count * share / 2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(enlarge, files))
    return folder


def _first_epochs(title: str, path: Path, folder: Path, runs: int) -> list[list[str]]:
    """Return a row for each contender: medians of seconds since the start of the command."""
    times: dict[str, list[tuple[float, float]]] = {contender: [] for contender in CONTENDERS}
    for turn in range(runs + 1):
        print_progress(f"{title}: run {turn} of {runs}")
        where = folder / f"run-{turn}"
        where.mkdir()
        (where / "folder.toml").write_text(STUDY.format(path=path), encoding="utf-8")
        measured = (_bare(where, path), _zoo(where, "first"), _zoo(where, "second"))
        shutil.rmtree(where)
        for contender, took in zip(CONTENDERS, measured, strict=True):
            if turn > 0:  # the first run fills the disk cache
                times[contender].append(took)
    medians = {one: [statistics.median(column) for column in zip(*times[one], strict=True)] for one in times}
    bare = medians[CONTENDERS[0]][1]
    return [
        [title, one, f"{begins:.2f}", f"{ends:.2f}", f"{bare / ends:.2f} × as fast"]
        for one, (begins, ends) in medians.items()
    ]


def _bare(where: Path, path: Path) -> tuple[float, float]:
    script = Path(__file__).parent / "contenders" / "bare_folder.py"
    began = run("bare script", [sys.executable, str(script), str(path), "150"], where).began
    times = json.loads((where / "output.txt").read_text(encoding="utf-8").splitlines()[-1])
    return times["began"] - began, times["ended"] - began


def _zoo(where: Path, name: str) -> tuple[float, float]:
    command = [*zoo_command(), "tune", "folder.toml", "--name", name, "--quiet", "--no-promote"]
    began = run(f"zoo tune, {name} run", command, where).began
    log = where / "mlruns" / "zoo" / name / "trials" / "000" / "events.jsonl"
    events: dict[str, Any] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        events.setdefault(document["event"], document["time"])
    return events["started"] - began, events["epoch_end"] - began


def _load(folder: Path, count: int) -> list[str]:
    """Return a row: milliseconds to open prepared arrays of `count` images, and to compare their files."""
    import numpy as np
    from PIL import Image

    from zoo.data.prepare import prepare
    from zoo.data.sources import fingerprint
    from zoo.data.store import open_dataset
    from zoo.registry import Registry

    print_progress(f"{count:,} files")
    images = folder / f"files-{count}"
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    for number in range(count):
        path = images / "train" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number]).save(path)
    component = Registry.load().get("dataset", "image_folder")
    parameters = {"path": str(images), "image_size": 32}
    prepared = prepare(component, parameters, {"fraction": 0.1, "seed": 0}, folder / "cache")
    opening = _milliseconds(lambda: open_dataset(folder / "cache", prepared.digest))
    values = component.space.check(parameters)
    comparing = _milliseconds(lambda: fingerprint(component, values))
    return [f"{count:,}", f"{opening:.1f}", f"{comparing:.0f}"]


def _milliseconds(function: Callable[[], Any], runs: int = 5) -> float:
    """Return the median time of a call, after one that is not measured."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main(measure)
