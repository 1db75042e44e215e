"""A plugin file for `outage.py`: the trial process times each of its calls to the supervisor."""

import os
import time
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path

import keras
from keras import layers

import zoo


def _timed(call):
    @wraps(call)
    def timed(*arguments, **keywords):
        start = time.perf_counter()
        try:
            return call(*arguments, **keywords)
        finally:
            with Path(f"calls-{os.getpid()}.txt").open("a", encoding="utf-8") as file:
                file.write(f"{time.time()} {call.__name__} {1000 * (time.perf_counter() - start):.3f}\n")

    return timed


# Through these two, every event leaves the process, and every answer arrives.
Connection._send_bytes = _timed(Connection._send_bytes)
Connection._recv_bytes = _timed(Connection._recv_bytes)


@zoo.architecture
def timed_net(input_shape, num_classes):
    """Two blocks of convolution and pooling, 128 dense units."""
    stack = [keras.Input(input_shape)]
    for filters in (32, 64):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D(2)]
    stack += [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.25)]
    return keras.Sequential([*stack, layers.Dense(num_classes, activation="softmax")])
