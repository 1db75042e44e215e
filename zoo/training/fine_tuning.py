"""Fine-tuning: choose the frozen layers of a network that learn in the second phase, and unfreeze them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, ZooError

if TYPE_CHECKING:
    import keras


def last_frozen(model: keras.Model, count: int) -> list[Any]:
    """Return the layers to unfreeze among the last `count` frozen layers of `model`.

    Layers without weights are counted but not returned, and neither is batch normalisation, as Keras's guide
    to transfer learning advises (https://keras.io/guides/transfer_learning/): the statistics of a few
    batches would replace those that the other layers were trained with.

    Raises:
        ZooError: no layer is frozen.
        InvalidParameters: none of the `count` layers has weights to train.
    """
    import keras

    frozen = [layer for layer in _leaves(model) if not layer.trainable]
    can_learn = [
        bool(layer.weights) and not isinstance(layer, keras.layers.BatchNormalization) for layer in frozen
    ]
    if not any(can_learn):
        raise ZooError(
            f"fine_tune_layers = {count}, but no layer of this network is frozen; expected an architecture "
            "with a frozen base, such as 'pretrained' with its weights, or fine_tune_layers = 0."
        )
    layers = [layer for layer, learns in list(zip(frozen, can_learn, strict=True))[-count:] if learns]
    if not layers:
        num_needed = can_learn[::-1].index(True) + 1
        raise InvalidParameters(
            f"fine_tune_layers = {count}, but none of these frozen layers has weights to "
            f"train; expected at least {num_needed}."
        )
    return layers


def unfreeze(model: keras.Model, layers: Sequence[Any]) -> None:
    """Make `layers` of `model` trainable, and no other frozen layer. Takes effect at the next `compile`."""
    import keras

    frozen = [layer for layer in _leaves(model) if not layer.trainable and layer not in layers]
    # A layer inside a frozen network is not trained. Setting `trainable` of a network sets it for all layers
    # inside, so the others are frozen again afterwards.
    for network in (model, *(layer for layer in _walk(model) if isinstance(layer, keras.Model))):
        network.trainable = True
    for layer in frozen:
        layer.trainable = False
    for layer in layers:
        layer.trainable = True


def _leaves(model: keras.Model) -> list[Any]:
    """Return the layers of `model` in order, and instead of a network inside it the layers of that."""
    import keras

    return [layer for layer in _walk(model) if not isinstance(layer, keras.Model)]


def _walk(model: keras.Model) -> Iterator[Any]:
    """Yield the layers of `model` in order, each network inside it followed by its own layers."""
    import keras

    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _walk(layer)
