"""The time of zoo's augmentation policies, compared with the layers of Keras that do the same.

python benchmarks/augmentations.py
KERAS_BACKEND=jax python benchmarks/augmentations.py
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from measuring import machine, main, print_progress, table

from zoo.builtin.augmentations import affine, affine_flip, erasing, flips, photometric, randaugment

LIMIT = 3.0  # times faster than the chain, at 28×28 pixels
SIZES = {(28, 28, 1): 256, (150, 150, 3): 32}  # image shape -> batch size
ROTATION, SHIFT, SHEAR, ZOOM = 8.0, 0.08, 5.0, 0.08


def chain() -> list[Any]:
    """Return the layers of Keras that together do what `affine` does by default."""
    return [
        layers.RandomRotation(ROTATION / 360, fill_mode="nearest"),
        layers.RandomTranslation(SHIFT, SHIFT, fill_mode="nearest"),
        layers.RandomShear(x_factor=math.tan(math.radians(SHEAR)), fill_mode="nearest"),
        layers.RandomZoom(ZOOM, fill_mode="nearest"),
    ]


def fused() -> list[Any]:
    return affine(rotation=ROTATION, shift=SHIFT, shear=SHEAR, zoom=ZOOM)


# Row of the table -> the policy that is measured, and the row that it is compared with.
CONTENDERS: dict[str, tuple[Callable[[], list[Any]], str | None]] = {
    "nothing": (lambda: [layers.Identity()], None),
    "`affine`": (fused, None),
    "RandomRotation, RandomTranslation, RandomShear, RandomZoom": (chain, "`affine`"),
    "`affine_flip`": (affine_flip, "`affine`"),
    "`flips`, then `affine`": (lambda: [*flips(), *fused()], "`affine`"),
    "`flips`": (flips, None),
    "`photometric`": (photometric, None),
    "`erasing`": (erasing, None),
    "RandomErasing": (
        lambda: [layers.RandomErasing((0.5, 0.5), scale=(0.02, 0.2), value_range=(0, 1))],
        "`erasing`",
    ),
    "`randaugment`": (randaugment, None),
    "RandAugment": (lambda: [layers.RandAugment(factor=0.3, value_range=(0, 1))], "`randaugment`"),
}


class Augmented(keras.Model):
    """A model that applies a policy also in `predict`."""

    def __init__(self, policy: list[Any]) -> None:
        super().__init__()
        self.policy = policy

    def call(self, images: Any, training: bool = False) -> Any:
        for layer in self.policy:
            images = layer(images, training=True)
        return images  # not their mean, which a compiler would fuse with the policy


def microseconds(model: Any, images: Any, batches: int) -> float:
    """Return the time per image, measured over `batches` batches."""
    start = time.perf_counter()
    for _ in range(batches):
        model.predict_on_batch(images)
    return (time.perf_counter() - start) / (batches * len(images)) * 1e6


def one_size(
    shape: tuple[int, int, int], batch: int, rounds: int, names: list[str]
) -> dict[str, list[float]]:
    """Return microseconds per image of every contender in every round. The contenders run in turn."""
    images = keras.ops.convert_to_tensor(np.random.default_rng(0).random((batch, *shape), dtype="float32"))
    models = {name: Augmented(CONTENDERS[name][0]()) for name in names}
    batches = {}
    for name, model in models.items():
        microseconds(model, images, 2)  # compiles
        batches[name] = max(1, round(0.15e6 / (microseconds(model, images, 3) * batch)))  # 0.15 s
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, model in models.items():
            times[name].append(microseconds(model, images, batches[name]))
    return times


def rows(all_times: dict[str, list[float]]) -> list[list[str]]:
    median = {name: statistics.median(times) for name, times in all_times.items()}
    lines = []
    for name, times in all_times.items():
        other = CONTENDERS[name][1]
        ratio = f"{median[name] / median[other]:.1f} × {other}" if other in median else ""
        lines.append([name, f"{median[name]:.1f}", f"{min(times):.1f} … {max(times):.1f}", ratio])
    return lines


def measure() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="number of rounds (7)")
    parser.add_argument("--without", default="", metavar="ROWS", help="rows to omit, separated by commas")
    options = parser.parse_args()
    omitted = options.without.split(",")
    names = [name for name in CONTENDERS if name.strip("`") not in omitted]
    runs = max(1, options.runs)
    print(machine("keras-zoo", "keras", keras.backend.backend()), end="\n\n")
    for shape, batch in SIZES.items():
        print_progress(f"images of {shape}, {len(names)} contenders …")
        times = one_size(shape, batch, runs, names)
        size = "×".join(map(str, shape))
        header = [f"{size}, batches of {batch}", f"median of {runs}, µs an image", "range, µs", "ratio"]
        print(table(header, rows(times)), end="\n\n")
        chained = next(name for name in times if "RandomRotation" in name)
        ratio = statistics.median(times[chained]) / statistics.median(times["`affine`"])
        if shape[0] == 28:
            verdict = "held" if ratio >= LIMIT else "**not held**"
            print(f"* `affine` against the chain: {ratio:.1f} × faster, to hold {LIMIT:.0f} ×: {verdict}\n")


if __name__ == "__main__":
    main(measure)
