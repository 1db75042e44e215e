"""Descriptions of the layers of a network, as in the documentation and the tests."""

from __future__ import annotations

import keras


def words_of(network):
    """Return a description: `conv 16 3×3 relu, pool 2, flatten, dense 10 softmax`."""
    return ", ".join(_word(layer) for layer in network.layers if type(layer).__name__ != "InputLayer")


def _word(layer):
    kind = type(layer).__name__
    if kind == "Conv2D":
        size = "×".join(map(str, layer.kernel_size))
        parts = ["conv", layer.filters, size, layer.padding, layer.activation.__name__]
        return " ".join(str(part) for part in parts if part not in ("valid", "linear"))
    if kind == "Dense":
        return f"dense {layer.units} {layer.activation.__name__}"
    if kind == "MaxPooling2D":
        assert layer.pool_size == layer.strides
        return f"pool {layer.pool_size[0]}"
    if kind == "Activation":
        return layer.activation.__name__
    if kind == "Dropout":
        return f"dropout {layer.rate}"
    if kind == "Concatenate":
        return "both classes"
    if kind == "Rescaling":
        assert (layer.scale, layer.offset) == (-1.0, 1.0)
        return "the other class"
    plain = {
        "BatchNormalization": "batch normalization",
        "Flatten": "flatten",
        "GlobalMaxPooling2D": "global max pooling",
        "GlobalAveragePooling2D": "global average pooling",
    }
    return plain[kind]


def counted(function, input_shape, num_classes, **parameters):
    """Build the network without initialising its weights, which saves time and memory."""
    with keras.StatelessScope(initialize_variables=False):
        return function(input_shape, num_classes, **parameters)
