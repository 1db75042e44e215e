"""Architectures under test, and their checks in the order in which they run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zoo.errors import InvalidParameters, PluginError, count_text, shape_text
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
from zoo.testing._workers import run_with_other_backends
from zoo.testing.kit import Skipped, Suite, Violation, call_text, check_all
from zoo.training.model import check_probabilities, count_parameters, predict
from zoo.training.shapes import empty_layer, shape_problem
from zoo.training.worker import fork_server

SUITE = Suite("architecture")

_SHAPES_HINT = (
    "if the architecture is not made for this size, declare its image sizes: input_shapes=[…], or "
    "--shape 64x64x3 on the command line"
)
_CLASSES_HINT = (
    "if the architecture is not made for this number of classes, declare its numbers of classes: "
    "num_classes=… and class_counts=[…], or --classes on the command line"
)
_DEFAULTS_HINT = (
    "if the architecture is made for other images, declare them: input_shapes=[…], num_classes=… and "
    "class_counts=[…], or --shape 64x64x3 and --classes on the command line"
)

_SMALL_SIDE = 8  # pixels: height and width of scikit-learn's digits, with which many authors begin


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
    """The properties of the network at one point."""

    is_compiled: bool = False
    outputs: Any = None  # array (batch, num_classes), float32; None if the output has another shape
    output_shape: str = ""  # for messages
    num_weights: int = 0


class ArchitectureSubject(SearchedSubject):
    """An architecture under test."""

    suite = SUITE
    product = "a network"
    options_class = ArchitectureOptions
    observation_class = NetworkObservation

    def prepare(self, names: Sequence[str]) -> None:
        if "saving" in names:  # the check uses the fork server, which first has to import Keras
            fork_server().start()

    def observe_all(self, *, class_counts: bool = True) -> Iterator[NetworkObservation]:
        """Yield observations at the defaults, in the space, for other image sizes and numbers of classes."""
        yield from super().observe_all()
        if class_counts:
            yield from (self.observe(self.point(num_classes=count)) for count in self.options.class_counts)

    def call(self, point: SamplePoint) -> Any:
        import keras

        network = self.function(point.shape, point.num_classes, **point.parameters)
        if not isinstance(network, keras.Model):
            text = f"expected a keras.Model, got {type(network).__name__}; return a model"
            raise self.violation(point, text)
        return network

    def is_small_enough(self, observation: NetworkObservation) -> bool:
        """Return whether the network has at most `max_parameters` weights.

        The weights are counted without building the network, because a large network may fill the memory.
        """
        gc.freeze()  # the garbage collection by Keras would be slow with all of TensorFlow's objects
        with suppress(InvalidParameters), changes_undone():
            observation.num_weights = count_parameters(lambda: self.call(observation.point)) or 0
        gc.unfreeze()
        return observation.num_weights <= int(self.options.max_parameters)

    def impossible_reason(self, point: SamplePoint) -> str:
        return shape_problem(lambda: self.call(point), point.shape)

    def use(self, network: Any, observation: NetworkObservation) -> None:
        import keras

        observation.is_compiled = bool(network.compiled)
        outputs = network(self.images(observation.point.shape), training=False)
        if problem := empty_layer(network):
            raise InvalidParameters(problem)
        observation.num_weights = int(network.count_params())
        if isinstance(outputs, list | tuple | dict):
            observation.output_shape = f"a {type(outputs).__name__} of {len(outputs)} outputs"
            return
        array = keras.ops.convert_to_numpy(outputs).astype("float32")
        observation.output_shape = str(("batch", *array.shape[1:]))
        if array.shape[1:] == (observation.point.num_classes,):
            observation.outputs = array

    def build(self, point: SamplePoint, seed: int) -> Any:
        """Return the network at a usable point, with all its weights."""
        network = super().build(point, seed)
        network(self.images(point.shape, 1), training=False)  # a subclassed model creates its weights here
        return network

    def outputs_with(self, images: Array, weights: Sequence[Array]) -> Array:
        """Return the outputs for `images` of the network at its defaults with the given weights.

        The check `backends` calls this in a process with another backend.
        """
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
        """Raise Violation if a usable network has another output than one array `(batch, num_classes)`."""
        text = (
            f"expected one output of shape {('batch', observation.point.num_classes)}, got "
            f"{observation.output_shape}; end the network with Dense(num_classes, activation='softmax')"
        )
        has_shape = not observation.is_usable or observation.outputs is not None
        self.require(has_shape, observation.point, text)

    def require_network(self, point: SamplePoint, use: str, hint: str) -> None:
        """Raise Violation unless the function builds a network with the right output for this use."""
        self.require_output_shape(self.observe_possible(point, f"a network for {use}", hint))


def check_architecture(
    function: Callable[..., Any], *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Run every check of an architecture, or those named in `checks`; docs/testing.md lists them.

    Args:
        input_shapes: image sizes `(height, width, channels)` for which the architecture is made. Points of
            the search space are tried with the first size. Default: 28×28×1, 32×32×3 and 33×27×3.
        input_shape: one image size, instead of a list.
        num_classes: usual number of classes; default 10.
        class_counts: other numbers of classes to try; default 2 and 100.
        space: a table as in a study: `{"weights": "none"}` fixes, `{"filters": {"high": 64}}` narrows.
        points: parameters to try instead of the corners and random points of the search space.
        samples: number of random points; default 20.
        seconds: time limit for random points, and for the networks that are trained or saved; default 15.
        seed: seed of points, images and weights; default 0.
        max_parameters: largest number of weights; default 100 million.
        needs_plugin_to_load: whether saved models may contain layers of the plugin; default False.

    Raises:
        CheckFailed: a check failed. The message states for each failed check what was expected, what was
            found, and a command that reproduces the failure.
    """
    __tracebackhide__ = True
    check_all(ArchitectureSubject(function, options), checks)


