"""Whether an architecture keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.errors import InvalidParameters
from zoo.space import read_space
from zoo.testing._failure import CheckFailed, called, checking
from zoo.testing._points import sampled_points


def check_architecture(
    function: Callable[..., Any],
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    samples: int = 5,
    seed: int = 0,
) -> None:
    """Build an architecture at its defaults and at random points of its search space.

    Each model has to be an uncompiled Keras model that turns float images in `[0, 1]`, shape
    `input_shape = (height, width, channels)`, into class probabilities `(batch, num_classes)`.
    InvalidParameters is a right answer at a random point, never at the defaults.

    Raises:
        CheckFailed: what was expected, what came, and with which parameters.
    """
    import numpy as np

    from zoo.training.model import check_network

    with checking(function, "its signature"):
        space = read_space(function, positional=("input_shape", "num_classes"))
    images = np.random.default_rng(seed).random((4, *input_shape), dtype="float32")
    defaults = space.defaults()
    for parameters in (defaults, *sampled_points(space, samples, seed)):
        try:
            with checking(function, "building the model", parameters):
                network = function(input_shape, num_classes, **parameters)
        except InvalidParameters as error:
            if parameters is defaults:
                text = f"the defaults have to be possible for images of {input_shape}, but: {error}"
                raise CheckFailed(f"{called(function, parameters)}: {text}") from error
            continue
        with checking(function, "the model", parameters):
            check_network(network, num_classes, images)
