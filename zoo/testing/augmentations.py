"""Whether an augmentation policy keeps the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, PluginError
from zoo.space import read_space
from zoo.testing._failure import CheckFailed, called, checking
from zoo.testing._points import sampled_points

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def check_augmentation(
    function: Callable[..., Any],
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    samples: int = 5,
    seed: int = 0,
) -> None:
    """Apply a policy at its defaults and at random points of its search space.

    It has to be a list of Keras layers that together keep the shape, the dtype and the range
    `[0, 1]` of float images `(batch, height, width, channels)`, and change nothing outside training.
    At the defaults, unless the list is empty, the images have to differ from call to call.
    InvalidParameters is a right answer at a random point, never at the defaults.

    Raises:
        CheckFailed: what was expected, what came, and with which parameters.
    """
    import numpy as np

    from zoo.training.model import check_layers

    with checking(function, "its signature"):
        space = read_space(function)
    images = np.random.default_rng(seed).random((8, *input_shape), dtype="float32")
    defaults = space.defaults()
    for parameters in (defaults, *sampled_points(space, samples, seed)):
        try:
            with checking(function, "making the layers", parameters):
                layers = function(**parameters)
        except InvalidParameters as error:
            if parameters is defaults:
                text = f"the defaults have to be possible, but: {error}"
                raise CheckFailed(f"{called(function, parameters)}: {text}") from error
            continue
        with checking(function, "its layers", parameters):
            check_layers(layers)
            _check_outputs(layers, images)
            if parameters is defaults and layers:
                _check_random(layers, images)


def _check_outputs(layers: Sequence[Any], images: Array) -> None:
    import numpy as np

    kept = _apply(layers, images, training=False)
    if kept.shape != images.shape or not np.array_equal(kept, images):
        raise PluginError("expected the images unchanged outside training, but they were changed")
    changed = _apply(layers, images, training=True)
    if changed.shape != images.shape:
        raise PluginError(f"expected images of shape {images.shape}, but got {changed.shape}")
    if changed.dtype != images.dtype:
        raise PluginError(f"expected {images.dtype} as it went in, but got {changed.dtype}")
    low, high = float(changed.min()), float(changed.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # NaN fails too
        raise PluginError(f"expected values in 0 to 1, but they go from {low:.6g} to {high:.6g}")


def _check_random(layers: Sequence[Any], images: Array) -> None:
    import numpy as np

    first = _apply(layers, images, training=True)
    # Several, since a policy that flips a coin may well repeat itself once.
    if all(np.array_equal(first, _apply(layers, images, training=True)) for _ in range(5)):
        raise PluginError("expected other images at each call in training, but six calls gave the same")


def _apply(layers: Sequence[Any], images: Array, *, training: bool) -> Array:
    """The images after all layers; `training` reaches also those that do not ask for it."""
    from keras import Sequential, ops

    return ops.convert_to_numpy(Sequential(list(layers))(images, training=training)) if layers else images
