"""The plugins of a trial: they build its network and its augmentation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.registry import Component, Registry
from zoo.training.faults import TooLarge, blame
from zoo.training.model import check_layers, check_network, check_shape, count_parameters
from zoo.training.saved import check_layers_registered
from zoo.trial import TrialConfig

if TYPE_CHECKING:
    import keras

    from zoo.data import Dataset


class Components:
    """The architecture and the augmentation policy of a trial, for the images of a dataset."""

    def __init__(self, config: TrialConfig, dataset: Dataset) -> None:
        registry = Registry.of(config.plugins) if config.plugins else Registry.load()
        self.architecture: Component = registry.get("architecture", config.architecture.name)
        self.augmentation: Component = registry.get("augmentation", config.augmentation.name)
        self._config = config
        self._images = np.asarray(dataset.train.images[:2])
        height, width, channels = self._images.shape[1:]
        self._image_shape = (int(height), int(width), int(channels))
        self._num_classes = len(dataset.class_names)

    def check_size(self) -> None:
        """Raise TooLarge before the weights of a network are allocated: they may not fit into memory."""
        if self._config.max_parameters is not None:
            self._compare_size(count_parameters(self._call_architecture))

    def build_network(self) -> keras.Model:
        """Return a new network.

        Raises:
            PluginError: the plugin broke the contract, or raised an error.
            InvalidParameters: the plugin found the combination of parameters impossible.
            TooLarge: it has more than `max_parameters` parameters.
        """
        with blame(self.architecture):
            network = self._call_architecture()
            check_network(network, self._num_classes, self._images.astype("float32") / 255)
            check_layers_registered(network)
        self._compare_size(network.count_params())
        return network

    def build_augmentation(self) -> Sequence[Any]:
        """Return new augmentation layers; raises as `build_network`."""
        parameters = self.augmentation.space.check(self._config.augmentation.parameters)
        with blame(self.augmentation):
            layers = self.augmentation.function(**parameters)
            check_layers(layers)
            check_shape(layers, self._image_shape)
        return list(layers)

    def _call_architecture(self) -> Any:
        parameters = self.architecture.space.check(self._config.architecture.parameters)
        return self.architecture.function(self._image_shape, self._num_classes, **parameters)

    def _compare_size(self, num_parameters: int | None) -> None:
        limit = self._config.max_parameters
        if limit is not None and num_parameters is not None and num_parameters > limit:
            raise TooLarge(num_parameters, limit)
