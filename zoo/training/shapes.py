"""Networks that do not fit the size of the images, because a layer is larger than its input.

The cause is the choice of parameters, not a mistake in a plugin. These exceptions have no own type, so zoo
recognizes them by their text; `tests/training/test_shapes.py` fails if a text changes.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zoo.errors import one_line

if TYPE_CHECKING:
    import keras

# Errors of Keras's convolutions and poolings, of its cropping layers, and of TensorFlow's operations.
_TEXTS = re.compile(
    r"Computed output size would be (?:zero or )?negative"
    r"|Values in `cropping` argument should be smaller than"
    r"|Negative dimension size caused by subtracting"
)


def shape_problem(build: Callable[[], Any], image_shape: tuple[int, int, int]) -> str:
    """Return a sentence about the layer that does not fit its input, or "" if all layers fit.

    Keras removes its own frames from tracebacks, and thus the layer. So the network is built again with all
    frames. It is called with a symbolic input, because the errors for real images depend on the backend.

    Args:
        build: returns the network, or raises the error to explain.
        image_shape: `(height, width, channels)`.
    """
    import keras

    was_filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    emptied: list[str] = []
    try:
        network = build()
        _watch_outputs(network, emptied)
        network(keras.Input(image_shape))
    except (Exception, SystemExit) as error:
        return emptied[0] if emptied else _problem_text(error)
    finally:
        if was_filtering:
            keras.config.enable_traceback_filtering()
    return emptied[0] if emptied else empty_layer(network)


def _watch_outputs(network: keras.Model, found: list[str]) -> None:
    """Add a sentence to `found` for every layer whose output is empty although its input is not.

    JAX raises no error for a pooling that is larger than its input. The network must not be used again.
    """

    def watch(layer: keras.Layer) -> None:
        call = layer.call

        def watched(inputs: Any, *arguments: Any, **options: Any) -> Any:
            outputs = call(inputs, *arguments, **options)
            before, after = (tuple(getattr(one, "shape", ()))[1:] for one in (inputs, outputs))
            if 0 in after and 0 not in before:
                found.append(f"{_name(layer)} leaves nothing of its input, {before}")
            return outputs

        layer.call = watched

    for layer in network._flatten_layers(include_self=False):
        watch(layer)


def empty_layer(network: keras.Model) -> str:
    """Return a sentence about the first layer with an empty input, or "" if there is none.

    Keras trains such a network without an error: its arrays have no elements.
    """
    # Keras has no public name for the layers in layers; tests/training/test_shapes.py fails if it changes.
    for layer in network._flatten_layers(include_self=False):
        name = _name(layer)
        if any(0 in weight.shape for weight in layer.weights):
            return f"{name} has an empty input; the layers before it leave nothing of the images"
        shape = (layer.get_build_config() or {}).get("input_shape")
        if isinstance(shape, tuple) and 0 in shape:
            return f"{name} has an empty input, {shape}; the layers before it leave nothing of the images"
    return ""


def _problem_text(error: BaseException) -> str:
    """Return the problem with the innermost layer of the traceback; "" for any other error."""
    import keras

    found = _TEXTS.search(text := one_line(error))
    if found is None:
        return ""
    frames = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    operations = [one for one in frames if isinstance(one, keras.Operation)]
    layers = [one for one in operations if isinstance(one, keras.Layer) and not isinstance(one, keras.Model)]
    innermost = (layers or operations)[-1:]
    subject = _name(innermost[0]) if innermost else "a layer"
    # In TensorFlow, the text continues with the operation.
    reason, _, _ = text[found.start() :].partition(" for '{{node")
    return f"{subject} does not fit the size of its input: {reason.rstrip('.')}"


def _name(layer: keras.Operation) -> str:
    return f"the layer '{layer.name}' ({type(layer).__name__})"
