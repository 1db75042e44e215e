"""Augmentation policies under test, and their checks in the order in which they run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from zoo.errors import PluginError
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
from zoo.testing._workers import outputs_under_others
from zoo.testing.kit import Skipped, Suite, call_text, check_all, counted
from zoo.training.model import assemble, check_layers, check_shape

SUITE = Suite("augmentation")

_CALLS = 6
_TOLERANCE = 1e-5  # the weights of an interpolation may sum to 1.0000001
_PROBE_IMAGES = 1000  # a quarter of them held out
_PLAIN_IMAGES = (0.0, 1.0, 0.3)  # black, white, grey


@dataclass(frozen=True)
class AugmentationOptions(SearchOptions):
    """Options of `check_augmentation`; docs/testing.md explains them."""

    probe: Callable[[], Any] | None = None


@dataclass
class PolicyObservation(Observation):
    """The facts about the layers at one point."""

    inference_images: Any = None  # array: the images after the layers, outside training
    training_images: Any = None  # and in training


class Policy(SearchedSubject):
    """An augmentation policy under test."""

    suite = SUITE
    product = "a list of Keras layers"
    options_class = AugmentationOptions
    observation_class = PolicyObservation

    def images(self, shape: Shape | None = None, count: int = BATCH_SIZE) -> Array:
        """Return images as those of other subjects; the last ones have one colour.

        A layer that divides by the range of an image's pixels divides by 0 there.
        """
        images = super().images(shape, count)
        for number, value in enumerate(_PLAIN_IMAGES, start=count - len(_PLAIN_IMAGES)):
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
        layers: list[Any] = self.build(self.point(), self.options.seed + seed_offset)
        return layers

    def call_text(self, point: SamplePoint) -> str:
        text = call_text(self.name, (), point.parameters)
        return text if point.shape == self.shape else f"{text} for images of {point.shape}"

    def require_sound(self, observation: Observation) -> None:
        """Raise Violation if the call went wrong; the check `applies` reports the use of the layers."""
        if not observation.is_built:
            super().require_sound(observation)


def check_augmentation(
    function: Callable[..., Any], *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Run every check of an augmentation policy, or those named in `checks`; docs/testing.md lists them.

    Args:
        input_shapes: list of `(height, width, channels)` of the images it is tried on: its space with the
            first, its defaults with each. Default: 28×28×1 and 33×27×3. `input_shape` gives a single one.
        space: a table as in a study: `{"fill": "black"}` fixes, `{"shift": {"high": 0.1}}` narrows.
        points: list of parameters to try instead of corners and random points.
        samples: number of random points; 20. `seconds`: time limit for random points, and for the models
            that are trained; 15. `seed`: 0.
        probe: a function that returns a `zoo.Dataset` whose labels must stay recognizable.

    Raises:
        CheckFailed: with each failed check: what was expected, what was found, at which parameters, and a
            command that reproduces it.
    """
    __tracebackhide__ = True
    check_all(Policy(function, options), checks)


@SUITE.check("signature")
def defaults(policy: Policy) -> str:
    """Check that it makes a list of Keras layers at its defaults; the list may be empty."""
    hint = "choose defaults that need no condition"
    policy.observe_sound(policy.point(), "the defaults to be possible", hint)
    return counted(len(policy.default_layers()), "layer")


SUITE.check("defaults")(search_space)


@SUITE.check("defaults")
def applies(policy: Policy) -> None:
    """Check that the layers take float images, in training and outside of it."""
    for observation in policy.observe_all():
        if observation.is_built and observation.failure:
            raise observation.failure


def _usable(policy: Policy) -> Iterator[PolicyObservation]:
    return (observation for observation in policy.observe_all() if observation.is_usable)


@SUITE.check("applies")
def shape(policy: Policy) -> None:
    """Check that images keep their shape in training."""
    for observation in _usable(policy):
        expected, found = policy.images(observation.point.shape).shape, observation.training_images.shape
        text = f"expected images of shape {expected} as before, got {found}; crop or pad to that size"
        policy.require(found == expected, observation.point, text)


