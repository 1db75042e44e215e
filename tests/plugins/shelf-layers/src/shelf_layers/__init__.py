"""A library of Keras layers that knows nothing of zoo, as KerasHub."""

from shelf_layers.backbones import Backbone

__all__ = ["Backbone"]
