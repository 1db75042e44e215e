"""The layers of a network that are frozen, and letting the last of them learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import InvalidParameters, ZooError

if TYPE_CHECKING:
    import keras


def last_frozen(model: keras.Model, count: int) -> list[Any]:
    """Of the last `count` frozen layers of `model`, those that have something to learn.

    Batch normalisation is not among them, as Keras's guide to transfer learning advises
    (https://keras.io/guides/transfer_learning/): frozen, it goes on with the statistics it has learned;
    otherwise a few batches would replace them, and with them what the other layers have learned.

    Raises:
        ZooError: nothing is frozen.
        InvalidParameters: none of the `count` has weights that may change.
    """
    import keras

    frozen = [layer for layer in _leaves(model) if not layer.trainable]
    learning = [layer.weights and not isinstance(layer, keras.layers.BatchNormalization) for layer in frozen]
    if not any(learning):
        raise ZooError(
            f"fine_tune_layers = {count}, but nothing in this network is frozen, so there is nothing to "
            "fine-tune; expected an architecture with a frozen base, such as 'pretrained' with its weights, "
            "or fine_tune_layers = 0."
        )
    last = [layer for layer, learns in zip(frozen[-count:], learning[-count:], strict=True) if learns]
    if not last:
        needed = next(number for number, learns in enumerate(reversed(learning), start=1) if learns)
        raise InvalidParameters(
            f"fine_tune_layers = {count}, but the last {needed - 1} of the frozen layers have nothing to "
            f"learn; expected at least {needed}."
        )
    return last


def unfreeze(model: keras.Model, layers: Sequence[Any]) -> None:
    """Let `layers` of `model` learn, and no other that was frozen. Takes effect when it is compiled."""
    import keras

    kept = [layer for layer in _leaves(model) if not layer.trainable and layer not in layers]
    # Nothing inside a frozen network learns; unfreezing the network unfreezes all that is inside.
    for network in (model, *(layer for layer in _inside(model) if isinstance(layer, keras.Model))):
        network.trainable = True
    for layer in kept:
        layer.trainable = False
    for layer in layers:
        layer.trainable = True


def _leaves(model: keras.Model) -> list[Any]:
    """The layers of `model` in order; those of a network inside it instead of that network."""
    import keras

    return [layer for layer in _inside(model) if not isinstance(layer, keras.Model)]


def _inside(model: keras.Model) -> Iterator[Any]:
    """The layers of `model` in order, each network among them followed by its own."""
    import keras

    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _inside(layer)
