"""Augmentation policies under test, and their checks in the order in which they run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zoo.errors import PluginError, count_text
from zoo.testing._searched import (
    BATCH_SIZE,
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
from zoo.testing.kit import Skipped, Suite, call_text, check_all
from zoo.training.model import assemble, check_layers, check_shape

SUITE = Suite("augmentation")

_NUM_CALLS = 6
_TOLERANCE = 1e-5  # the weights of an interpolation may sum to 1.0000001
_NUM_PROBE_IMAGES = 1000  # training images and held-out images together
_UNIFORM_IMAGES = (0.0, 1.0, 0.3)  # pixel values of a black, a white and a grey image


@dataclass(frozen=True)
class AugmentationOptions(SearchOptions):
    """Options of `check_augmentation`; docs/testing.md explains them."""

    probe: Callable[[], Any] | None = None


@dataclass
class PolicyObservation(Observation):
    """The images that the layers at one point return."""

    inference_images: Any = None  # array (batch, height, width, channels), with training=False
    training_images: Any = None  # the same with training=True


class PolicySubject(SearchedSubject):
    """An augmentation policy under test."""

    suite = SUITE
    product = "a list of Keras layers"
    options_class = AugmentationOptions
    observation_class = PolicyObservation

    def images(self, shape: Shape | None = None, count: int = BATCH_SIZE) -> Array:
        """Return random images; the last three are black, white and grey.

        A layer that divides by the range of an image's pixels divides by 0 in a uniform image.
        """
        images = super().images(shape, count)
        for number, value in enumerate(_UNIFORM_IMAGES, start=count - len(_UNIFORM_IMAGES)):
            images[number] = value
        return images

    def call(self, point: SamplePoint) -> list[Any]:
        layers = self.function(**point.parameters)
        try:
            check_layers(layers)
        except PluginError as error:
            raise self.violation(point, str(error)) from None
        return list(layers)

    def use(self, layers: Sequence[Any], observation: PolicyObservation) -> None:
        images = self.images(observation.point.shape)
        observation.inference_images = apply(layers, images, training=False)
        observation.training_images = apply(layers, images, training=True)

    def default_layers(self, seed_offset: int = 0) -> list[Any]:
        """Return new layers at the defaults, built after Keras's seed is set."""
        layers: list[Any] = self.build(self.point(), self.options.seed + seed_offset)
        return layers

    def call_text(self, point: SamplePoint) -> str:
        text = call_text(self.name, (), point.parameters)
        return text if point.shape == self.shape else f"{text} for images of {point.shape}"

    def require_no_failure(self, observation: Observation) -> None:
        """Raise Violation if the call failed. The check `applies` reports failures of the layers."""
        if not observation.is_built:
            super().require_no_failure(observation)