@SUITE.check("signature")
def defaults(subject: ArchitectureSubject) -> str:
    """Check that the function builds a Keras model at its defaults."""
    images = f"images of {subject.shape} and {subject.options.num_classes} classes"
    expected = f"defaults that are possible for {images}"
    observation = subject.observe_possible(subject.point(), expected, _DEFAULTS_HINT)
    if observation.num_weights > subject.options.max_parameters:
        text = count_text(observation.num_weights, "weight")
        raise Skipped(f"the network has {text}, more than max_parameters")
    return count_text(observation.num_weights, "weight")


SUITE.check("defaults")(search_space)


@SUITE.check("search_space")
def small_images(subject: ArchitectureSubject) -> str:
    """Check that the function builds a model for 8×8 pixels, or raises InvalidParameters."""
    height, width, channels = subject.shape
    small = (min(height, _SMALL_SIDE), min(width, _SMALL_SIDE), channels)
    for parameters in (subject.defaults, *subject.diverse_points):
        subject.require_no_failure(subject.observe(subject.point(parameters, shape=small)))
    return count_text(1 + len(subject.diverse_points), "point")


@SUITE.check("defaults")
def uncompiled(subject: ArchitectureSubject) -> None:
    """Check that no model is compiled."""
    text = "expected an uncompiled model, got a compiled model; remove compile(), because zoo compiles it"
    for observation in subject.observe_all():
        subject.require(not observation.is_compiled, observation.point, text)


@SUITE.check("defaults")
def output_shape(subject: ArchitectureSubject) -> None:
    """Check that the output of each model is one array `(batch, num_classes)`."""
    for observation in subject.observe_all(class_counts=False):
        subject.require_output_shape(observation)


@SUITE.check("output_shape")
def image_sizes(subject: ArchitectureSubject) -> str:
    """Check that the function builds a model for each of `input_shapes`."""
    for shape in subject.options.shapes:
        subject.require_network(subject.point(shape=shape), f"images of {shape}", _SHAPES_HINT)
    return ", ".join(map(shape_text, subject.options.shapes))


@SUITE.check("output_shape")
def class_numbers(subject: ArchitectureSubject) -> str:
    """Check that the function builds a model for each of `class_counts`."""
    for count in subject.options.class_counts:
        subject.require_network(subject.point(num_classes=count), f"{count} classes", _CLASSES_HINT)
    return " and ".join(map(str, subject.options.class_counts)) or "no numbers in class_counts"


