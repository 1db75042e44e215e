"""Functions for the network of an architecture: check it, add augmentation, predict, and measure it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, PluginError
from zoo.process import sign_of_life
from zoo.training.shapes import empty_layer

if TYPE_CHECKING:
    import keras
    import numpy as np


def assemble(
    network: keras.Model, augmentation: Sequence[Any], input_shape: tuple[int, int, int]
) -> tuple[keras.Model, keras.Model]:
    """Return the model to train and the model to save. Both take raw pixels 0–255 and contain `network`.

    Only the first has the augmentation layers. Both scale the pixels to `[0, 1]`, so that a saved
    model needs no other scaling.
    """
    import keras

    def build(layers: Sequence[Any], name: str) -> keras.Model:
        pixels = keras.Input(input_shape, name="pixels")  # (batch, height, width, channels), 0–255
        images = keras.layers.Rescaling(1 / 255, name="scale")(pixels)
        for layer in layers:
            images = layer(images)
        return keras.Model(pixels, network(images), name=name)

    return build(augmentation, "training"), build((), "classifier")


def check_network(network: Any, num_classes: int, images: np.ndarray[Any, Any]) -> None:
    """Raise PluginError if `network` violates the contract; `images`: a few, scaled to `[0, 1]`."""
    import keras

    if not isinstance(network, keras.Model):
        raise PluginError(f"expected a keras.Model, got {type(network).__name__}")
    if network.compiled:
        raise PluginError(
            "expected an uncompiled model; remove compile(), since the study sets the optimizer"
        )
    outputs = predict(network, images)
    if problem := empty_layer(network):
        raise PluginError(problem)
    if outputs.shape != (len(images), num_classes):
        raise PluginError(
            f"expected an output of shape {('batch', num_classes)}, got {('batch', *outputs.shape[1:])}; "
            'end with Dense(num_classes, activation="softmax")'
        )
    check_probabilities(outputs)


def check_probabilities(outputs: np.ndarray[Any, Any]) -> None:
    """Raise PluginError unless `outputs` can be class probabilities `(batch, num_classes)`."""
    import numpy as np

    if np.isnan(outputs).any():
        raise PluginError("expected class probabilities, got NaN before any training; check the initializers")
    if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):
        raise PluginError(
            "expected class probabilities (each row sums to 1), got rows that sum to "
            f"{float(outputs[0].sum()):.3g}; the last layer may lack its softmax"
        )


def check_layers(layers: Any) -> None:
    """Raise PluginError unless `layers`, from an augmentation policy, is a list of Keras layers."""
    import keras

    if not isinstance(layers, list | tuple) or not all(isinstance(layer, keras.Layer) for layer in layers):
        raise PluginError(f"expected a list of Keras layers, got {layers!r}")


def check_shape(layers: Sequence[Any], input_shape: tuple[int, int, int]) -> None:
    """Raise PluginError unless augmented images keep their shape `(height, width, channels)`."""
    import keras

    images = keras.Input(input_shape)
    for layer in layers:
        images = layer(images)
    if tuple(images.shape[1:]) != tuple(input_shape):
        raise PluginError(f"expected images of shape {input_shape}, got {tuple(images.shape[1:])}")


def predict(model: Any, images: np.ndarray[Any, Any], batch_size: int = 512) -> np.ndarray[Any, Any]:
    """Return class probabilities `(n, num_classes)`, float32.

    The model runs eagerly: tracing the model would take longer than a single pass over the images.
    """
    import numpy as np
    from keras import ops

    parts = []
    for start in range(0, len(images), batch_size):
        sign_of_life()
        parts.append(ops.convert_to_numpy(model(images[start : start + batch_size], training=False)))
    return np.concatenate(parts).astype("float32")


def count_parameters(build: Callable[[], Any]) -> int | None:
    """Return the number of weights of the network that `build` makes, without allocating them.

    None if `build` raises an error other than InvalidParameters: the network then raises it when it is built.
    """
    import keras

    try:
        with keras.StatelessScope(initialize_variables=False):
            return int(build().count_params())
    except InvalidParameters:
        raise
    except (Exception, SystemExit):
        return None
    finally:
        keras.utils.clear_session()  # otherwise the next scope would allocate these weights


def latency_ms(model: Any, image: np.ndarray[Any, Any]) -> float:
    """Return the time of the compiled forward pass of one image `(1, height, width, channels)`.

    The result is the median of 200 passes after ten warm-up passes. For a slow model, only as many passes as
    fit into two seconds are made, at least five. Other work on the same device makes the time longer.
    """
    times: list[float] = []
    for _ in range(10):
        model.predict_on_batch(image)
    while len(times) < 5 or (len(times) < 200 and sum(times) < 2.0):
        start = time.perf_counter()
        model.predict_on_batch(image)
        times.append(time.perf_counter() - start)
    return 1000 * median(times)


def layer_table(model: Any) -> str:
    """Return the layer table as text, at most 79 columns wide."""
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=79, expand_nested=True)
    return "\n".join(lines) + "\n"
