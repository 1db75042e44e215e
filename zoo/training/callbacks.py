"""Keras callbacks of a training. A second phase of the same training uses the same objects again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from zoo.training.faults import NotFinite

_PROGRESS_INTERVAL_S = 0.3

# Called after every epoch with its number (from 1), its metrics, and whether no other epoch follows in any
# case. Returns False to stop the training.
OnEpoch = Callable[[int, Mapping[str, float], bool], bool]
# Called during an epoch with its number and the fraction of it that is done.
OnProgress = Callable[[int, float], None]


class BestEpoch(keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Early stopping that restores the weights of the best epoch of all phases."""

    best_epoch = 0  # Keras sets it only when a training begins

    def __init__(self, objective: str, direction: str, patience: int) -> None:
        mode = {"maximize": "max", "minimize": "min"}[direction]
        super().__init__(monitor=objective, mode=mode, patience=patience, restore_best_weights=True)

    def on_train_begin(self, logs: Any = None) -> None:
        """Keep the best epoch of the first phase, which Keras would forget."""
        best = {name: getattr(self, name) for name in ("best", "best_weights", "best_epoch")}
        super().on_train_begin(logs)
        for name, value in best.items():
            setattr(self, name, value)


class Reporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports every epoch, and a few times a second the fraction of the epoch that is done.

    Args:
        shuffle: called before every epoch with its number (from 1).
        is_final_phase: no other phase follows.
    """

    def __init__(
        self,
        shuffle: Callable[[int], None],
        on_epoch: OnEpoch,
        on_progress: OnProgress,
        *,
        is_final_phase: bool,
    ) -> None:
        super().__init__()
        self.is_final_phase = is_final_phase
        self.epoch = 0  # the current one, from 1
        self.is_stopped = False  # `on_epoch` returned False
        self._shuffle = shuffle
        self._on_epoch = on_epoch
        self._on_progress = on_progress

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch + 1
        self._shuffle(self.epoch)
        self._start = self._last_report = time.perf_counter()
        self._learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    # Not `on_train_batch_end`: if any callback has that, Keras reads the metrics after every batch, and so
    # waits for the GPU each time.
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        now = time.perf_counter()
        if now - self._last_report > _PROGRESS_INTERVAL_S:
            self._last_report = now
            self._on_progress(self.epoch, batch / self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items() if name != "learning_rate"}
        check_finite(self.epoch, metrics)
        metrics["learning_rate"] = self._learning_rate
        metrics["epoch_seconds"] = time.perf_counter() - self._start
        ends_phase = self.epoch == self.params["epochs"] or self.model.stop_training
        if not self._on_epoch(self.epoch, metrics, self.is_final_phase and ends_phase):
            self.is_stopped = self.model.stop_training = True


def check_finite(epoch: int, metrics: Mapping[str, float]) -> None:
    """Raise NotFinite if a metric is NaN or infinite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise NotFinite(f"{name} became {value} in epoch {epoch}")