@SUITE.check("output_shape")
def probabilities(subject: ArchitectureSubject) -> None:
    """Check that the outputs are class probabilities: none is below 0, and each row sums to 1."""
    for observation in subject.observe_all():
        if observation.outputs is not None:
            try:
                check_probabilities(observation.outputs)
            except PluginError as error:
                raise subject.violation(observation.point, str(error)) from None


@SUITE.check("signature")
def parameter_count(subject: ArchitectureSubject) -> str:
    """Check that no model has more weights than `max_parameters`."""
    defaults = subject.observe(subject.point())
    largest, limit = 0, subject.options.max_parameters
    if not defaults.is_usable and defaults.num_weights <= limit:
        raise Skipped("the function builds no network at its defaults")
    for observation in subject.observe_all():
        largest = max(largest, observation.num_weights)
        text = (
            f"expected at most {limit:,} weights, got {largest:,}; narrow the ranges, or set max_parameters=…"
        )
        subject.require(largest <= limit, observation.point, text)
    return f"at most {largest:,}"


@SUITE.check("defaults")
def repeatable(subject: ArchitectureSubject) -> None:
    """Check that the same seed gives the same initial weights."""
    expected = "expected the same initial weights from the same seed, but"
    point = subject.point()
    first, second = (subject.build(point, subject.options.seed) for _ in range(2))
    counts = len(first.weights), len(second.weights)
    subject.require(
        counts[0] == counts[1], point, f"{expected} two calls created {counts[0]} and {counts[1]} weights"
    )
    arrays = zip(first.weights, first.get_weights(), second.get_weights(), strict=True)
    for weight, first_array, second_array in arrays:
        text = f"{expected} '{weight.path}' differs; use Keras's initializers, without a seed of their own"
        subject.require(np.array_equal(first_array, second_array), point, text)


SUITE.check("defaults")(global_state)


@SUITE.check("probabilities")
def training_step(subject: ArchitectureSubject) -> str:
    """Check that one training step, compiled as in a trial, changes the loss, and that the loss is finite."""
    import keras

    point = subject.point()
    network = subject.build(point, subject.options.seed)
    text = "expected trainable weights, got none; set trainable=True on a layer"
    subject.require(bool(network.trainable_weights), point, text)
    images, labels = subject.images(), _training.labels_for(subject)
    before = _loss(network, images, labels)
    network.compile(keras.optimizers.SGD(_training.LEARNING_RATE), "sparse_categorical_crossentropy")
    with subject.report_exception(point, "one training step"):
        network.fit(images, labels, batch_size=len(images), verbose=0)
        after = _loss(network, images, labels)
    text = f"expected a finite loss, got {before:.6g} before the step and {after:.6g} after it"
    subject.require(bool(np.isfinite([before, after]).all()), point, text)
    subject.require(
        before != after,
        point,
        f"expected one step to change the loss, but the loss is {before:.6g} before and after it",
    )
    return f"loss from {before:.4g} to {after:.4g}"


@SUITE.check("training_step")
def gradients(subject: ArchitectureSubject) -> str:
    """Check that every trainable weight gets a gradient within three steps, with one of three seeds."""
    _, text = subject.run_at_diverse_points(partial(_training.check_gradients, subject), "network")
    return text


@SUITE.check("probabilities")
def saving(subject: ArchitectureSubject) -> str:
    """Check that saved models load without zoo and the plugin, and give the same outputs.

    With `needs_plugin_to_load`, the process that loads the models imports the plugin first.
    """
    return _training.check_saving(subject)


@SUITE.check("training_step")
def backends(subject: ArchitectureSubject) -> str:
    """Check that the network trains and gives the same outputs with every other installed backend."""
    import keras

    point = subject.point()
    network, images = subject.build(point, subject.options.seed), subject.images()
    arrays = (images, network.get_weights())
    names, checks = [keras.backend.backend()], ("probabilities", "training_step")
    for backend, outputs in run_with_other_backends(subject, checks, {"class_counts": ()}, arrays):
        _training.require_close(subject, point, outputs, predict(network, images), f"with {backend}")
        names.append(backend)
    return " and ".join(names)


def _loss(network: Any, images: Array, labels: Array) -> float:
    """Return the mean cross-entropy of the labels."""
    true_class = predict(network, images).astype("float64")[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true_class, 1e-300, 1)).mean())
