"""Around the network an architecture built: raw pixels in front, augmentation while training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, PluginError

if TYPE_CHECKING:
    import keras
    import numpy as np

# Passes of one image: how many before and while it is timed, and how long that may take.
_WARM_UP, _PASSES, _SECONDS = 10, 200, 2.0


def assemble(
    network: keras.Model, augmentation: Sequence[Any], input_shape: tuple[int, int, int]
) -> tuple[keras.Model, keras.Model]:
    """The model to train and the model to keep; both take raw pixels 0–255 and share `network`.

    Only the first has the augmentation layers. The scaling to `[0, 1]` is part of both, so that
    nobody who loads the model has to know of it.
    """
    import keras

    def model(layers: Sequence[Any], name: str) -> keras.Model:
        pixels = keras.Input(input_shape, name="pixels")  # (batch, height, width, channels), 0–255
        images = keras.layers.Rescaling(1 / 255, name="scale")(pixels)
        for layer in layers:
            images = layer(images)
        return keras.Model(pixels, network(images), name=name)

    return model(augmentation, "training"), model((), "classifier")


def check_network(network: Any, num_classes: int, images: np.ndarray[Any, Any]) -> None:
    """What the contract asks of an architecture, seen on a few images `(n, h, w, c)` in `[0, 1]`.

    Raises:
        PluginError: not a Keras model, compiled already, or its output is not `(batch,
            num_classes)` class probabilities.
    """
    import keras

    if not isinstance(network, keras.Model):
        raise PluginError(f"expected a keras.Model, but got {type(network).__name__}")
    if network.compiled:
        raise PluginError("expected an uncompiled model; compiling is the study's part")
    outputs = predict(network, images)
    if outputs.shape != (len(images), num_classes):
        expected = ("batch", num_classes)
        raise PluginError(f"expected an output of shape {expected}, but got {('batch', *outputs.shape[1:])}")
    check_probabilities(outputs)


def check_probabilities(outputs: np.ndarray[Any, Any]) -> None:
    """`(batch, num_classes)` is class probabilities, as far as one can see.

    Raises:
        PluginError: a NaN, a number below 0, or a row that does not sum to 1.
    """
    import numpy as np

    if np.isnan(outputs).any():
        raise PluginError("its output is NaN before any training")
    if (outputs < 0).any() or not np.allclose(outputs.sum(axis=1), 1, atol=1e-2):
        raise PluginError(
            "expected class probabilities (each row sums to 1), but they sum to "
            f"{float(outputs[0].sum()):.3g}; the last layer may lack its softmax"
        )


def check_layers(layers: Any) -> None:
    """An augmentation policy returns a list of Keras layers."""
    import keras

    if not isinstance(layers, list | tuple) or not all(isinstance(layer, keras.Layer) for layer in layers):
        raise PluginError(f"expected a list of Keras layers, but got {layers!r}")


def check_shape(layers: Sequence[Any], input_shape: tuple[int, int, int]) -> None:
    """Augmented images have the shape they had before: `(height, width, channels)`.

    Raises:
        PluginError: they have another.
    """
    import keras

    images = keras.Input(input_shape)
    for layer in layers:
        images = layer(images)
    if tuple(images.shape[1:]) != tuple(input_shape):
        raise PluginError(f"expected images of shape {input_shape}, but got {tuple(images.shape[1:])}")


def predict(model: Any, images: np.ndarray[Any, Any], batch_size: int = 512) -> np.ndarray[Any, Any]:
    """Class probabilities `(n, num_classes)`, float32. Eager: tracing costs more than it saves here."""
    import numpy as np
    from keras import ops

    parts = [
        ops.convert_to_numpy(model(images[start : start + batch_size], training=False))
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts).astype("float32")


def count_parameters(build: Callable[[], Any]) -> int | None:
    """How many weights the network of `build` has, without making them: in milliseconds, however many.

    None where that cannot be told without; who builds it in earnest hears why.

    Raises:
        InvalidParameters: as `build`.
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
        keras.utils.clear_session()  # or the next scope would make those weights


def latency_ms(model: Any, image: np.ndarray[Any, Any]) -> float:
    """Milliseconds that the compiled forward pass of one image `(1, height, width, channels)` takes.

    The median of up to 200 passes, fewer where they take more than two seconds, after some that
    warm up. They are alone on their device only where nothing else runs on it.
    """
    passes: list[float] = []
    for _ in range(_WARM_UP):
        model.predict_on_batch(image)
    while len(passes) < _PASSES and not (len(passes) >= 5 and sum(passes) > _SECONDS):
        began = time.perf_counter()
        model.predict_on_batch(image)
        passes.append(time.perf_counter() - began)
    return 1000 * median(passes)


def summary(model: Any) -> str:
    """The layer table as text; Keras draws it 80 columns wide where there is no terminal."""
    lines: list[str] = []
    write: Callable[..., None] = lambda line, **_: lines.append(line)  # noqa: E731
    model.summary(print_fn=write, line_length=79, expand_nested=True)
    return "\n".join(lines) + "\n"
