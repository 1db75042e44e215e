"""Small plugins that keep the contract, in a module that another process can import."""

from __future__ import annotations

from multiprocessing import parent_process
from typing import Annotated

import keras

from zoo import Choice, Float, Int, InvalidParameters, List, variant


def small_net(
    input_shape,
    num_classes,
    *,
    widths: Annotated[tuple, List(Int(2, 8), length=(1, 2))] = (4,),
    head: Annotated[str, Choice("average", "dense")] = "average",
    units: Annotated[int, Int(2, 8, when={"head": "dense"})] = 4,
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.1,
):
    """A network of few weights."""
    if len(widths) == 2 and head == "dense":
        raise InvalidParameters("too deep for a dense head")
    stack = [keras.Input(input_shape)]
    stack += [keras.layers.Conv2D(width, 3, padding="same", activation="relu") for width in widths]
    stack.append(keras.layers.GlobalAveragePooling2D())
    if head == "dense":
        stack.append(keras.layers.Dense(units, activation="relu"))
    stack += [keras.layers.Dropout(dropout), keras.layers.Dense(num_classes, activation="softmax")]
    return keras.Sequential(stack)


def deep_net(input_shape, num_classes, *, depth: Annotated[int, Int(1, 5)] = 2):
    """A network that halves images, which 16×16 pixels allow four times."""
    halvings = [keras.layers.MaxPooling2D() for _ in range(depth)]
    end = [keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")]
    return keras.Sequential([keras.Input(input_shape), *halvings, *end])


smaller_net = variant(small_net, "smaller_net", "small_net with fewer filters.", widths=(2,))


@keras.saving.register_keras_serializable(package="sound")
class ZeroStart(keras.layers.Layer):
    """Adds a convolution times a weight that starts at zero, as residual networks do."""

    def build(self, input_shape):
        self.convolution = keras.layers.Conv2D(input_shape[-1], 3, padding="same")
        self.convolution.build(input_shape)
        self.scale = self.add_weight(shape=(), initializer="zeros")

    def call(self, images):
        return images + self.scale * self.convolution(images)


def residual_net(input_shape, num_classes):
    """A network whose branch gets no gradient at first."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            ZeroStart(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )


class Subclassed(keras.Model):
    """A model without a symbolic graph; it has its weights only after the first images."""

    def __init__(self, num_classes, **options):
        super().__init__(**options)
        self.num_classes = num_classes
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(num_classes, activation="softmax")

    def call(self, images):
        return self.dense(self.flatten(images))


def subclassed_net(input_shape, num_classes):
    """A subclass of keras.Model."""
    return Subclassed(num_classes)


def importing_net(input_shape, num_classes):
    """A network whose function imports what it needs, as the contract demands."""
    import changes_when_imported  # noqa: F401

    return small_net(input_shape, num_classes)


def importing_policy():
    """A policy whose function imports what it needs."""
    import changes_when_imported  # noqa: F401

    return [keras.layers.RandomFlip()]


def only_in_the_first_process(input_shape, num_classes):
    """A network that cannot be built in a worker process."""
    if parent_process() is not None:
        raise RuntimeError("a worker process")
    return small_net(input_shape, num_classes)
