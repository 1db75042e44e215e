"""One thread of TensorFlow, and one for each core, on one core and on all: the time of a training.

    python benchmarks/threads.py
    python benchmarks/threads.py --rounds 9

The number of threads is fixed when a process starts. With more threads than cores, held on one core by its
affinity, a trial could get other cores later. This measures what that costs before, and what it gains after.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

from measuring import BenchmarkError, machine, main, print_progress, table

EPOCHS, IMAGES, BATCH_SIZE = 3, 2000, 128


def measure() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    rounds = parser.parse_args().rounds
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError("this benchmark needs two cores or more")
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import zoo.training.preload  # noqa: F401  # imports Keras, from which each training is forked

    settings = [(threads, held) for threads in (1, len(cores)) for held in (cores[:1], cores)]
    results: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for turn in range(rounds):
        for threads, held in settings:
            results.setdefault((threads, len(held)), []).append(_fork(threads, held))
        print_progress(f"round {turn + 1} of {rounds}")
    rows = [
        [
            str(threads),
            str(held),
            *(f"{statistics.median(column):.2f}" for column in zip(*pairs, strict=True)),
        ]
        for (threads, held), pairs in results.items()
    ]
    print(machine("keras", "tensorflow"))
    print(table(["threads", "cores", "CPU time, s", "time, s"], rows))


def _fork(threads: int, cores: list[int]) -> tuple[float, float]:
    """Train in a new process; return its seconds of CPU time and of time after the first epoch."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.sched_setaffinity(0, cores)
        os.environ |= {f"TF_NUM_{kind}_THREADS": str(threads) for kind in ("INTRAOP", "INTEROP")}
        os.write(writing, json.dumps(_train()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(pid, 0)
    cpu, seconds = json.loads(text)
    return cpu, seconds


def _train() -> tuple[float, float]:
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28, 1), np.uint8)
    labels = np.arange(IMAGES) % 10
    model = _network()
    model.fit(images, labels, batch_size=BATCH_SIZE, verbose=0)
    cpu, start = time.process_time(), time.perf_counter()
    model.fit(images, labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=0)
    return time.process_time() - cpu, time.perf_counter() - start


def _network() -> Any:
    from keras import Input, Sequential, layers

    blocks = [
        layer
        for filters in (32, 64)
        for layer in (layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    head = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
    model = Sequential([Input((28, 28, 1)), layers.Rescaling(1 / 255), *blocks, *head])
    model.compile("adam", loss="sparse_categorical_crossentropy")
    return model


if __name__ == "__main__":
    main(measure)
