"""The checks of an architecture, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zoo.errors import PluginError
from zoo.testing import _gradients, _saving
from zoo.testing._backends import outputs_under_others
from zoo.testing._failures import Skipped, counted, counted_of
from zoo.testing._network import SUITE, Network, NetworkObservation
from zoo.testing._searched import Array, SamplePoint, global_state, search_space
from zoo.testing.kit import check_all, docstring, signature
from zoo.training.model import check_probabilities, predict

_SHAPES_HINT = (
    "if it is not made for them, declare its sizes: input_shapes=[…]; at the prompt --shape 64x64x3"
)
_CLASSES_HINT = (
    "if it is not made for so many, declare the numbers: num_classes=… and class_counts=[…]; "
    "at the prompt --classes"
)
_DEFAULTS_HINT = (
    "if it is not made for them, declare what it is made for: input_shapes=[…], num_classes=… and "
    "class_counts=[…]; at the prompt --shape 64x64x3 and --classes"
)


def check_architecture(
    function: Callable[..., Any], *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Run every check of an architecture, or those named in `checks`; docs/testing.md lists them.

    Args:
        input_shapes: list of `(height, width, channels)` that it is made for; its space is tried with the
            first. Default: 28×28×1, 32×32×3 and 33×27×3. `input_shape` gives a single one.
        num_classes: usual number of classes; 10. `class_counts`: other numbers to try; 2 and 100.
        space: a table as in a study: `{"weights": "none"}` fixes, `{"filters": {"high": 64}}` narrows.
        points: list of parameters to try instead of corners and random points.
        samples: number of random points; 20. `seconds`: time limit for random points, and for the networks
            that are trained or saved; 15. `seed`: 0.
        max_parameters: largest number of weights; 100 million.
        needs_plugin_to_load: its saved models may contain layers of the plugin.

    Raises:
        CheckFailed: with each failed check: what was expected, what was found, at which parameters, and a
            command that reproduces it.
    """
    __tracebackhide__ = True
    check_all(Network(function, options), checks)


SUITE.check()(signature)
SUITE.check("signature")(docstring)


@SUITE.check("signature")
def defaults(net: Network) -> str:
    """Check that it builds a Keras model for images at its defaults."""
    images = f"images of {net.shape} and {net.options.num_classes} classes"
    observation = _observe_sound(
        net, net.point(), f"the defaults to be possible for {images}", _DEFAULTS_HINT
    )
    if observation.is_too_large:
        raise Skipped(f"{counted(observation.num_weights, 'weight')} are more than max_parameters")
    return counted(observation.num_weights, "weight")


SUITE.check("defaults")(search_space)


@SUITE.check("search_space")
def small_images(net: Network) -> str:
    """Check that it builds a model for 8×8 pixels, or raises InvalidParameters."""
    points = net.small_points()
    for point in points:
        net.require_sound(net.observe(point))
    return counted(len(points), "point")


@SUITE.check("defaults")
def uncompiled(net: Network) -> None:
    """Check that no model is compiled."""
    text = "expected an uncompiled model, but it is compiled; remove model.compile, which the study calls"
    for observation in net.observe_all():
        net.require(not observation.is_compiled, observation.point, text)


@SUITE.check("defaults")
def output_shape(net: Network) -> None:
    """Check that the output is one array `(batch, num_classes)`."""
    for observation in net.observe_all(class_counts=False):
        net.require_output_shape(observation)


@SUITE.check("output_shape")
def image_sizes(net: Network) -> str:
    """Check each of the input shapes."""
    for shape in net.options.shapes:
        point = net.point(shape=shape)
        net.require_output_shape(_observe_sound(net, point, f"a network for images of {shape}", _SHAPES_HINT))
    return ", ".join("×".join(map(str, shape)) for shape in net.options.shapes)


@SUITE.check("output_shape")
def class_numbers(net: Network) -> str:
    """Check each of the other numbers of classes."""
    for count in net.options.class_counts:
        point = net.point(num_classes=count)
        net.require_output_shape(_observe_sound(net, point, f"a network for {count} classes", _CLASSES_HINT))
    return " and ".join(map(str, net.options.class_counts)) or "no other number given"


