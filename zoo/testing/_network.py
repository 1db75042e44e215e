"""The subject of `check_architecture`: networks that an architecture builds at points of its space."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import InvalidParameters
from zoo.global_state import changes_undone
from zoo.testing._failures import Violation, call_text
from zoo.testing._searched import Array, Observation, SamplePoint, SearchedSubject, SearchOptions, Shape
from zoo.testing.kit import Suite
from zoo.training.model import count_parameters, predict
from zoo.training.worker import fork_server

SUITE = Suite("architecture")

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
    outputs: Any = None  # array (batch, num_classes), float32
    output_text: str = ""  # the output, if it is not one array
    num_weights: int = 0
    is_too_large: bool = False  # it has more weights than allowed, and was not built

    @property
    def has_contract_shape(self) -> bool:
        outputs = self.outputs
        return outputs is not None and outputs.ndim == 2 and outputs.shape[1] == self.point.num_classes


class Network(SearchedSubject):
    """An architecture under test."""

    suite = SUITE
    product = "a network"
    options_class = ArchitectureOptions
    observation_class = NetworkObservation

    def prepare(self, names: Sequence[str]) -> None:
        if "saving" in names:  # its process forks from a server that imports Keras in the meantime
            fork_server().start()

    def small_points(self) -> list[SamplePoint]:
        """Return the defaults and the structures for the smallest images."""
        height, width, channels = self.shape
        small = (min(height, _SMALL), min(width, _SMALL), channels)
        return [self.point(parameters, shape=small) for parameters in (self.defaults, *self.structures)]

    def observe_all(self, *, class_counts: bool = True) -> Iterator[NetworkObservation]:
        """Yield observations at the defaults, in the space, for other shapes and numbers of classes."""
        yield from super().observe_all()
        if class_counts:
            yield from (self.observe(self.point(num_classes=count)) for count in self.options.class_counts)

    def call(self, point: SamplePoint) -> Any:
        import keras

        network = self.function(point.shape, point.num_classes, **point.parameters)
        if not isinstance(network, keras.Model):
            raise Violation(f"expected a keras.Model, got {type(network).__name__}; return the model")
        return network

    def may_build(self, observation: NetworkObservation) -> bool:
        """Count the weights before the network is built: one of 10¹² would take down the machine."""
        observation.num_weights = self._count_weights(observation.point)
        observation.is_too_large = observation.num_weights > self.options.max_parameters
        return not observation.is_too_large

    def use(self, network: Any, observation: NetworkObservation) -> None:
        import keras

        observation.is_compiled = bool(network.compiled)
        outputs = network(self.images(observation.point.shape), training=False)
        observation.num_weights = int(network.count_params())
        if isinstance(outputs, list | tuple | dict):
            observation.output_text = f"a {type(outputs).__name__} of {len(outputs)}"
        else:
            observation.outputs = keras.ops.convert_to_numpy(outputs).astype("float32")

    def build(self, point: SamplePoint, seed: int) -> Any:
        """Return the network of a usable point, with all its weights."""
        network = super().build(point, seed)
        network(self.images(point.shape, 1), training=False)  # a subclassed model has its weights only now
        return network

    def outputs_with(self, path: Path) -> Array:
        """Return outputs at the defaults with the images and weights in a file from another backend."""

        network = self.build(self.point(), self.options.seed)
        with np.load(path) as file:
            network.set_weights([file[f"weight_{number}"] for number in range(len(file.files) - 1)])
            return predict(network, file["images"])

    def call_text(self, point: SamplePoint) -> str:
        return call_text(self.name, (point.shape, point.num_classes), point.parameters)

    def violation(self, point: SamplePoint, text: str, cause: BaseException | None = None) -> Violation:
        violation = super().violation(point, text, cause)
        if point.num_classes != self.options.num_classes:
            violation.options["class_counts"] = [point.num_classes]
        return violation

    def require_output_shape(self, observation: NetworkObservation) -> None:
        """Raise Violation if there is a network whose output is not `(batch, num_classes)`."""
        outputs, classes = observation.outputs, observation.point.num_classes
        found = observation.output_text if outputs is None else ("batch", *outputs.shape[1:])
        text = (
            f"expected one output of shape {('batch', classes)}, got {found}; end the network with "
            "Dense(num_classes, activation='softmax')"
        )
        self.require(not observation.is_usable or observation.has_contract_shape, observation.point, text)

    def _count_weights(self, point: SamplePoint) -> int:
        """Return the number of weights without making them; 0 if there is no network, or no way to count."""
        gc.freeze()  # otherwise Keras, which collects garbage afterwards, visits all of TensorFlow's objects
        with changes_undone():
            try:
                return count_parameters(lambda: self.call(point)) or 0
            except InvalidParameters:
                return 0
            finally:
                gc.unfreeze()
