"""The two networks of `photographs_study.toml`, in a loop over `fit` that keeps nothing.

As the guides of Keras show it: `image_dataset_from_directory`, kept in memory after the first epoch, and
random layers in front of the network.
"""

import os
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

EPOCHS = int(os.environ["BENCHMARK_EPOCHS"])
FOLDER = Path(os.environ["ZOO_DATA_DIR"], "photographs")


def read(split):
    data = keras.utils.image_dataset_from_directory(
        FOLDER / split, image_size=(150, 150), batch_size=32, shuffle=split == "train", verbose=False
    ).cache()
    return (data.shuffle(100) if split == "train" else data).prefetch(tf.data.AUTOTUNE)


def build(filters):
    blocks = [
        layer
        for count in filters
        for layer in (layers.Conv2D(count, 3, padding="same", activation="relu"), layers.MaxPooling2D(2))
    ]
    augmentation = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(40 / 360),
        layers.RandomTranslation(0.2, 0.2),
        layers.RandomShear(0.2, 0.2),
        layers.RandomZoom(0.2),
    ]
    model = keras.Sequential(
        [
            keras.Input((150, 150, 3)),
            *augmentation,
            layers.Rescaling(1 / 255),
            *blocks,
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.25),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


train, validation = read("train"), read("validation")
for filters in ((16, 32, 64), (32, 32, 64)):
    build(filters).fit(train, epochs=EPOCHS, validation_data=validation, verbose=0)
