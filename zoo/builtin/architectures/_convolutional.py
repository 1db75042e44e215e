"""Convolutional networks known by name: one function, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from zoo import Choice, Int, List, Setting
from zoo.builtin.architectures._parts import (
    Activation,
    DenseUnits,
    Flag,
    Rate,
    Shape,
    check_head,
    check_room,
    check_sides,
    classify,
    drop,
    named,
)

if TYPE_CHECKING:
    import keras

Filters = Annotated[tuple[int, ...], Setting(List(Int(1, 1024, log=True), length=(1, 12)))]


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
    """Two pairs of convolutions, each pair pooled, then classify.

    Args:
        input_shape: `(height, width, channels)`, pixels; unless `ending` is `flatten`, height and width
            may be None, and the network takes images of any size that leaves something to its end.
        num_classes: width of the softmax at the end.
        filters: of each convolution; the length of the list is their number.
        convolutions_per_block: the convolutions are taken in groups of so many; what is left over is
            a block too.
        poolings: so many blocks, from the first, end in a max pooling.
        kernel_size: side of every convolution, pixels.
        padding: `same` keeps the size; `valid` loses `kernel_size - 1` pixels at each convolution.
        activation: of the convolutions and of every hidden dense layer.
        activate: `every` convolution, or only the `last` of each block.
        batch_norm: `between` the convolutions of a block, behind `all` of them, or `none` (Ioffe &
            Szegedy 2015); behind the activation.
        pool_size: side and stride of every pooling, pixels.
        block_dropout: share dropped at the end of every block; 0 is no layer, here and below.
        ending: what becomes of the last feature maps: `flatten`, or their `max` or `average`, one number
            for each filter.
        feature_dropout: share of what `ending` gives that is dropped.
        dense_units: of each hidden dense layer; may be empty.
        dropout: share of every hidden dense layer's output that is dropped.
        binary_head: tell two classes apart by one sigmoid unit instead of a softmax.

    Raises:
        InvalidParameters: the images are too small for so many convolutions and poolings, or of unknown
            size before `flatten`; or `binary_head` with another number of classes than two.
    """
    blocks = [
        filters[start : start + convolutions_per_block]
        for start in range(0, len(filters), convolutions_per_block)
    ]
    check_head(num_classes, binary_head)
    check_room(
        input_shape,
        [(len(widths), number < poolings) for number, widths in enumerate(blocks)],
        kernel_size=kernel_size,
        padding=padding,
        pool_size=pool_size,
        fewer="fewer poolings",
    )
    if ending == "flatten":
        check_sides(input_shape, 'ending = "max" or "average", or images of one size')
    import keras
    from keras import layers

    any_size = (None, None, input_shape[2])
    images = keras.Input(input_shape if ending == "flatten" else any_size)  # (batch, height, width, channels)
    maps = images
    for number, widths in enumerate(blocks):
        maps = _convolve(maps, widths, kernel_size, padding, activation, activate, batch_norm)
        if number < poolings:
            maps = layers.MaxPooling2D(pool_size)(maps)
        maps = drop(maps, block_dropout)
    outputs = classify(
        drop(_features(maps, ending), feature_dropout),
        num_classes,
        dense_units=dense_units,
        activation=activation,
        dropout=dropout,
        binary_head=binary_head,
    )
    return keras.Model(images, outputs, name="convolutional")


def _convolve(
    maps: Any,
    widths: Sequence[int],
    kernel_size: int,
    padding: str,
    activation: str,
    activate: str,
    batch_norm: str,
) -> Any:
    """One block without its pooling."""
    from keras import layers

    for number, width in enumerate(widths, start=1):
        is_last = number == len(widths)
        activated = activation if is_last or activate == "every" else "linear"
        maps = layers.Conv2D(width, kernel_size, padding=padding, activation=activated)(maps)
        if batch_norm == "all" or (batch_norm == "between" and not is_last):
            maps = layers.BatchNormalization()(maps)
    return maps


def _features(maps: Any, ending: str) -> Any:
    """Feature maps `(batch, height, width, filters)` as `(batch, features)`."""
    from keras import layers

    endings = {
        "flatten": layers.Flatten,
        "max": layers.GlobalMaxPooling2D,
        "average": layers.GlobalAveragePooling2D,
    }
    return endings[ending]()(maps)


_DENSE = {"dense_units": (64,), "dropout": 0.5}

CONVOLUTIONAL = (
    named(
        typical_conv_net,
        "one_convolution",
        "One convolution of 16 filters, then classify.",
        filters=(16,),
        convolutions_per_block=1,
        poolings=0,
        padding="same",
    ),
    named(
        typical_conv_net,
        "convolution_pooling",
        "One convolution of 16 filters and one pooling, then classify.",
        filters=(16,),
        convolutions_per_block=1,
        poolings=1,
    ),
    named(
        typical_conv_net,
        "small_lenet",
        "LeNet-5's 6 and 16 filters (LeCun et al. 1998), each pooled, without its dense layers.",
        filters=(6, 16),
        convolutions_per_block=1,
        padding="same",
    ),
    named(
        typical_conv_net,
        "three_convolutions",
        "Three convolutions, the first two pooled, and a dense layer of 64.",
        filters=(32, 64, 64),
        convolutions_per_block=1,
        dense_units=(64,),
    ),
    named(
        typical_conv_net,
        "wide_pair",
        "Two wide convolutions and one pooling, a dense layer of 128, dropout behind both.",
        filters=(32, 64),
        poolings=1,
        activate="last",
        block_dropout=0.2,
        dense_units=(128,),
        dropout=0.5,
    ),
    typical_conv_net,
    named(
        typical_conv_net,
        "typical_conv_net_dense",
        "typical_conv_net with a dense layer of 64 and dropout.",
        **_DENSE,
    ),
    named(
        typical_conv_net,
        "typical_conv_net_batch_norm",
        "typical_conv_net_dense with batch normalisation behind the first convolution of each pair.",
        batch_norm="between",
        **_DENSE,
    ),
    named(
        typical_conv_net,
        "fully_convolutional",
        "Two normalised pairs, a convolution of 128 and its global maximum; takes images of any size.",
        filters=(16, 16, 32, 32, 128),
        batch_norm="between",
        ending="max",
        feature_dropout=0.5,
        dense_units=(128,),
        dropout=0.5,
    ),
    named(
        typical_conv_net,
        "cats_and_dogs_net",
        "Four convolutions, each pooled, for two classes of photographs of some 150×150 pixels.",
        filters=(32, 64, 128, 128),
        convolutions_per_block=1,
        poolings=4,
        feature_dropout=0.5,
        dense_units=(512,),
        binary_head=True,
    ),
)
