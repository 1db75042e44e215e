"""Training of a network. The annotated keywords of `fit` are the `[training]` table of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from zoo.space import Choice, Float, Int, Setting, Space, read_space
from zoo.training import backend
from zoo.training.fine_tuning import last_frozen, unfreeze

if TYPE_CHECKING:
    import keras

    from zoo.data import Split
    from zoo.training.batches import Batches
    from zoo.training.callbacks import OnEpoch, OnProgress


def fit(
    model: keras.Model,
    train: Split,
    validation: Split,
    objective: str,
    direction: str,
    on_epoch: OnEpoch,
    on_progress: OnProgress,
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
) -> int:
    """Train `model`, restore the weights of its best epoch, and return that epoch (from 1).

    Args:
        model: uncompiled; raw pixels in, class probabilities `(batch, num_classes)` out.
        objective: the metric that decides which epoch is best, by `direction`.
        epochs: maximum number.
        schedule: of the learning rate; each phase has its own. `cosine` falls to zero over all epochs
            (Loshchilov & Hutter, 2017, without restarts); `plateau` divides the rate by three after two
            epochs without a lower validation loss.
        patience: epochs without a better objective after which a phase ends.
        fine_tune_layers: number of frozen layers, from the end of the layer table, that learn in a second
            phase, which starts from the best weights of the first; 0 for no second phase.
        fine_tune_rate: learning rate of the second phase, relative to `learning_rate`.

    Raises:
        NotFinite: a loss or metric became NaN or infinite.
        ZooError: `fine_tune_layers` is set, but no layer of `model` is frozen.
        InvalidParameters: none of the last `fine_tune_layers` frozen layers has weights to train.
    """
    import numpy as np

    from zoo.training.batches import Batches
    from zoo.training.callbacks import BestEpoch, Reporter

    to_unfreeze = last_frozen(model, fine_tune_layers) if fine_tune_layers else []
    # NumPy is seeded with the seed of the trial, so the order of the images depends on that.
    batches = Batches(train, batch_size, seed=int(np.random.randint(2**31)))
    unseen = Batches(validation, max(batch_size, 256))
    phases = _Phases(model, batches, unseen, optimizer, momentum, weight_decay, schedule)
    best = BestEpoch(objective, direction, patience)
    reporter = Reporter(batches.shuffle, on_epoch, on_progress, is_final_phase=not to_unfreeze)
    phases.train([best, reporter], learning_rate, 0, epochs)
    if to_unfreeze and not reporter.is_stopped:
        unfreeze(model, to_unfreeze)
        reporter.is_final_phase = True
        phases.train([best, reporter], learning_rate * fine_tune_rate, reporter.epoch, fine_tune_epochs)
    return int(best.best_epoch + 1)


def max_epochs(training: Mapping[str, Any]) -> int:
    """Return the maximum number of epochs that `fit` trains with these keywords, in both phases together."""
    fine_tuning = training["fine_tune_epochs"] if training.get("fine_tune_layers") else 0
    return int(training["epochs"] + fine_tuning)


def training_space() -> Space:
    """Return the parameters of `[training]`, read from the signature of `fit`."""
    return read_space(
        fit,
        positional=("model", "train", "validation", "objective", "direction", "on_epoch", "on_progress"),
    )


@dataclass(frozen=True)
class _Phases:
    """The phases of a training, which share data, optimizer and schedule."""

    model: keras.Model
    batches: Batches
    validation_batches: Batches
    optimizer: str
    momentum: float
    weight_decay: float
    schedule: str

    def train(self, callbacks: list[Any], learning_rate: float, first: int, count: int) -> None:
        """Train the epochs `first + 1` to `first + count`."""
        import keras

        rate: Any = learning_rate
        if self.schedule == "cosine":
            decay_steps = count * len(self.batches)
            rate = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps)
        if self.schedule == "plateau":
            plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=1 / 3, patience=2)
            callbacks = [plateau, *callbacks]
        self.model.compile(
            optimizer=_make_optimizer(self.optimizer, rate, self.momentum, self.weight_decay),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        self.model.fit(
            backend.feed(self.batches),
            initial_epoch=first,
            epochs=first + count,
            shuffle=False,  # the reporter shuffles the batches
            validation_data=backend.feed(self.validation_batches),
            callbacks=callbacks,
            verbose=0,
        )


def _make_optimizer(name: str, learning_rate: Any, momentum: float, weight_decay: float) -> Any:
    import keras

    if name == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=momentum, nesterov=momentum > 0)
    if name == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": learning_rate}})