@SUITE.check("output_shape")
def probabilities(net: Network) -> None:
    """Check that the output is class probabilities: none below 0, and each row sums to 1."""
    for observation in net.observe_all():
        if observation.has_contract_shape:
            try:
                check_probabilities(observation.outputs)
            except PluginError as error:
                raise net.violation(observation.point, str(error)) from None


@SUITE.check("signature")
def parameter_count(net: Network) -> str:
    """Check that no model has more weights than `max_parameters`."""
    defaults = net.observe(net.point())
    if not (defaults.is_usable or defaults.is_too_large):
        raise Skipped("there is no network at the defaults")
    largest, limit = 0, net.options.max_parameters
    for observation in net.observe_all():
        largest = max(largest, observation.num_weights)
        text = (
            f"expected at most {limit:,} weights, but it has {largest:,} (a larger limit: max_parameters=…)"
        )
        net.require(largest <= limit, observation.point, text)
    return f"at most {largest:,}"


@SUITE.check("defaults")
def repeatable(net: Network) -> None:
    """Check that the same seed gives the same initial weights."""
    expected = "expected the same initial weights from the same seed, but"
    point = net.point()
    first, second = (net.build(point, net.options.seed) for _ in range(2))
    counts = len(first.weights), len(second.weights)
    net.require(counts[0] == counts[1], point, f"{expected} there are {counts[0]}, then {counts[1]}")
    for weight, one, other in zip(first.weights, first.get_weights(), second.get_weights(), strict=True):
        text = f"{expected} '{weight.path}' differs; use Keras's initializers without a seed"
        net.require(np.array_equal(one, other), point, text)


SUITE.check("defaults")(global_state)


@SUITE.check("probabilities")
def training_step(net: Network) -> str:
    """Check that a training step, compiled as in a trial, changes the loss, and that the loss is finite."""
    import keras

    point = net.point()
    network = net.build(point, net.options.seed)
    text = "expected trainable weights, but there are none; set trainable=True"
    net.require(bool(network.trainable_weights), point, text)
    images, labels = net.images(), _gradients.labels_for(net)
    before = _gradients.loss(network, images, labels)
    network.compile(keras.optimizers.SGD(_gradients.LEARNING_RATE), "sparse_categorical_crossentropy")
    with net.no_exception(point, "to train one step"):
        network.fit(images, labels, batch_size=len(images), verbose=0)
        after = _gradients.loss(network, images, labels)
    text = f"expected a finite loss, but it went from {before:.6g} to {after:.6g}"
    net.require(bool(np.isfinite([before, after]).all()), point, text)
    net.require(before != after, point, f"expected one step to change the loss, but it stayed {before:.6g}")
    return f"loss from {before:.4g} to {after:.4g}"


@SUITE.check("training_step")
def gradients(net: Network) -> str:
    """Check that a gradient reaches every trainable weight, within three steps and three seeds."""
    tried, points = 0, net.usable_structures()
    for point in net.within_time(points):
        _gradients.check_gradients(net, point)
        tried += 1
    return counted_of(tried, len(points), "network")


@SUITE.check("probabilities")
def saving(net: Network) -> str:
    """Check that saved models load without the plugin and zoo, and give the same outputs.

    With `needs_plugin_to_load` they are loaded in a process that imports the plugin first.
    """
    return _saving.check_saving(net)


@SUITE.check("training_step")
def backends(net: Network) -> str:
    """Check that it does the same under the other backends that are installed."""
    import keras

    point = net.point()
    network, images = net.build(point, net.options.seed), net.images()

    def arrays() -> dict[str, Array]:
        weights = {f"weight_{number}": array for number, array in enumerate(network.get_weights())}
        return {"images": images, **weights}

    names, checks = [keras.backend.backend()], ("probabilities", "training_step")
    for backend, outputs in outputs_under_others(net, checks, {"class_counts": ()}, arrays):
        _saving.require_close(net, point, outputs, predict(network, images), f"under {backend}")
        names.append(backend)
    return " and ".join(names)


def _observe_sound(net: Network, point: SamplePoint, expected: str, hint: str) -> NetworkObservation:
    """Return the observation at a point where there must be a network."""
    observation: NetworkObservation = net.observe(point)
    net.require_possible(observation, expected, hint)
    net.require_sound(observation)
    return observation