def check_augmentation(
    function: Callable[..., Any], *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Run every check of an augmentation policy, or those named in `checks`; docs/testing.md lists them.

    Args:
        input_shapes: sizes `(height, width, channels)` of the images that the layers are applied to. The
            defaults are tried with each size, points of the search space with the first. Default: 28×28×1
            and 33×27×3.
        input_shape: one image size, instead of a list.
        space: a table as in a study: `{"fill": "black"}` fixes, `{"shift": {"high": 0.1}}` narrows.
        points: parameters to try instead of the corners and random points of the search space.
        samples: number of random points; default 20.
        seconds: time limit for random points, and for the models that are trained; default 15.
        seed: seed of points, images and layers; default 0.
        probe: function that returns a `zoo.Dataset`, such as `digits`, for the check `labels`.

    Raises:
        CheckFailed: a check failed. The message states for each failed check what was expected, what was
            found, and a command that reproduces the failure.
    """
    __tracebackhide__ = True
    check_all(PolicySubject(function, options), checks)


@SUITE.check("signature")
def defaults(subject: PolicySubject) -> str:
    """Check that the function returns a list of Keras layers at its defaults; the list may be empty."""
    hint = "choose defaults that the function accepts for every image"
    subject.observe_possible(subject.point(), "defaults that are possible", hint)
    return count_text(len(subject.default_layers()), "layer")


SUITE.check("defaults")(search_space)


@SUITE.check("defaults")
def applies(subject: PolicySubject) -> None:
    """Check that the layers take float images, with `training=True` and with `training=False`."""
    for observation in subject.observe_all():
        if observation.is_built and observation.failure:
            raise observation.failure


def _usable(subject: PolicySubject) -> Iterator[PolicyObservation]:
    """Return the observations whose layers work."""
    return (observation for observation in subject.observe_all() if observation.is_usable)


@SUITE.check("applies")
def shape(subject: PolicySubject) -> None:
    """Check that the layers do not change the shape of images in training."""
    for observation in _usable(subject):
        expected, found = subject.images(observation.point.shape).shape, observation.training_images.shape
        text = f"expected the unchanged shape {expected}, got {found}; crop or pad the images to this size"
        subject.require(found == expected, observation.point, text)


@SUITE.check("applies")
def dtype(subject: PolicySubject) -> None:
    """Check that the layers return float32 images in training."""
    for observation in _usable(subject):
        found = observation.training_images.dtype
        text = f"expected float32 images, got {found}; use keras.ops.cast(images, 'float32')"
        subject.require(found == "float32", observation.point, text)


@SUITE.check("applies")
def value_range(subject: PolicySubject) -> None:
    """Check that pixels stay in `[0, 1]` in training."""
    for observation in _usable(subject):
        images = observation.training_images
        low, high = float(images.min(initial=0)), float(images.max(initial=0))
        text = f"expected pixels in [0, 1], got {low:.6g} to {high:.6g}; use keras.ops.clip(images, 0, 1)"
        is_inside = low >= -_TOLERANCE and high <= 1 + _TOLERANCE  # also False for NaN
        subject.require(is_inside, observation.point, text)


@SUITE.check("applies")
def inference(subject: PolicySubject) -> None:
    """Check that the layers return their input with `training=False`."""
    text = "expected unchanged images with training=False, but they changed; return the input in this case"
    for observation in _usable(subject):
        images = subject.images(observation.point.shape)
        subject.require(np.array_equal(observation.inference_images, images), observation.point, text)


@SUITE.check("applies")
def repeatable(subject: PolicySubject) -> None:
    """Check that the same seed gives the same images."""
    first, second = (apply(subject.default_layers(), subject.images(), training=True) for _ in range(2))
    text = "expected the same images from the same seed, got others; use SeedGenerator() without a seed"
    subject.require(np.array_equal(first, second, equal_nan=True), subject.point(), text)


SUITE.check("defaults")(global_state)


@SUITE.check("applies")
def serialisable(subject: PolicySubject) -> str:
    """Check that each layer can be created from its configuration, after a conversion to JSON and back."""
    _, text = subject.run_at_diverse_points(partial(_check_configurations, subject), "point")
    return text


@SUITE.check("shape", "dtype", "value_range")
def training_step(subject: PolicySubject) -> str:
    """Check that one training step works with the layers in front of a network, compiled as in a trial."""
    _, text = subject.run_at_diverse_points(
        partial(_check_training, subject), "model", subject.other_shapes()
    )
    return text


@SUITE.check("training_step")
def random(subject: PolicySubject) -> str:
    """Check that each call in training returns other images, also in a compiled model.

    A compiled model calls NumPy only once, during compilation, so its random numbers become constants.
    """
    layers = subject.default_layers()
    if not layers:
        return "no layers"

    call_eagerly = partial(apply, layers, training=True)
    call_compiled = compile_layers(subject.default_layers(), subject.shape)
    compiled_text = " in a compiled model; use keras.random and a SeedGenerator"
    for call, where in ((call_eagerly, ""), (call_compiled, compiled_text)):
        first = call(subject.images())
        # Several calls, because a policy with few outcomes may return the same images twice by chance.
        is_same = all(np.array_equal(first, call(subject.images())) for _ in range(_NUM_CALLS - 1))
        text = (
            f"expected other images at each call in training, but {_NUM_CALLS} calls returned the same{where}"
        )
        subject.require(not is_same, subject.point(), text)
    return ""


@SUITE.check("training_step", "repeatable")
def independent(subject: PolicySubject) -> None:
    """Check that no image depends on another image of its batch, also in a compiled model.

    zoo does not change the labels, so a layer must not mix images.
    """
    images = subject.images()
    with_other_first = images.copy()
    with_other_first[0] = 1 - images[0]

    def call_eagerly(images: Array, offset: int) -> Array:
        return apply(subject.default_layers(offset), images, training=True)

    def call_compiled(images: Array, offset: int) -> Array:
        return compile_layers(subject.default_layers(offset), subject.shape)(images)

    # Several seeds, because a layer that shuffles a batch may leave the first image first by chance.
    for call, num_seeds, where in (
        (call_eagerly, _NUM_CALLS, ""),
        (call_compiled, 1, " in a compiled model"),
    ):
        for offset in range(num_seeds):
            results = call(images, offset)[1:]
            other_results = call(with_other_first, offset)[1:]
            text = (
                "expected a result for each image that does not depend on other images, but the results "
                f"change if the first image of the batch changes{where}; do not mix images, because the "
                "labels do not change"
            )
            subject.require(
                np.allclose(results, other_results, rtol=0, atol=_TOLERANCE), subject.point(), text
            )


@SUITE.check("shape", "dtype", "value_range")
def labels(subject: PolicySubject) -> str:
    """Check that a classifier recognizes the classes of augmented images of the dataset `probe`.

    The classifier is a random forest (Breiman 2001), trained on original and augmented images. Its accuracy
    is measured on other images. On augmented images, the accuracy above chance must be at least half of the
    accuracy above chance on original images.
    """
    if subject.options.probe is None:
        raise Skipped("the option probe is not set, such as probe=digits")
    original, augmented, chance = _probe_accuracies(subject)
    if original < chance + 0.2:
        raise Skipped(f"the accuracy on original images is too low: {original:.0%}, by chance {chance:.0%}")
    text = (
        f"expected recognizable labels, but a classifier has an accuracy of {original:.0%} on original "
        f"images and {augmented:.0%} on augmented images (chance: {chance:.0%}); use weaker defaults"
    )
    subject.require(augmented >= chance + (original - chance) / 2, subject.point(), text)
    return f"accuracy of a classifier: {original:.0%} on original images, {augmented:.0%} on augmented images"


@SUITE.check("training_step", "value_range", "inference", "random", "repeatable")
def backends(subject: PolicySubject) -> str:
    """Check that the policy passes the needed checks with every other installed backend too."""
    import keras

    others = [backend for backend, _ in run_with_other_backends(subject, SUITE.checks["backends"].needs, {})]
    return " and ".join([keras.backend.backend(), *others])


def apply(layers: Sequence[Any], images: Array, *, training: bool) -> Array:
    """Return the images after all layers.

    `Sequential` also passes `training` to layers inside a layer whose `call` has no such argument.
    """
    from keras import Sequential, ops

    if not layers:
        return images
    outputs: Array = ops.convert_to_numpy(Sequential(list(layers))(images, training=training))
    return outputs


def compile_layers(layers: Sequence[Any], shape: Shape) -> Callable[[Array], Array]:
    """Return a function that applies the layers in training, as part of a compiled model.

    The model predicts one image first, because Keras compiles a model for any batch size only at a call with
    a second size. In a trial, the batch size is unknown too.
    """
    if not layers:
        return lambda images: images
    import keras

    class InTraining(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.policy = keras.Sequential(list(layers))

        def call(self, images: Any) -> Any:
            return self.policy(images, training=True)

    model = keras.Sequential([keras.Input(shape), InTraining()])
    model.predict(np.zeros((1, *shape), "float32"), verbose=0)
    return partial(model.predict, verbose=0)


def _check_configurations(subject: PolicySubject, point: SamplePoint) -> None:
    """Raise Violation if a layer cannot be created from its configuration."""
    from keras import saving

    for layer in subject.build(point, subject.options.seed):
        name = type(layer).__name__
        with subject.report_exception(point, f"{name} to be created from its get_config()"):
            config = json.loads(json.dumps(saving.serialize_keras_object(layer)))
            copy = saving.deserialize_keras_object(config, custom_objects={name: type(layer)})
            copied = json.loads(json.dumps(saving.serialize_keras_object(copy)))
        text = (
            f"expected {name} with an unchanged configuration, got {copied['config']}; complete get_config()"
        )
        subject.require(config["config"] == copied["config"], point, text)


def _check_training(subject: PolicySubject, point: SamplePoint) -> None:
    """Raise Violation if one training step with the layers of a point fails."""
    import keras

    labels = np.arange(len(subject.images())) % 2
    layers = subject.build(point, subject.options.seed)
    with subject.report_exception(point, "one training step with the layers in front of a network"):
        check_shape(layers, point.shape)
        head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")]
        model, _ = assemble(keras.Sequential([keras.Input(point.shape), *head]), layers, point.shape)
        model.compile("sgd", "sparse_categorical_crossentropy")
        loss = model.fit(subject.images(point.shape) * 255, labels, verbose=0).history["loss"][0]
    subject.require(bool(np.isfinite(loss)), point, f"expected a finite loss, got {loss}")


def _probe_accuracies(subject: PolicySubject) -> tuple[float, float, float]:
    """Return the classifier's accuracy on original and on augmented images, and the accuracy by chance."""
    from sklearn.ensemble import RandomForestClassifier

    dataset, seed = subject.options.probe(), subject.options.seed
    rows = np.random.default_rng(seed).permutation(len(dataset.train))[:_NUM_PROBE_IMAGES]
    images = np.asarray(dataset.train.images)[rows].astype("float32") / 255
    labels = np.asarray(dataset.train.labels)[rows]
    layers, num_held_out = subject.default_layers(), len(images) // 4
    versions = [images, *(apply(layers, images, training=True) for _ in range(2))]
    features = [version.reshape(len(version), -1) for version in versions]
    forest = RandomForestClassifier(100, random_state=seed)
    forest.fit(np.concatenate([part[num_held_out:] for part in features]), np.tile(labels[num_held_out:], 3))
    held_out = labels[:num_held_out]
    original, augmented = (float(forest.score(part[:num_held_out], held_out)) for part in features[:2])
    return original, augmented, float(np.bincount(held_out).max() / num_held_out)
