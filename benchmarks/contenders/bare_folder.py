"""A bare script for a folder of images: Keras reads it, keeps it in memory, and trains for one epoch.

python bare_folder.py FOLDER SIZE
"""

from __future__ import annotations

import json
import sys
import time

import keras

imported = time.time()
folder, size = sys.argv[1], int(sys.argv[2])


def read(split: str):  # type: ignore[no-untyped-def]
    options = {"image_size": (size, size), "batch_size": 32, "verbose": False}
    return keras.utils.image_dataset_from_directory(f"{folder}/{split}", **options).cache()


network = keras.Sequential(
    [
        keras.layers.Input((size, size, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(2, activation="softmax"),
    ]
)
network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
times: dict[str, float] = {"imported": imported}
callback = keras.callbacks.LambdaCallback(
    on_epoch_begin=lambda epoch, logs: times.setdefault("began", time.time()),
    on_epoch_end=lambda epoch, logs: times.setdefault("ended", time.time()),
)
network.fit(read("train"), validation_data=read("validation"), epochs=1, callbacks=[callback], verbose=0)
print(json.dumps(times))
