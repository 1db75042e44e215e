"""A convolutional network whose depth is searched, and the networks of textbooks and papers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Float, Int, List, Setting
from zoo.builtin.architectures._parts import (
    Activation,
    Block,
    DenseUnits,
    Flag,
    Rate,
    Shape,
    add_dropout,
    add_head,
    check_head,
    check_image_size,
    check_sides,
    named_variant,
)

if TYPE_CHECKING:
    import keras

Filters = Annotated[tuple[int, ...], Setting(List(Int(1, 1024, log=True), length=(1, 12)))]


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
    """Convolve and pool once for each item of `filters`, then classify.

    The structure follows LeNet-5 (LeCun et al. 1998), with max pooling; blocks of several convolutions follow
    VGG (Simonyan & Zisserman 2014).

    Args:
        input_shape: `(height, width, channels)`, pixels.
        num_classes: number of softmax outputs.
        filters: number of filters in each block; the length of the list is the depth.
        convolutions_per_block: number of convolutions before each pooling.
        kernel_size: side of every kernel, pixels.
        padding: `same` keeps the image size; `valid` removes `kernel_size - 1` pixels per convolution.
        activation: activation function of every convolution and hidden dense layer.
        pool_size: side and stride of every max pooling, pixels.
        batch_norm: normalize the output of each convolution before its activation (Ioffe & Szegedy 2015),
            with momentum 0.9.
        dense_units: units of each hidden dense layer; the list can be empty.
        dropout: dropout rate before every dense layer (Srivastava et al. 2014).

    Raises:
        InvalidParameters: the images are too small for the convolutions and poolings.
    """
    blocks = [Block((count,) * convolutions_per_block, is_pooled=True) for count in filters]
    check_image_size(input_shape, blocks, kernel_size, padding, pool_size)
    from keras import Input, Sequential, layers

    stack = [Input(input_shape)]  # (batch, height, width, channels)
    for block in blocks:
        for count in block.filters:
            # Batch normalization subtracts the mean, so a bias would have no effect.
            stack.append(layers.Conv2D(count, kernel_size, padding=padding, use_bias=not batch_norm))
            if batch_norm:
                # With Keras's default of 0.99, the moving statistics change too slowly for short epochs. Then
                # the validation metrics that a pruner compares are wrong.
                stack.append(layers.BatchNormalization(momentum=0.9))
            stack.append(layers.Activation(activation))
        stack.append(layers.MaxPooling2D(pool_size))
    stack.append(layers.Flatten())  # (batch, features)
    for units in dense_units:
        stack += [layers.Dropout(dropout), layers.Dense(units, activation=activation)]
    # Probabilities stay float32 under mixed precision.
    stack += [layers.Dropout(dropout), layers.Dense(num_classes, activation="softmax", dtype="float32")]
    return Sequential(stack, name="conv_net")


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
        activation: activation function of every hidden layer.
        dropout: dropout rate after every hidden layer; 0 adds no layer.
        binary_head: for two classes, use one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: `binary_head` is used for more than two classes, or the image size is unknown.
    """
    check_head(num_classes, binary_head)
    check_sides(input_shape)
    import keras

    images = keras.Input(input_shape)  # (batch, height, width, channels)
    head = add_head(images, num_classes, "flatten", 0.0, dense_units, activation, dropout, binary_head)
    return keras.Model(images, head, name="perceptron")


def typical_conv_net(
    input_shape: Shape,
    num_classes: int,
    *,
    filters: Filters = (16, 16, 32, 32),
    convolutions_per_block: Annotated[int, Setting(Int(1, 4))] = 2,
    poolings: Annotated[int, Setting(Int(0, 8))] = 2,
    kernel_size: Annotated[int, Setting(Int(1, 11))] = 3,
    padding: Annotated[str, Setting(Choice("valid", "same"))] = "valid",
    activation: Activation = "relu",
    activate: Annotated[str, Setting(Choice("every", "last"))] = "every",
    batch_norm: Annotated[str, Setting(Choice("none", "between", "all"))] = "none",
    pool_size: Annotated[int, Setting(Int(2, 4))] = 2,
    block_dropout: Rate = 0.0,
    ending: Annotated[str, Setting(Choice("flatten", "max", "average"))] = "flatten",
    feature_dropout: Rate = 0.0,
    dense_units: DenseUnits = (),
    dropout: Rate = 0.0,
    binary_head: Flag = False,
) -> keras.Model:
    """A convolutional network: two pairs of convolutions, each followed by pooling.

    Args:
        input_shape: `(height, width, channels)`, pixels; sides can be None unless `ending` is `flatten`.
        num_classes: number of softmax outputs.
        filters: number of filters of each convolution; the list has one item per convolution.
        convolutions_per_block: number of convolutions per block; the last block can have fewer.
        poolings: number of max poolings; the first blocks end with one.
        kernel_size: side of every kernel, pixels.
        padding: `same` keeps the image size; `valid` removes `kernel_size - 1` pixels per convolution.
        activation: activation function of the convolutions and hidden dense layers.
        activate: apply the activation to `every` convolution, or only to the `last` of each block.
        batch_norm: batch normalization (Ioffe & Szegedy 2015) after the activation: `between` the
            convolutions of a block, after `all` of them, or `none`.
        pool_size: side and stride of every pooling, pixels.
        block_dropout: dropout rate at the end of every block; 0 adds no layer, here and below.
        ending: `flatten` the last feature maps, or take their `max` or `average`, one number per filter.
        feature_dropout: dropout rate after `ending`.
        dense_units: units of each hidden dense layer; the list can be empty.
        dropout: dropout rate after every hidden dense layer.
        binary_head: for two classes, use one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: the images are too small for the convolutions and poolings, or have an unknown
            size before `flatten`; or `binary_head` is used for more than two classes.
    """
    check_head(num_classes, binary_head)
    check_sides(input_shape, "ending", ending)
    blocks = _blocks(filters, convolutions_per_block, poolings)
    check_image_size(input_shape, blocks, kernel_size, padding, pool_size, pooling_fix="fewer poolings")
    from keras import Input, Model, layers

    # Without `flatten`, the network takes images of any size that is large enough.
    images = maps = Input(input_shape if ending == "flatten" else (None, None, input_shape[2]))
    for block in blocks:
        maps = _convolve(maps, block.filters, kernel_size, padding, activation, activate, batch_norm)
        maps = add_dropout(layers.MaxPooling2D(pool_size)(maps) if block.is_pooled else maps, block_dropout)
    head = add_head(maps, num_classes, ending, feature_dropout, dense_units, activation, dropout, binary_head)
    return Model(images, head, name="convolutional")


