"""The search of `time_to_accuracy.py` for the contenders without zoo: the same space, data and target."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

SEED, TARGET = int(os.environ["BENCHMARK_SEED"]), float(os.environ["BENCHMARK_TARGET"])
FILTERS = ((16, 32), (32, 64), (32, 64, 64))
OPTIMIZERS = ("adam", "nadam", "rmsprop")
BATCH_SIZE, EPOCHS, TRIALS = 128, 9, 10


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return training and validation images `(n, 28, 28, 1)`, float32 in `[0, 1]`, and labels `(n,)`."""
    import numpy as np

    with np.load(Path(os.environ["ZOO_DATA_DIR"], "mnist.npz")) as arrays:
        images, labels = arrays["x_train"][..., None].astype("float32") / 255, arrays["y_train"]
    order = np.random.default_rng(SEED).permutation(len(images))
    validation, train = np.split(order, [len(order) // 10])
    return (images[train], labels[train]), (images[validation], labels[validation])


def build(filters: tuple[int, ...], dropout: float, optimizer: str, learning_rate: float) -> Any:
    """Return a compiled network: zoo's `conv_net` with batch normalization, written out."""
    import keras
    from keras import layers

    stack: list[Any] = [keras.Input((28, 28, 1))]
    for count in filters:
        stack += [layers.Conv2D(count, 3, padding="same", use_bias=False), layers.BatchNormalization()]
        stack += [layers.Activation("relu"), layers.MaxPooling2D(2)]
    stack += [layers.Flatten(), layers.Dropout(dropout), layers.Dense(10, activation="softmax")]
    model = keras.Sequential(stack)
    settings = {"class_name": optimizer, "config": {"learning_rate": learning_rate}}
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.get(settings), loss=loss, metrics=["accuracy"])
    return model


def stop_at_target() -> Any:
    """Return a callback that ends the program when the target is reached."""
    import keras

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            write_best(logs["val_accuracy"])
            if logs["val_accuracy"] >= TARGET:
                sys.exit(0)

    return Stop()


def write_best(value: float) -> None:
    """Append a validation accuracy and the time to `accuracy.jsonl`."""
    with Path("accuracy.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps([time.time(), value]) + "\n")