@SUITE.check("applies")
def dtype(policy: Policy) -> None:
    """Check that images keep their type, float32, in training."""
    for observation in _usable(policy):
        found = observation.training_images.dtype
        text = f"expected float32 as before, got {found}; use keras.ops.cast(images, 'float32')"
        policy.require(found == "float32", observation.point, text)


@SUITE.check("applies")
def value_range(policy: Policy) -> None:
    """Check that pixels stay in 0 to 1 in training."""
    for observation in _usable(policy):
        images = observation.training_images
        low, high = float(images.min(initial=0)), float(images.max(initial=0))
        text = f"expected values in 0 to 1, got {low:.6g} to {high:.6g}; use keras.ops.clip(images, 0, 1)"
        is_inside = low >= -_TOLERANCE and high <= 1 + _TOLERANCE  # False for NaN too
        policy.require(is_inside, observation.point, text)


@SUITE.check("applies")
def inference(policy: Policy) -> None:
    """Check that images stay as they are outside training."""
    text = "expected unchanged images with training=False, but they changed; return them as they are"
    for observation in _usable(policy):
        images = policy.images(observation.point.shape)
        policy.require(np.array_equal(observation.inference_images, images), observation.point, text)


@SUITE.check("applies")
def repeatable(policy: Policy) -> None:
    """Check that the same seed gives the same images."""
    first, second = (apply(policy.default_layers(), policy.images(), training=True) for _ in range(2))
    text = "expected the same images from the same seed, but they differ; use SeedGenerator() without a seed"
    policy.require(np.array_equal(first, second, equal_nan=True), policy.point(), text)


SUITE.check("defaults")(global_state)


@SUITE.check("applies")
def serialisable(policy: Policy) -> str:
    """Check that each layer can be made again from its configuration, as JSON."""
    _, text = policy.at_structures(partial(_check_configurations, policy), "point")
    return text


@SUITE.check("shape", "dtype", "value_range")
def training_step(policy: Policy) -> str:
    """Check that a network with the layers in front can train, compiled as in a trial."""
    _, text = policy.at_structures(partial(_check_training, policy), "model", policy.other_shapes())
    return text


@SUITE.check("training_step")
def random(policy: Policy) -> str:
    """Check that every call in training changes images differently, also in a compiled model.

    NumPy draws its random numbers only once, while Keras compiles a function.
    """
    layers = policy.default_layers()
    if not layers:
        return "no layers, nothing to vary"

    eager = partial(apply, layers, training=True)
    in_model = compile_layers(policy.default_layers(), policy.shape)
    for call, how in ((eager, ""), (in_model, " once compiled; draw with keras.random and a SeedGenerator")):
        first = call(policy.images())
        # Several calls: a policy that flips a coin may repeat itself once.
        is_same = all(np.array_equal(first, call(policy.images())) for _ in range(_CALLS - 1))
        text = f"expected other images at each call in training, but {_CALLS} calls gave the same{how}"
        policy.require(not is_same, policy.point(), text)
    return ""


@SUITE.check("training_step", "repeatable")
def independent(policy: Policy) -> None:
    """Check that no image depends on another image of its batch, also in a compiled model.

    Every image keeps its own label, so images must not be mixed.
    """
    images = policy.images()
    others = images.copy()
    others[0] = 1 - others[0]

    def eager(images: Array, offset: int) -> Array:
        return apply(policy.default_layers(offset), images, training=True)

    def in_model(images: Array, offset: int) -> Array:
        return compile_layers(policy.default_layers(offset), policy.shape)(images)

    # Several seeds: a layer that shuffles a batch may leave the first image in its place.
    for call, seeds, how in ((eager, _CALLS, ""), (in_model, 1, " once compiled")):
        for offset in range(seeds):
            one, other = call(images, offset)[1:], call(others, offset)[1:]
            text = (
                "expected each image to be changed by itself, because each keeps its label, but another "
                f"first image in the batch changes the other images{how}"
            )
            policy.require(np.allclose(one, other, rtol=0, atol=_TOLERANCE), policy.point(), text)


