"""The loop of a training: batches, callbacks, and one call of `keras.Model.fit` for each phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from zoo.errors import ZooError
from zoo.metrics import log_loss
from zoo.process import sign_of_life
from zoo.training import backend
from zoo.training.turn import Turn

if TYPE_CHECKING:
    from zoo.data import Split

_PROGRESS_INTERVAL_S = 0.3

# Called after every epoch with its number (from 1), its metrics, and True if it is certainly the last one.
# It returns False to stop the training.
OnEpoch = Callable[[int, Mapping[str, float], bool], bool]
# Called during an epoch with its number and the fraction of it that is done.
OnProgress = Callable[[int, float], None]
# Returns other metrics of an epoch, from its number (from 1), the labels `(n,)` of the validation images
# and their class probabilities `(n, num_classes)`.
Measure = Callable[[int, npt.NDArray[Any], npt.NDArray[Any]], Mapping[str, float]]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of raw images `(batch, height, width, channels)` and labels `(batch,)`.

    Images are read from the memory map on demand. They have the order of the split until
    `shuffle` is called. The last batch may be smaller.
    """

    def __init__(self, split: Split, batch_size: int, seed: int = 0) -> None:
        super().__init__()
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._order = np.arange(len(split))

    def shuffle(self, epoch: int) -> None:
        """Shuffle for an epoch (from 1). The order depends only on the seed and the epoch."""
        self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._split))

    def __len__(self) -> int:
        return -(-len(self._split) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        sign_of_life()  # needed in validation, which reports no progress
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._split.images[rows], self._split.labels[rows]


class BestEpoch(keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Early stopping that restores the weights of the best epoch of all phases."""

    best_epoch = 0  # Keras sets this attribute only when a training begins

    def __init__(self, validation: Validation, objective: str, direction: str, patience: int) -> None:
        mode = {"maximize": "max", "minimize": "min"}[direction]
        super().__init__(monitor=objective, mode=mode, patience=patience, restore_best_weights=True)
        self._validation = validation
        self._probabilities: npt.NDArray[Any] | None = None  # None after a checkpoint of a later epoch

    def on_train_begin(self, logs: Any = None) -> None:
        """Keep the best epoch of the first phase, which Keras resets when the second phase begins."""
        best = {name: getattr(self, name) for name in ("best", "best_weights", "best_epoch")}
        super().on_train_begin(logs)
        for name, value in best.items():
            setattr(self, name, value)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.best_epoch == epoch:
            self._probabilities = self._validation.probabilities

    def predictions(self) -> npt.NDArray[Any]:
        """Return the class probabilities of the validation images, with the restored weights."""
        return self._validation.predict() if self._probabilities is None else self._probabilities


class Validation(keras.callbacks.Callback):  # type: ignore[misc]
    """Predicts the validation split after each epoch, and measures the predictions.

    `val_loss` (the plain cross-entropy), `val_accuracy` and the metrics of `measure` are added to the logs of
    the epoch. This callback must be the first one, because the others read these logs.
    """

    def __init__(self, batches: Batches, labels: npt.NDArray[Any], measure: Measure | None) -> None:
        super().__init__()
        self._batches = batches
        self._labels = np.asarray(labels)
        self._measure = measure
        self._forward_pass: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None
        self.probabilities: npt.NDArray[Any] | None = None  # after the last epoch, `(n, num_classes)`

    def predict(self) -> npt.NDArray[np.float32]:
        """Return the class probabilities of the validation images, `(n, num_classes)`."""
        forward_pass = self._forward_pass = self._forward_pass or backend.forward_pass(self.model)
        outputs = [forward_pass(self._batches[index][0]) for index in range(len(self._batches))]
        return np.concatenate(outputs).astype(np.float32)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.probabilities = probabilities = self.predict()
        predicted = probabilities.argmax(axis=1)
        logs["val_accuracy"] = float((predicted == self._labels).mean())
        logs["val_loss"] = log_loss(self._labels, probabilities)
        check_finite(epoch + 1, logs)
        if self._measure is not None:
            logs |= self._measure(epoch + 1, self._labels, probabilities)


class Reporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports every epoch, and a few times a second the completed fraction of the epoch.

    It also shuffles `batches` before every epoch, ends the training after `max_seconds` unless that is 0, and
    lets a prepared trial wait for its turn after the first step, which the backend compiles.
    """

    def __init__(
        self,
        batches: Batches,
        on_epoch: OnEpoch,
        on_progress: OnProgress,
        is_final_phase: bool,
        max_seconds: float = 0.0,
        turn: Turn | None = None,
    ) -> None:
        super().__init__()
        self._turn = turn or Turn()
        self._begin = self._turn.seconds()
        self._max_seconds = max_seconds or math.inf
        self.is_out_of_time = False  # `max_seconds` have passed
        self.is_final_phase = is_final_phase  # True if no other phase follows
        self.epoch = 0  # the current epoch, from 1
        self.is_stopped = False  # `on_epoch` returned False
        self._batches = batches
        self._on_epoch = on_epoch
        self._on_progress = on_progress

    def seconds(self) -> float:
        """Return the time of the training so far, in all phases, including that before an interruption."""
        return self._turn.seconds() - self._begin

    def resume(self, epoch: int, seconds: float) -> None:
        """Continue after `epoch` (from 1) of a training that took `seconds` until then."""
        self.epoch, self._begin = epoch, self._turn.seconds() - seconds

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch + 1
        self._batches.shuffle(self.epoch)
        self._start = self._last_report = self._turn.seconds()
        self._learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    # `on_train_batch_end` is not used: with this method, Keras reads the metrics after every batch, and
    # waits for the GPU each time.
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch or self.params["steps"] == 1:
            self._turn.take()
        now = self._turn.seconds()
        if now - self._last_report > _PROGRESS_INTERVAL_S:
            self._last_report = now
            self._on_progress(self.epoch, batch / self.params["steps"])
        if now - self._begin > self._max_seconds:
            self.is_out_of_time = self.model.stop_training = True  # the epoch is still validated

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items() if name != "learning_rate"}
        check_finite(self.epoch, metrics)
        metrics["learning_rate"] = self._learning_rate
        metrics["epoch_seconds"] = self._turn.seconds() - self._start
        ends_phase = self.epoch == self.params["epochs"] or self.model.stop_training
        is_last = self.is_final_phase and ends_phase
        if not is_last and self.seconds() > self._max_seconds:
            self.is_out_of_time = self.model.stop_training = True
        if not self._on_epoch(self.epoch, metrics, is_last or self.is_out_of_time):
            self.is_stopped = self.model.stop_training = True


def check_finite(epoch: int, metrics: Mapping[str, float]) -> None:
    """Raise ZooError if a metric is NaN or infinite: no later result of the training is valid."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ZooError(f"{name} became {value} in epoch {epoch}; try a lower learning_rate")


def train_phase(
    model: keras.Model,
    batches: Batches,
    callbacks: list[Any],
    make_optimizer: Callable[[Any], Any],
    schedule: str,
    loss: Any,
    learning_rate: float,
    first: int,
    count: int,
) -> None:
    """Train the epochs `first + 1` to `first + count`; `make_optimizer` takes the learning rate.

    The last of `callbacks` is the `StateKeeper`. It may restore a state of this phase, or of the next phase.
    In the latter case, this phase is skipped.
    """
    keeper, begin, end = callbacks[-1], first, first + count
    if keeper.skips_phase(first):
        return
    rate: Any = learning_rate
    if schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=count * len(batches))
    if schedule == "plateau":
        plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=1 / 3, patience=2)
        callbacks = [callbacks[0], plateau, *callbacks[1:]]  # after the validation, because it reads the loss
    keeper.callbacks, keeper.first = callbacks[1:-1], first
    if (state := keeper.state) is not None:
        # If no epoch is left, Keras only calls the callbacks. One of them restores the best weights.
        begin, end = state.epoch, state.last_epoch
    model.compile(make_optimizer(rate), loss=loss, metrics=["accuracy"])
    create_variables(model)
    model.fit(
        backend.as_training_data(batches),
        initial_epoch=begin,
        epochs=end,
        shuffle=False,  # the reporter shuffles the batches
        callbacks=callbacks,
        verbose=0,
    )


def create_variables(model: keras.Model) -> None:
    """Create the variables of the optimizer and of the metrics.

    Otherwise the first training step would create them, and TensorFlow would trace that step twice.
    """
    model.optimizer.build(model.trainable_variables)
    num_classes = model.output_shape[-1]
    # `fit` resets the metrics before each epoch.
    model.compute_metrics(None, np.zeros(1, np.int64), np.full((1, num_classes), 1 / num_classes, np.float32))
