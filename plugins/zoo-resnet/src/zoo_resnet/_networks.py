"""The networks, built only of Keras's own layers, so that saved models load without this plugin."""

from __future__ import annotations

from typing import Any

from keras import Input, Model, layers, ops

Shape = tuple[int, int, int]


def residual(
    input_shape: Shape,
    num_classes: int,
    blocks: int,
    stages: int,
    filters: int,
    kernel_size: int,
    shortcut: str,
    dropout: float,
) -> Model:
    """Build the network of `zoo_resnet.resnet`."""
    images = Input(input_shape)  # (batch, height, width, channels)
    x = _normalised(_convolved(images, filters, kernel_size))
    for stage in range(stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _block(x, filters * 2**stage, kernel_size, stride, shortcut)
    return _classifier(images, x, num_classes, dropout, name="resnet")


def wide_residual(
    input_shape: Shape,
    num_classes: int,
    blocks: int,
    stages: int,
    widen: int,
    kernel_size: int,
    dropout: float,
) -> Model:
    """Build the network of `zoo_resnet.wide_resnet`."""
    images = Input(input_shape)  # (batch, height, width, channels)
    x = _convolved(images, 16, kernel_size)
    for stage in range(stages):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _pre_activation_block(x, 16 * widen * 2**stage, kernel_size, stride, dropout)
    return _classifier(images, _normalised(x), num_classes, name="wide_resnet")


def _block(x: Any, filters: int, kernel_size: int, stride: int, shortcut: str) -> Any:
    """Add two convolutions to the input, and apply ReLU to the sum."""
    y = _normalised(_convolved(x, filters, kernel_size, stride))
    y = _normalised(_convolved(y, filters, kernel_size), activation=None)
    if stride > 1 and shortcut == "projection":
        x = _normalised(_convolved(x, filters, 1, stride), activation=None)
    elif stride > 1:
        x = _thinned(x, filters, stride)
    return layers.Activation("relu")(layers.Add()([x, y]))


def _pre_activation_block(x: Any, filters: int, kernel_size: int, stride: int, dropout: float) -> Any:
    """Add two convolutions to the input, each after its activation."""
    y = _normalised(x)
    if x.shape[-1] != filters:
        x = _convolved(y, filters, 1, stride)  # of the activated input, as in the authors' code
    y = _normalised(_convolved(y, filters, kernel_size, stride))
    if dropout:
        y = layers.Dropout(dropout)(y)
    return layers.Add()([x, _convolved(y, filters, kernel_size)])


def _convolved(x: Any, filters: int, kernel_size: int, stride: int = 1) -> Any:
    """Convolve without bias: `(batch, h, w, c)` -> `(batch, ⌈h / stride⌉, ⌈w / stride⌉, filters)`."""
    if stride > 1 and kernel_size > 1:
        # With padding "same", the centres of Keras's convolution start at the second pixel if the size is
        # even and at the first if it is odd; the shortcut always starts at the first.
        x = layers.ZeroPadding2D(kernel_size // 2)(x)
        padding = "valid"
    else:
        padding = "same"
    return layers.Conv2D(
        filters, kernel_size, stride, padding, use_bias=False, kernel_initializer="he_normal"
    )(x)


def _normalised(x: Any, activation: str | None = "relu") -> Any:
    # With Keras's default momentum of 0.99, the statistics settle too slowly for a short training.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.Activation(activation)(x) if activation else x


def _thinned(x: Any, filters: int, stride: int) -> Any:
    """Take every `stride`-th pixel and append channels of zeros: a shortcut without weights."""
    x = layers.MaxPooling2D(1, stride, padding="same")(x)
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, filters - x.shape[-1]]])


def _classifier(images: Any, x: Any, num_classes: int, dropout: float = 0.0, *, name: str) -> Model:
    x = layers.GlobalAveragePooling2D()(x)  # (batch, filters of the last stage)
    if dropout:
        x = layers.Dropout(dropout)(x)
    # Probabilities stay float32 under mixed precision.
    return Model(images, layers.Dense(num_classes, activation="softmax", dtype="float32")(x), name=name)
