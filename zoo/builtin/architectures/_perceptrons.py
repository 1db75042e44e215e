"""Networks of dense layers only."""

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
    """A multilayer perceptron with one hidden layer of 128 units.

    Args:
        input_shape: `(height, width, channels)`, pixels.
        num_classes: number of softmax outputs.
        dense_units: units of each hidden layer; the list can be empty.
        activation: of every hidden layer.
        dropout: dropout rate after every hidden layer; 0 adds no layer.
        binary_head: for two classes, use one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: `binary_head` is used for more than two classes, or the image size is unknown.
    """
    check_head(num_classes, binary_head)
    check_sides(input_shape, "images of one size")
    import keras

    images = keras.Input(input_shape)  # (batch, height, width, channels)
    features = keras.layers.Flatten()(images)  # (batch, features)
    outputs = classify(features, num_classes, dense_units, activation, dropout, binary_head)
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
