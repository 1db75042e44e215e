"""Training of a network, with fine-tuning. The keywords of `fit` are the table `[training]` of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from zoo.errors import InvalidParameters, ZooError
from zoo.space import Choice, ClassWeights, Float, Int, Setting, Space, read_space
from zoo.training.class_weights import class_weights

if TYPE_CHECKING:
    import keras

    from zoo.data import Split
    from zoo.training.checkpoints import Keep, State
    from zoo.training.loop import Batches, Measure, OnEpoch, OnProgress, Validation
    from zoo.training.turn import Turn

# `[training]` has these parameters only if the study sets them, so that older studies can be resumed.
STATED_ONLY = ("class_weight", "label_smoothing", "focal_gamma", "max_seconds")


class Fitted(NamedTuple):
    """The result of a training.

    Args:
        best_epoch: the best epoch, from 1.
        is_out_of_time: True if `max_seconds` ended the training.
        probabilities: class probabilities of the validation images in the best epoch, `(n, num_classes)`.
    """

    best_epoch: int
    is_out_of_time: bool
    probabilities: Any


def fit(
    model: keras.Model,
    train: Split,
    validation: Split,
    objective: str,
    direction: str,
    on_epoch: OnEpoch,
    on_progress: OnProgress,
    class_names: Sequence[str] = (),
    measure: Measure | None = None,
    resuming: tuple[Keep | None, State | None] = (None, None),
    turn: Turn | None = None,
    *,
    epochs: Annotated[int, Setting(Int(1, 1000))] = 12,
    batch_size: Annotated[int, Int(16, 1024, log=True)] = 128,
    optimizer: Annotated[str, Choice("adam", "adamw", "nadam", "rmsprop", "sgd")] = "adam",
    learning_rate: Annotated[float, Float(1e-5, 1.0, log=True)] = 1e-3,
    momentum: Annotated[float, Float(0.0, 0.99, when={"optimizer": "sgd"})] = 0.9,
    weight_decay: Annotated[float, Float(1e-6, 0.1, log=True, when={"optimizer": "adamw"})] = 4e-3,
    schedule: Annotated[str, Choice("constant", "cosine", "plateau")] = "constant",
    patience: Annotated[int, Setting(Int(1, 1000))] = 5,
    fine_tune_layers: Annotated[int, Setting(Int(0, 1000))] = 0,
    fine_tune_epochs: Annotated[int, Setting(Int(1, 1000))] = 10,
    fine_tune_rate: Annotated[float, Setting(Float(1e-4, 1.0, log=True))] = 0.01,
    class_weight: Annotated[Any, Setting(ClassWeights("none", "balanced"))] = "none",
    label_smoothing: Annotated[float, Setting(Float(0.0, 0.999))] = 0.0,
    focal_gamma: Annotated[float, Setting(Float(0.0, 10.0))] = 0.0,
    max_seconds: Annotated[float, Setting(Float(0.0, 1e7))] = 0.0,
) -> Fitted:
    """Train `model`, and restore its best weights. `resuming`: receiver of states; state to continue from.

    Args:
        model: uncompiled; takes raw pixels, returns class probabilities `(batch, num_classes)`.
        objective, direction: the metric that decides which epoch is best; `maximize` or `minimize`.
        schedule: `cosine` falls to zero over a phase (Loshchilov & Hutter, 2017, without restarts);
            `plateau` divides the rate by three after two epochs without a lower `val_loss`.
        patience: a phase ends after this number of epochs without a better objective.
        fine_tune_layers: this many last frozen layers learn in a 2nd phase, at `fine_tune_rate` x the rate.
        class_weight, label_smoothing, focal_gamma: see `class_weights` and `losses`; no effect on `val_loss`.
        max_seconds: end after this time, even within an epoch, and validate that epoch. 0: no limit.

    Raise ZooError if a metric is NaN or infinite, or `fine_tune_layers` or `class_weight` cannot be applied;
    InvalidParameters if none of the last `fine_tune_layers` frozen layers has weights to train.
    """
    from zoo.training import loop, state

    to_unfreeze = layers_to_unfreeze(model, fine_tune_layers) if fine_tune_layers else []
    loss = _loss(train, class_names, class_weight, label_smoothing, focal_gamma)
    batches, validator = _data(train, validation, batch_size, measure)
    best = loop.BestEpoch(validator, objective, direction, patience)
    reporter = loop.Reporter(batches, on_epoch, on_progress, not to_unfreeze, max_seconds, turn)
    callbacks = [validator, best, reporter, state.StateKeeper(best, reporter, *resuming)]
    make_optimizer = partial(_make_optimizer, optimizer, momentum=momentum, weight_decay=weight_decay)
    phase = partial(loop.train_phase, model, batches, callbacks, make_optimizer, schedule, loss)
    phase(learning_rate, 0, epochs)
    if to_unfreeze and not (reporter.is_stopped or reporter.is_out_of_time):
        unfreeze(model, to_unfreeze)
        reporter.is_final_phase = True
        phase(learning_rate * fine_tune_rate, reporter.epoch, fine_tune_epochs)
    return Fitted(int(best.best_epoch + 1), reporter.is_out_of_time, best.predictions())


def _loss(
    train: Split, class_names: Sequence[str], class_weight: Any, label_smoothing: float, focal_gamma: float
) -> Any:
    from zoo.training.losses import training_loss

    weights = class_weights(class_weight, train.labels, class_names)
    return training_loss(label_smoothing, focal_gamma, weights)


def _data(
    train: Split, validation: Split, batch_size: int, measure: Measure | None
) -> tuple[Batches, Validation]:
    """Return the batches of the training images, and the callback that measures the validation images."""
    import numpy as np

    from zoo.training.loop import Batches, Validation

    # The seed of NumPy is that of the trial, so the order of the images depends on the trial's seed.
    batches = Batches(train, batch_size, seed=int(np.random.randint(2**31)))
    return batches, Validation(Batches(validation, max(batch_size, 256)), validation.labels, measure)


def compile_model(
    model: keras.Model, train: Split, class_names: Sequence[str], settings: Mapping[str, Any]
) -> None:
    """Compile `model` as `fit` does for its first phase; `settings` are all keywords of `fit`."""
    weighting = (settings[name] for name in ("class_weight", "label_smoothing", "focal_gamma"))
    loss = _loss(train, class_names, *weighting)
    names = ("learning_rate", "momentum", "weight_decay")
    optimizer = _make_optimizer(settings["optimizer"], **{name: settings[name] for name in names})
    model.compile(optimizer, loss=loss, metrics=["accuracy"])


def max_epochs(training: Mapping[str, Any]) -> int:
    """Return the maximum number of epochs that `fit` trains with these keywords, in total in both phases."""
    fine_tuning = training["fine_tune_epochs"] if training.get("fine_tune_layers") else 0
    return int(training["epochs"] + fine_tuning)


def training_space() -> Space:
    """Return the parameters of `[training]`, read from the signature of `fit`."""
    names = [one.name for one in signature(fit).parameters.values() if one.kind is not one.KEYWORD_ONLY]
    return read_space(fit, positional=names)


def _make_optimizer(name: str, learning_rate: Any, momentum: float, weight_decay: float) -> Any:
    import keras

    if name == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=momentum, nesterov=momentum > 0)
    if name == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": learning_rate}})


def layers_to_unfreeze(model: keras.Model, count: int) -> list[Any]:
    """Return the layers to unfreeze among the last `count` frozen layers of `model`.

    Layers without weights and batch normalization are counted but not returned. If it were trained, batch
    normalization would lose the statistics of the pretraining (https://keras.io/guides/transfer_learning/).
    """
    import keras

    frozen = [layer for layer in _leaves(model) if not layer.trainable]
    can_learn = [
        layer for layer in frozen if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not can_learn:
        raise ZooError(
            f"fine_tune_layers = {count}, but no layer of this network is frozen; expected an architecture "
            "with a frozen base, such as 'pretrained' with its weights, or fine_tune_layers = 0."
        )
    layers = [layer for layer in frozen[-count:] if layer in can_learn]
    if not layers:
        num_needed = len(frozen) - frozen.index(can_learn[-1])
        raise InvalidParameters(
            f"fine_tune_layers = {count} selects no frozen layer with weights to train; "
            f"expected at least {num_needed}."
        )
    return layers


def unfreeze(model: keras.Model, layers: Sequence[Any]) -> None:
    """Make `layers` of `model` trainable, and no other frozen layer. The next `compile` applies it."""
    frozen = [layer for layer in _leaves(model) if not layer.trainable and layer not in layers]
    # Keras does not train a layer inside a frozen network, so every network is unfrozen. This unfreezes all
    # layers, so the others are frozen again. Keras forwards only changed values, so False is set first.
    model.trainable = False
    model.trainable = True
    for layer in frozen:
        layer.trainable = False


def _leaves(model: keras.Model) -> Iterator[Any]:
    """Yield the layers of `model` in order; a nested network is replaced by its layers."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
