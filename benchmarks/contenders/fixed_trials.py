"""The four networks that all contenders train, on the same images and for the same number of epochs.

The network is zoo's `conv_net` with two blocks, written out. Importing this module is fast: the functions
import Keras and NumPy.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILTERS = ((16, 32), (32, 32), (32, 64), (16, 64))  # of the two blocks
# `throughput.py` sets the variables.
EPOCHS = int(os.environ.get("BENCHMARK_EPOCHS", "2"))
RATES = [float(rate) for rate in os.environ.get("BENCHMARK_RATES", "1e-3").split(",")]
BATCH_SIZE = 128
TRAINING_IMAGES = int(
    os.environ.get("BENCHMARK_IMAGES", "4500")
)  # of the 5,000 in mnist.npz; the other 500 are for validation


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return training and validation images `(n, 28, 28, 1)`, float32 in `[0, 1]`, and labels `(n,)`."""
    import numpy as np

    with np.load(Path(os.environ["ZOO_DATA_DIR"], "mnist.npz")) as arrays:
        images = arrays["x_train"][..., None].astype("float32") / 255
        labels = arrays["y_train"]
    cut = TRAINING_IMAGES
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def build(filters: tuple[int, int], learning_rate: float = 1e-3) -> Any:
    """Return the network of one trial, compiled."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(filters[0], 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(filters[1], 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class Report:
    """The trained networks, in `trials.json`; `trials.py` checks that all contenders did the same work."""

    def __init__(self) -> None:
        self._trials: list[dict[str, Any]] = []

    def add(self, filters: tuple[int, int], parameters: int, val_accuracy: float) -> None:
        """Add one trial: filters, number of weights, best validation accuracy."""
        self._trials.append(
            {"filters": list(filters), "parameters": parameters, "val_accuracy": float(val_accuracy)}
        )

    def write(self) -> None:
        Path("trials.json").write_text(json.dumps(self._trials) + "\n", encoding="utf-8")
