"""Networks of dense layers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.builtin.architectures._parts import (
    Activation,
    DenseUnits,
    Flag,
    Rate,
    Shape,
    check_head,
    check_sides,
    classify,
    named,
)

if TYPE_CHECKING:
    import keras


def perceptron(
    input_shape: Shape,
    num_classes: int,
    *,
    dense_units: DenseUnits = (128,),
    activation: Activation = "tanh",
    dropout: Rate = 0.0,
    binary_head: Flag = False,
) -> keras.Model:
    """A multilayer perceptron: 128 units between the pixels and the classes.

    Args:
        input_shape: `(height, width, channels)`, pixels.
        num_classes: width of the softmax at the end.
        dense_units: of each hidden layer; may be empty.
        activation: of every hidden layer.
        dropout: share of every hidden layer's output that is dropped while training; 0 is no layer.
        binary_head: tell two classes apart by one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: `binary_head` with another number of classes than two.
    """
    check_head(num_classes, binary_head)
    check_sides(input_shape, "images of one size")
    import keras

    images = keras.Input(input_shape)  # (batch, height, width, channels)
    features = keras.layers.Flatten()(images)  # (batch, features)
    outputs = classify(
        features,
        num_classes,
        dense_units=dense_units,
        activation=activation,
        dropout=dropout,
        binary_head=binary_head,
    )
    return keras.Model(images, outputs, name="perceptron")


PERCEPTRONS = (
    named(
        perceptron,
        "softmax_regression",
        "Softmax regression: one dense layer from the pixels to the classes.",
        dense_units=(),
    ),
    perceptron,
    named(
        perceptron,
        "wide_perceptron",
        "A perceptron of 512 units with dropout.",
        dense_units=(512,),
        activation="relu",
        dropout=0.5,
    ),
)
