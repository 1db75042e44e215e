"""The components of a trial: building networks and augmentation layers; errors that name the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import InvalidParameters, PluginError, ZooError, one_line
from zoo.registry import Component, Registry, source_location
from zoo.training.model import check_layers, check_network, check_shape, count_parameters
from zoo.training.saved import check_layers_registered
from zoo.training.shapes import shape_problem
from zoo.trial import TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Dataset


class TooLarge(ZooError):
    """A network has more parameters than the study allows."""

    def __init__(self, num_parameters: int, limit: int) -> None:
        super().__init__(f"{num_parameters:,} parameters, but max_parameters is {limit:,}")
        self.num_parameters = num_parameters


class PluginFault(PluginError):
    """An error in a plugin's code, or a violation of the contract; the text names plugin and version."""


class Components:
    """The architecture, the augmentation policy and the metrics of a trial, for the images of a dataset."""

    def __init__(self, config: TrialConfig, dataset: Dataset) -> None:
        registry = Registry.load_only(config.plugins) if config.plugins else Registry.load()
        self.architecture: Component = registry.get("architecture", config.architecture.name)
        self.augmentation: Component = registry.get("augmentation", config.augmentation.name)
        self.metrics = {
            metric: registry.get("metric", name) for metric, name in config.metrics.items()
        }  # the keys are names of results, such as `val_auc`
        self._config = config
        self._images = np.asarray(dataset.train.images[:2])
        height, width, channels = self._images.shape[1:]
        self._image_shape = (int(height), int(width), int(channels))
        self._num_classes = len(dataset.class_names)

    def check_size(self) -> None:
        """Raise TooLarge before any weight is allocated, because a large network may not fit into memory."""
        if self._config.max_parameters is not None:
            self._check_num_parameters(count_parameters(self._call_architecture))

    def build_network(self) -> keras.Model:
        """Return a new network; raise PluginFault, InvalidParameters or TooLarge if that is impossible.

        A layer that is larger than its input raises InvalidParameters, too.
        """
        build, images = self._call_architecture, self._images.astype("float32") / 255
        with plugin_errors(self.architecture):
            with _impossible_shapes_rejected(build, self._image_shape):
                network = build()
                check_network(network, self._num_classes, images)
            check_layers_registered(network)
        self._check_num_parameters(network.count_params())
        return network

    def build_augmentation(self) -> Sequence[Any]:
        """Return new augmentation layers."""
        parameters = self.augmentation.space.check(self._config.augmentation.parameters)
        with plugin_errors(self.augmentation):
            layers = self.augmentation.function(**parameters)
            check_layers(layers)
            check_shape(layers, self._image_shape)
        return list(layers)

    def _call_architecture(self) -> Any:
        parameters = self.architecture.space.check(self._config.architecture.parameters)
        return self.architecture.function(self._image_shape, self._num_classes, **parameters)

    def _check_num_parameters(self, num_parameters: int | None) -> None:
        limit = self._config.max_parameters
        if limit is not None and num_parameters is not None and num_parameters > limit:
            raise TooLarge(num_parameters, limit)


@contextmanager
def _impossible_shapes_rejected(
    build: Callable[[], Any], image_shape: tuple[int, int, int]
) -> Iterator[None]:
    """Raise InvalidParameters for an error in the block if a layer of the network does not fit its input."""
    try:
        yield
    except InvalidParameters:
        raise
    except Exception as error:
        # To find the layer, the network is built again; after an out-of-memory error, that would fail again.
        problem = "" if _is_out_of_memory(error) else shape_problem(build, image_shape)
        if problem:
            raise InvalidParameters(problem) from error
        raise


@contextmanager
def plugin_errors(*components: Component, by_location: bool = False) -> Iterator[None]:
    """Raise PluginFault with the name of a component's plugin for any error in the block.

    Out-of-memory errors and every ZooError except PluginError stay unchanged. With `by_location`, the error
    names the component whose code raised it, and an error from other code stays unchanged.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        is_violation = isinstance(error, PluginError) and not by_location
        if _is_out_of_memory(error) or (isinstance(error, ZooError) and not is_violation):
            raise
        for component in components:
            subject = f"the {component.kind} '{component.name}' of {component.origin}"
            if is_violation:
                raise PluginFault(f"{subject}: {error}") from error
            package = component.function.__module__.partition(".")[0]
            location = source_location(error, "zoo.builtin" if package == "zoo" else package)
            if location or not by_location:
                place = f", at {location}" if location else ""
                raise PluginFault(f"{subject} raised {describe_error(error)}{place}") from error
        raise


def describe_error(error: BaseException) -> str:
    """Return `error` in one line: `KeyError: 'sharpness'`, or only the text for a ZooError."""
    text = one_line(error)
    if _is_out_of_memory(error):
        return f"out of memory: {text[:300]}" if text else "out of memory"
    return text[:1000] if isinstance(error, ZooError) else f"{type(error).__name__}: {text[:1000]}"


def _is_out_of_memory(error: BaseException) -> bool:
    """Return True if memory was exhausted; every backend has its own error for this."""
    names = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
    return type(error).__name__ in names or "RESOURCE_EXHAUSTED" in one_line(error)