def _blocks(filters: Sequence[int], convolutions_per_block: int, poolings: int) -> list[Block]:
    """Divide the convolutions into blocks; the first `poolings` blocks are pooled."""
    starts = range(0, len(filters), convolutions_per_block)
    return [
        Block(filters[start : start + convolutions_per_block], number < poolings)
        for number, start in enumerate(starts)
    ]


def _convolve(
    maps: Any,
    filters: Sequence[int],
    kernel_size: int,
    padding: str,
    activation: str,
    activate: str,
    batch_norm: str,
) -> Any:
    from keras import layers

    for number, count in enumerate(filters, start=1):
        is_last = number == len(filters)
        name = activation if is_last or activate == "every" else "linear"
        maps = layers.Conv2D(count, kernel_size, padding=padding, activation=name)(maps)
        if batch_norm == "all" or (batch_norm == "between" and not is_last):
            maps = layers.BatchNormalization()(maps)
    return maps


_typical = partial(named_variant, typical_conv_net)

NETWORKS = (
    named_variant(
        perceptron,
        "softmax_regression",
        "Softmax regression: one dense layer from the pixels to the classes.",
        {"dense_units": ()},
    ),
    perceptron,
    named_variant(
        perceptron,
        "wide_perceptron",
        "A perceptron of 512 units with dropout.",
        {"dense_units": (512,), "activation": "relu", "dropout": 0.5},
    ),
    _typical(
        "one_convolution",
        "One convolution of 16 filters.",
        {"filters": (16,), "convolutions_per_block": 1, "poolings": 0, "padding": "same"},
    ),
    _typical(
        "convolution_pooling",
        "One convolution of 16 filters and one pooling.",
        {"filters": (16,), "convolutions_per_block": 1, "poolings": 1},
    ),
    _typical(
        "small_lenet",
        "Two pooled convolutions of 6 and 16 filters, as in LeNet-5 (LeCun et al. 1998).",
        {"filters": (6, 16), "convolutions_per_block": 1, "padding": "same"},
    ),
    _typical(
        "three_convolutions",
        "Three convolutions, the first two pooled, and a dense layer of 64.",
        {"filters": (32, 64, 64), "convolutions_per_block": 1, "dense_units": (64,)},
    ),
    _typical(
        "wide_pair",
        "Two wide convolutions, one pooling and a dense layer of 128, with dropout after each part.",
        {
            "filters": (32, 64),
            "poolings": 1,
            "activate": "last",
            "block_dropout": 0.2,
            "dense_units": (128,),
            "dropout": 0.5,
        },
    ),
    typical_conv_net,
    _typical(
        "typical_conv_net_dense",
        "typical_conv_net with a dense layer of 64 and dropout.",
        {"dense_units": (64,), "dropout": 0.5},
    ),
    _typical(
        "typical_conv_net_batch_norm",
        "typical_conv_net_dense with batch normalization after the first convolution of each pair.",
        {"batch_norm": "between", "dense_units": (64,), "dropout": 0.5},
    ),
    _typical(
        "fully_convolutional",
        "Five convolutions and global max pooling; takes images of any size.",
        {
            "filters": (16, 16, 32, 32, 128),
            "batch_norm": "between",
            "ending": "max",
            "feature_dropout": 0.5,
            "dense_units": (128,),
            "dropout": 0.5,
        },
    ),
    _typical(
        "cats_and_dogs_net",
        "Four convolutions, each pooled, for two classes of photographs of about 150×150 pixels.",
        {
            "filters": (32, 64, 128, 128),
            "convolutions_per_block": 1,
            "poolings": 4,
            "feature_dropout": 0.5,
            "dense_units": (512,),
            "binary_head": True,
        },
    ),
)
