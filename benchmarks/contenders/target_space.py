"""The search of `time_to_accuracy.py` for the contenders without zoo: the same space, split and target."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

SEED, TARGET = int(os.environ["BENCHMARK_SEED"]), float(os.environ["BENCHMARK_TARGET"])
END = float(os.environ["BENCHMARK_END"])  # of the time limit, seconds since 1970
FILTERS = ((16, 32), (32, 64), (32, 64, 64))
OPTIMIZERS = ("adam", "nadam", "rmsprop")
BATCH_SIZE, EPOCHS = 128, 9


def load_data() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return training and validation images `(n, 28, 28, 1)`, float32 in `[0, 1]`, and labels `(n,)`."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(SEED)
    folder = Path(os.environ["ZOO_DATA_DIR"])
    with np.load(folder / "mnist.npz") as arrays:
        images, labels = arrays["x_train"][..., None].astype("float32") / 255, arrays["y_train"]
    is_held_out = np.load(folder / "fold.npy") == 1
    return (images[~is_held_out], labels[~is_held_out]), (images[is_held_out], labels[is_held_out])


def build(filters: tuple[int, ...], dropout: float, optimizer: str, learning_rate: float) -> Any:
    """Return a compiled network: zoo's `conv_net` with batch normalization, written out."""
    import keras
    from keras import layers

    stack: list[Any] = [keras.Input((28, 28, 1))]
    for count in filters:
        stack += [
            layers.Conv2D(count, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
        ]
        stack += [layers.Activation("relu"), layers.MaxPooling2D(2)]
    stack += [layers.Flatten(), layers.Dropout(dropout), layers.Dense(10, activation="softmax")]
    model = keras.Sequential(stack)
    settings = {"class_name": optimizer, "config": {"learning_rate": learning_rate}}
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.get(settings), loss=loss, metrics=["accuracy"])
    return model


def stop_at_target() -> Any:
    """Return a callback that ends the program when the target is reached, or the time is over."""
    import keras

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            _write_epoch(self.model, logs["val_accuracy"])
            if logs["val_accuracy"] >= TARGET or time.time() >= END:
                sys.exit(0)

    return Stop()


def _write_epoch(model: Any, accuracy: float) -> None:
    """Append the time, the validation accuracy and the network to `epochs.jsonl`."""
    filters = [layer.filters for layer in model.layers if hasattr(layer, "filters")]
    epoch = {"time": time.time(), "val_accuracy": accuracy, "filters": filters}
    with Path("epochs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**epoch, "parameters": model.count_params()}) + "\n")
