"""The subject of `check_augmentation`: layers that a policy makes at points of its space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import PluginError
from zoo.testing._failures import Violation, call_text
from zoo.testing._searched import (
    BATCH_SIZE,
    Array,
    Observation,
    SamplePoint,
    SearchedSubject,
    SearchOptions,
    Shape,
)
from zoo.testing.kit import Suite
from zoo.training.model import check_layers

SUITE = Suite("augmentation")

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
            raise Violation(str(error)) from None
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

    inputs = keras.Input(shape)
    model = keras.Model(inputs, InTraining()(inputs))
    model.predict(np.zeros((1, *shape), "float32"), verbose=0)

    def apply_compiled(images: Array) -> Array:
        outputs: Array = model.predict(images, verbose=0)
        return outputs

    return apply_compiled
