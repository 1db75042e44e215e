"""How a network is trained. The annotated keywords of `fit` are the `[training]` table of a study."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from zoo.errors import ZooError
from zoo.space import Choice, Float, Int, Setting, Space, read_space
from zoo.training import backend
from zoo.training.fine_tuning import last_frozen, unfreeze

if TYPE_CHECKING:
    import keras

    from zoo.data import Split

# Called after every epoch with its number (first is 1), its metrics, and whether it was the last one
# in any case; False ends the training.
OnEpoch = Callable[[int, Mapping[str, float], bool], bool]
OnProgress = Callable[[int, float], None]  # epoch, fraction of it that is done


class NotFinite(ZooError):
    """A loss or metric became NaN or infinite; nothing that follows can be trusted."""


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
) -> int | None:
    """Train `model`, leave the weights of its best epoch in it, and return that epoch (first is 1).

    With `fine_tune_layers` there is a second phase: from the best weights of the first, the last of the
    layers that were frozen learn too, at a lower rate. Its epochs are counted on, and the best epoch is
    that of both phases.

    Args:
        model: uncompiled; raw pixels in, class probabilities `(batch, num_classes)` out.
        objective: the metric that decides which epoch is best; `direction` says which way.
        epochs: at most so many.
        schedule: of the learning rate: `constant`; `cosine`, falling to zero over all epochs
            (Loshchilov & Hutter 2017, without restarts); `plateau`, a third of it after every two
            epochs without a lower validation loss. Each phase has one of its own.
        patience: epochs without a better objective before a phase stops early.
        fine_tune_layers: so many frozen layers, counted from the last one as the layer table has them,
            learn in the second phase; 0 is no second phase.
        fine_tune_epochs: at most so many in the second phase.
        fine_tune_rate: its learning rate, as a share of `learning_rate`.

    Raises:
        NotFinite: a loss or metric became NaN or infinite.
        ZooError: `fine_tune_layers`, but nothing in `model` is frozen.
        InvalidParameters: none of the last `fine_tune_layers` layers has anything to learn.
    """
    import keras
    import numpy as np

    from zoo.training.batches import Batches

    to_unfreeze = last_frozen(model, fine_tune_layers) if fine_tune_layers else []
    # By the seed of the trial, which `keras.utils.set_random_seed` gave to NumPy too.
    batches = Batches(train, batch_size, seed=int(np.random.randint(2**31)))
    unseen = Batches(validation, max(batch_size, 256))
    best = _best_epoch(objective, direction, patience)
    reporter = _reporter(batches.shuffle, on_epoch, on_progress)

    def train_phase(base_rate: float, first: int, count: int, *, is_final: bool) -> None:
        """Train epochs `first + 1` to `first + count`."""
        reporter.ends_after = first + count
        reporter.is_final = is_final
        callbacks = [best, reporter]  # whether it is the last epoch, `best` has to know first
        if schedule == "plateau":
            plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=1 / 3, patience=2)
            callbacks.insert(0, plateau)
        rate: Any = base_rate
        if schedule == "cosine":
            rate = keras.optimizers.schedules.CosineDecay(base_rate, decay_steps=count * len(batches))
        model.compile(
            optimizer=_optimizer(optimizer, rate, momentum, weight_decay),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.fit(
            backend.feed(batches),
            initial_epoch=first,
            epochs=first + count,
            shuffle=False,  # `batches` are
            validation_data=backend.feed(unseen),
            callbacks=callbacks,
            verbose=0,
        )

    train_phase(learning_rate, 0, epochs, is_final=not to_unfreeze)
    if to_unfreeze and not reporter.told_to_stop:
        unfreeze(model, to_unfreeze)
        train_phase(learning_rate * fine_tune_rate, reporter.epoch, fine_tune_epochs, is_final=True)
    return best.best_epoch + 1 if best.best_weights is not None else None


def max_epochs(training: Mapping[str, Any]) -> int:
    """The most epochs `fit` may train with these keywords, both phases together."""
    fine_tuning = training["fine_tune_epochs"] if training.get("fine_tune_layers") else 0
    return int(training["epochs"] + fine_tuning)


def training_space() -> Space:
    """The parameters of `[training]`, read from `fit` itself."""
    return read_space(
        fit,
        positional=("model", "train", "validation", "objective", "direction", "on_epoch", "on_progress"),
    )


def _best_epoch(objective: str, direction: str, patience: int) -> Any:
    """A callback that stops after `patience` epochs, and restores the weights of the best one."""
    import keras

    class BestEpoch(keras.callbacks.EarlyStopping):  # type: ignore[misc]
        best_epoch = 0

        def on_train_begin(self, logs: Any = None) -> None:
            """A second phase has to beat what the first one reached."""
            reached = {name: getattr(self, name) for name in ("best", "best_weights", "best_epoch")}
            super().on_train_begin(logs)
            for name, value in reached.items():
                setattr(self, name, value)

    return BestEpoch(
        monitor=objective,
        mode={"maximize": "max", "minimize": "min"}[direction],
        patience=patience,
        restore_best_weights=True,
    )


def _optimizer(name: str, learning_rate: Any, momentum: float, weight_decay: float) -> Any:
    import keras

    if name == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=momentum, nesterov=momentum > 0)
    if name == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    return keras.optimizers.get({"class_name": name, "config": {"learning_rate": learning_rate}})


def _reporter(shuffle: Callable[[int], None], on_epoch: OnEpoch, on_progress: OnProgress) -> Any:
    """A callback that reports every epoch, and a few times a second how far the epoch is."""
    import keras

    class Reporter(keras.callbacks.Callback):  # type: ignore[misc]
        told_to_stop = False
        ends_after = 0  # the epoch after which this phase ends, unless it does earlier
        is_final = True  # no other phase follows

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1
            shuffle(self.epoch)
            self.began = self.told = time.perf_counter()
            self.rate = _learning_rate(self.model)

        # Not `on_train_batch_end`: for a callback with that, Keras makes numbers of the metrics after every
        # batch, and waits each time until the GPU has come to them.
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            now = time.perf_counter()
            if now - self.told > 0.3 and self.params.get("steps"):
                self.told = now
                on_progress(self.epoch, batch / self.params["steps"])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            metrics = {name: float(value) for name, value in (logs or {}).items() if name != "learning_rate"}
            _check_finite(self.epoch, metrics)
            metrics["learning_rate"] = self.rate
            metrics["epoch_seconds"] = time.perf_counter() - self.began
            is_last = self.is_final and (self.epoch == self.ends_after or self.model.stop_training)
            if not on_epoch(self.epoch, metrics, is_last):
                self.told_to_stop = self.model.stop_training = True

    return Reporter()


def _learning_rate(model: keras.Model) -> float:
    from keras import ops

    return float(ops.convert_to_numpy(model.optimizer.learning_rate))


def _check_finite(epoch: int, metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        if value != value or value in (float("inf"), float("-inf")):
            raise NotFinite(f"{name} became {value} in epoch {epoch}")
