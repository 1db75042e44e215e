"""Architectures under test, and their checks in the order in which they run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zoo.errors import InvalidParameters, PluginError
from zoo.global_state import changes_undone
from zoo.testing import _training
from zoo.testing._searched import (
    Array,
    Observation,
    SamplePoint,
    SearchedSubject,
    SearchOptions,
    Shape,
    global_state,
    search_space,
)
from zoo.testing._workers import outputs_under_others
from zoo.testing.kit import Skipped, Suite, Violation, call_text, check_all, counted
from zoo.training.model import check_probabilities, count_parameters, predict
from zoo.training.worker import fork_server

SUITE = Suite("architecture")

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

_SMALL = 8  # pixels: the side of scikit-learn's digits, which many people try first


@dataclass(frozen=True)
class ArchitectureOptions(SearchOptions):
    """Options of `check_architecture`; docs/testing.md explains them."""

    input_shapes: Sequence[Shape] = ((28, 28, 1), (32, 32, 3), (33, 27, 3))
    num_classes: int = 10
    class_counts: Sequence[int] = (2, 100)
    max_parameters: int = 100_000_000
    needs_plugin_to_load: bool = False


@dataclass
class NetworkObservation(Observation):
    """The facts about one network."""

    is_compiled: bool = False
    outputs: Any = None  # array (batch, num_classes), float32; None if the output is not one
    output_shape: str = ""  # as a text
    num_weights: int = 0


class Network(SearchedSubject):
    """An architecture under test."""

    suite = SUITE
    product = "a network"
    options_class = ArchitectureOptions
    observation_class = NetworkObservation

    def prepare(self, names: Sequence[str]) -> None:
        if "saving" in names:  # its process forks from a server that imports Keras in the meantime
            fork_server().start()

    def observe_all(self, *, class_counts: bool = True) -> Iterator[NetworkObservation]:
        """Yield observations at the defaults, in the space, for other shapes and numbers of classes."""
        yield from super().observe_all()
        if class_counts:
            yield from (self.observe(self.point(num_classes=count)) for count in self.options.class_counts)

    def call(self, point: SamplePoint) -> Any:
        import keras

        network = self.function(point.shape, point.num_classes, **point.parameters)
        if not isinstance(network, keras.Model):
            text = f"expected a keras.Model, got {type(network).__name__}; return the model"
            raise self.violation(point, text)
        return network

    def may_build(self, observation: NetworkObservation) -> bool:
        """Count the weights before the network is built: one of 10¹² would take down the machine."""
        gc.freeze()  # otherwise Keras, which collects garbage afterwards, visits all of TensorFlow's objects
        with suppress(InvalidParameters), changes_undone():
            observation.num_weights = count_parameters(lambda: self.call(observation.point)) or 0
        gc.unfreeze()
        return observation.num_weights <= int(self.options.max_parameters)

    def use(self, network: Any, observation: NetworkObservation) -> None:
        import keras

        observation.is_compiled = bool(network.compiled)
        outputs = network(self.images(observation.point.shape), training=False)
        observation.num_weights = int(network.count_params())
        if isinstance(outputs, list | tuple | dict):
            observation.output_shape = f"a {type(outputs).__name__} of {len(outputs)}"
            return
        array = keras.ops.convert_to_numpy(outputs).astype("float32")
        observation.output_shape = str(("batch", *array.shape[1:]))
        if array.shape[1:] == (observation.point.num_classes,):
            observation.outputs = array

    def build(self, point: SamplePoint, seed: int) -> Any:
        """Return the network of a usable point, with all its weights."""
        network = super().build(point, seed)
        network(self.images(point.shape, 1), training=False)  # a subclassed model has its weights only now
        return network

    def outputs_with(self, images: Array, weights: Sequence[Array]) -> Array:
        """Return outputs at the defaults with weights from another backend."""
        network = self.build(self.point(), self.options.seed)
        network.set_weights(weights)
        return predict(network, images)

    def call_text(self, point: SamplePoint) -> str:
        return call_text(self.name, (point.shape, point.num_classes), point.parameters)

    def violation(self, point: SamplePoint, text: str, cause: BaseException | None = None) -> Violation:
        violation = super().violation(point, text, cause)
        if point.num_classes != self.options.num_classes:
            violation.options["class_counts"] = [point.num_classes]
        return violation

    def require_output_shape(self, observation: NetworkObservation) -> None:
        """Raise Violation if there is a network whose output is not `(batch, num_classes)`."""
        text = (
            f"expected one output of shape {('batch', observation.point.num_classes)}, got "
            f"{observation.output_shape}; end the network with Dense(num_classes, activation='softmax')"
        )
        is_met = not observation.is_usable or observation.outputs is not None
        self.require(is_met, observation.point, text)


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


@SUITE.check("signature")
def defaults(net: Network) -> str:
    """Check that it builds a Keras model for images at its defaults."""
    images = f"images of {net.shape} and {net.options.num_classes} classes"
    expected = f"the defaults to be possible for {images}"
    observation = net.observe_sound(net.point(), expected, _DEFAULTS_HINT)
    if observation.num_weights > net.options.max_parameters:
        raise Skipped(f"{counted(observation.num_weights, 'weight')} are more than max_parameters")
    return counted(observation.num_weights, "weight")


SUITE.check("defaults")(search_space)


@SUITE.check("search_space")
def small_images(net: Network) -> str:
    """Check that it builds a model for 8×8 pixels, or raises InvalidParameters."""
    height, width, channels = net.shape
    small = (min(height, _SMALL), min(width, _SMALL), channels)
    for parameters in (net.defaults, *net.structures):
        net.require_sound(net.observe(net.point(parameters, shape=small)))
    return counted(1 + len(net.structures), "point")


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
        net.require_output_shape(net.observe_sound(point, f"a network for images of {shape}", _SHAPES_HINT))
    return ", ".join("×".join(map(str, shape)) for shape in net.options.shapes)


@SUITE.check("output_shape")
def class_numbers(net: Network) -> str:
    """Check each of the other numbers of classes."""
    for count in net.options.class_counts:
        point = net.point(num_classes=count)
        net.require_output_shape(net.observe_sound(point, f"a network for {count} classes", _CLASSES_HINT))
    return " and ".join(map(str, net.options.class_counts)) or "no other number given"


@SUITE.check("output_shape")
def probabilities(net: Network) -> None:
    """Check that the output is class probabilities: none below 0, and each row sums to 1."""
    for observation in net.observe_all():
        if observation.outputs is not None:
            try:
                check_probabilities(observation.outputs)
            except PluginError as error:
                raise net.violation(observation.point, str(error)) from None


@SUITE.check("signature")
def parameter_count(net: Network) -> str:
    """Check that no model has more weights than `max_parameters`."""
    defaults = net.observe(net.point())
    largest, limit = 0, net.options.max_parameters
    if not defaults.is_usable and defaults.num_weights <= limit:
        raise Skipped("there is no network at the defaults")
    for observation in net.observe_all():
        largest = max(largest, observation.num_weights)
        text = f"expected at most {limit:,} weights, got {largest:,} (a larger limit: max_parameters=…)"
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
    images, labels = net.images(), _training.labels_for(net)
    before = _loss(network, images, labels)
    network.compile(keras.optimizers.SGD(_training.LEARNING_RATE), "sparse_categorical_crossentropy")
    with net.no_exception(point, "to train one step"):
        network.fit(images, labels, batch_size=len(images), verbose=0)
        after = _loss(network, images, labels)
    text = f"expected a finite loss, but it went from {before:.6g} to {after:.6g}"
    net.require(bool(np.isfinite([before, after]).all()), point, text)
    net.require(before != after, point, f"expected one step to change the loss, but it stayed {before:.6g}")
    return f"loss from {before:.4g} to {after:.4g}"


@SUITE.check("training_step")
def gradients(net: Network) -> str:
    """Check that a gradient reaches every trainable weight, within three steps and three seeds."""
    _, text = net.at_structures(partial(_training.check_gradients, net), "network")
    return text


@SUITE.check("probabilities")
def saving(net: Network) -> str:
    """Check that saved models load without the plugin and zoo, and give the same outputs.

    With `needs_plugin_to_load` they are loaded in a process that imports the plugin first.
    """
    return _training.check_saving(net)


@SUITE.check("training_step")
def backends(net: Network) -> str:
    """Check that it does the same under the other backends that are installed."""
    import keras

    point = net.point()
    network, images = net.build(point, net.options.seed), net.images()
    arrays = (images, network.get_weights())
    names, checks = [keras.backend.backend()], ("probabilities", "training_step")
    for backend, outputs in outputs_under_others(net, checks, {"class_counts": ()}, arrays):
        _training.require_close(net, point, outputs, predict(network, images), f"under {backend}")
        names.append(backend)
    return " and ".join(names)


def _loss(network: Any, images: Array, labels: Array) -> float:
    true_class = predict(network, images).astype("float64")[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true_class, 1e-300, 1)).mean())
