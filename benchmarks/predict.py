"""The time of `zoo predict` on 1,000 JPEGs, compared with a bare loop of Pillow and `model.predict`.

ZOO_DATA_DIR=~/data python benchmarks/predict.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from measuring import BenchmarkError, machine, main, run, table, take_turns, zoo_command
from PIL import Image

from zoo.builtin.architectures import conv_net
from zoo.training.info import ModelInfo, add_info
from zoo.training.model import assemble

LIMIT = 1.3  # times the bare loop
IMAGES = 1000
SHAPE = (150, 150, 3)
BARE = Path(__file__).with_name("contenders") / "bare_predict.py"


def measure() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each contender (5)")
    runs = max(1, parser.parse_args().runs)
    with tempfile.TemporaryDirectory(prefix="zoo-predict-") as name:
        folder = Path(name)
        source = make_images(folder / "photos")
        make_model(folder / "model.keras")
        arguments = ["model.keras", "photos"]
        contenders = {
            "bare loop": [sys.executable, str(BARE), *arguments],
            "`zoo predict --csv`": [*zoo_command(), "predict", *arguments, "--csv", "--quiet"],
        }

        def once(title: str) -> float:
            took = run(title, contenders[title], folder).seconds
            check_rows(title, folder / "output.txt")
            return took

        seconds = take_turns(contenders, once, runs)
    bare = statistics.median(seconds["bare loop"])
    rows = [
        [
            title,
            f"{statistics.median(times):.2f}",
            f"{min(times):.2f} … {max(times):.2f}",
            f"{statistics.median(times) / bare:.2f}",
            f"{IMAGES / statistics.median(times):.0f}",
        ]
        for title, times in seconds.items()
    ]
    print(machine("keras-zoo", "keras", "pillow"), end="\n\n")
    print(f"{IMAGES:,} JPEGs ({source}), hold: {LIMIT} × the bare loop\n")
    print(table(["command", f"median of {runs}, s", "range, s", "ratio", "images per second"], rows))


def make_images(folder: Path) -> str:
    """Fill `folder` with JPEGs; return where they come from."""
    folder.mkdir()
    photographs = sorted(Path(os.environ.get("ZOO_DATA_DIR", ""), "cats_and_dogs_small").rglob("*.jpg"))
    if len(photographs) >= IMAGES:
        step = len(photographs) // IMAGES
        for number, file in enumerate(photographs[: IMAGES * step : step]):
            (folder / f"{number:04d}.jpg").symlink_to(file.absolute())
        return "photographs of cats and dogs"
    noise = np.random.default_rng(0)
    for number in range(IMAGES):  # smooth, so that the files have the size of photographs
        small = Image.fromarray(noise.integers(0, 256, (40, 50, 3), dtype=np.uint8))
        small.resize((500, 375)).save(folder / f"{number:04d}.jpg", quality=90)
    return "smooth noise of 500×375"


def make_model(path: Path) -> None:
    """Save a network with random weights: its time does not depend on them."""
    _, classifier = assemble(conv_net(SHAPE, 2, filters=(32, 64, 128)), [], SHAPE)
    classifier.save(path)
    add_info(path, ModelInfo(("cat", "dog"), *SHAPE))
    keras.utils.clear_session()


def check_rows(title: str, output: Path) -> None:
    rows = [line for line in output.read_text().splitlines() if ".jpg," in line]
    if len(rows) != IMAGES:
        raise BenchmarkError(f"{title}: expected {IMAGES} rows, got {len(rows)}")


if __name__ == "__main__":
    main(measure)
