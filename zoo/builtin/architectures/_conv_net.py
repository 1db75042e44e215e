"""A convolutional network whose depth is searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from zoo import Choice, Float, Int, List
from zoo.builtin.architectures._parts import Block, check_room

if TYPE_CHECKING:
    import keras


def conv_net(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    filters: Annotated[tuple[int, ...], List(Int(8, 128, log=True), length=(1, 4))] = (32, 64),
    convolutions_per_block: Annotated[int, Int(1, 3)] = 1,
    kernel_size: Annotated[int, Choice(3, 5, 7)] = 3,
    padding: Annotated[str, Choice("same", "valid")] = "same",
    activation: Annotated[str, Choice("relu", "elu", "gelu", "silu", "tanh")] = "relu",
    pool_size: Annotated[int, Int(2, 3)] = 2,
    batch_norm: Annotated[bool, Choice(False, True)] = False,
    dense_units: Annotated[tuple[int, ...], List(Int(16, 512, log=True), length=(0, 2))] = (128,),
    dropout: Annotated[float, Float(0.0, 0.6)] = 0.25,
) -> keras.Model:
    """Convolve and pool once per entry of `filters`, then classify.

    The structure is that of LeNet-5 (LeCun et al. 1998) with max pooling. Several convolutions per block
    follow VGG (Simonyan & Zisserman 2014).

    Args:
        input_shape: `(height, width, channels)`, pixels.
        num_classes: number of softmax outputs.
        filters: number of filters in each block; the length of the list is the depth.
        convolutions_per_block: number of convolutions before each pooling.
        kernel_size: side of every convolution, pixels.
        padding: `same` keeps the image size; `valid` removes `kernel_size - 1` pixels per convolution.
        activation: of every convolution and hidden dense layer.
        pool_size: side and stride of every max pooling, pixels.
        batch_norm: normalise the output of each convolution before its activation (Ioffe & Szegedy 2015),
            with momentum 0.9.
        dense_units: units of each hidden dense layer; the list can be empty.
        dropout: dropout rate before every dense layer (Srivastava et al. 2014).

    Raises:
        InvalidParameters: the images are too small for so many convolutions and poolings.
    """
    blocks = [Block((width,) * convolutions_per_block, is_pooled=True) for width in filters]
    check_room(input_shape, blocks, kernel_size, padding, pool_size)
    from keras import Input, Sequential, layers

    stack = [Input(input_shape)]  # (batch, height, width, channels)
    for block in blocks:
        for width in block.filters:
            # Batch normalisation would remove a bias.
            stack.append(layers.Conv2D(width, kernel_size, padding=padding, use_bias=not batch_norm))
            if batch_norm:
                # With Keras's default of 0.99, the statistics lag behind the weights in the short epochs of
                # a small dataset, and so do the scores that a pruner sees.
                stack.append(layers.BatchNormalization(momentum=0.9))
            stack.append(layers.Activation(activation))
        stack.append(layers.MaxPooling2D(pool_size))
    stack.append(layers.Flatten())  # (batch, features)
    for units in dense_units:
        stack += [layers.Dropout(dropout), layers.Dense(units, activation=activation)]
    # Probabilities stay float32 under mixed precision.
    stack += [layers.Dropout(dropout), layers.Dense(num_classes, activation="softmax", dtype="float32")]
    return Sequential(stack, name="conv_net")