@SUITE.check("shape", "dtype", "value_range")
def labels(policy: Policy) -> str:
    """Check, with a `probe`, that a classifier still tells the classes apart.

    The probe is a random forest (Breiman 2001). It learns from some images, plain and changed. On other
    changed images it must keep half of its lead over guessing that it has on other plain images.
    """
    if policy.options.probe is None:
        raise Skipped("no probe was given, such as probe=digits")
    plain, changed, guess = _probe_accuracies(policy)
    if plain < guess + 0.2:
        raise Skipped(f"the probe cannot tell the classes apart: {plain:.0%}, guessing {guess:.0%}")
    text = (
        f"expected the labels to stay recognizable, but a probe that is right on {plain:.0%} of the images "
        f"is right on {changed:.0%} of the changed images (guessing: {guess:.0%}); use weaker defaults"
    )
    policy.require(changed >= guess + (plain - guess) / 2, policy.point(), text)
    return f"a probe is right on {plain:.0%} of the images, on {changed:.0%} of the changed images"


@SUITE.check("training_step", "value_range", "inference", "random", "repeatable")
def backends(policy: Policy) -> str:
    """Check that it passes these checks under the other backends that are installed."""
    import keras

    others = [backend for backend, _ in outputs_under_others(policy, SUITE.checks["backends"].needs, {})]
    return " and ".join([keras.backend.backend(), *others])


def apply(layers: Sequence[Any], images: Array, *, training: bool) -> Array:
    """Return the images after all layers; `training` also reaches layers that do not ask for it."""
    from keras import Sequential, ops

    if not layers:
        return images
    outputs: Array = ops.convert_to_numpy(Sequential(list(layers))(images, training=training))
    return outputs


def compile_layers(layers: Sequence[Any], shape: Shape) -> Callable[[Array], Array]:
    """Return a function that applies the layers in training, as part of a compiled model.

    As in a trial's `fit`, the batch size is unknown when Keras compiles the model: two sizes make it so.
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


def _check_configurations(policy: Policy, point: SamplePoint) -> None:
    from keras import saving

    for layer in policy.build(point, policy.options.seed):
        name = type(layer).__name__
        with policy.no_exception(point, f"{name} to be made again from get_config()"):
            config = json.loads(json.dumps(saving.serialize_keras_object(layer)))
            copy = saving.deserialize_keras_object(config, custom_objects={name: type(layer)})
            copied = json.loads(json.dumps(saving.serialize_keras_object(copy)))
        text = f"expected {name} to keep its configuration, but it became {copied['config']}"
        policy.require(config["config"] == copied["config"], point, text)


def _check_training(policy: Policy, point: SamplePoint) -> None:
    import keras

    labels = np.arange(len(policy.images())) % 2
    layers = policy.build(point, policy.options.seed)
    with policy.no_exception(point, "to train one step with the layers in front"):
        check_shape(layers, point.shape)
        head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax")]
        model, _ = assemble(keras.Sequential([keras.Input(point.shape), *head]), layers, point.shape)
        model.compile("sgd", "sparse_categorical_crossentropy")
        loss = model.fit(policy.images(point.shape) * 255, labels, verbose=0).history["loss"][0]
    policy.require(bool(np.isfinite(loss)), point, f"expected a finite loss, but it is {loss}")


def _probe_accuracies(policy: Policy) -> tuple[float, float, float]:
    """Return the probe's accuracy on plain images and on changed images, and that of guessing."""
    from sklearn.ensemble import RandomForestClassifier

    dataset, seed = policy.options.probe(), policy.options.seed
    rows = np.random.default_rng(seed).permutation(len(dataset.train))[:_PROBE_IMAGES]
    images = np.asarray(dataset.train.images)[rows].astype("float32") / 255
    labels = np.asarray(dataset.train.labels)[rows]
    layers, num_held_out = policy.default_layers(), len(images) // 4
    versions = [images, *(apply(layers, images, training=True) for _ in range(2))]
    pixels = [version.reshape(len(version), -1) for version in versions]
    forest = RandomForestClassifier(100, random_state=seed)
    forest.fit(np.concatenate([one[num_held_out:] for one in pixels]), np.tile(labels[num_held_out:], 3))
    held_out = labels[:num_held_out]
    plain, changed = (float(forest.score(one[:num_held_out], held_out)) for one in pixels[:2])
    return plain, changed, float(np.bincount(held_out).max() / num_held_out)
