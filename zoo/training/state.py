"""The state of a training: the parts of the model, the optimizer and the callbacks in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from zoo.errors import ZooError
from zoo.training import backend
from zoo.training.checkpoints import Keep, State
from zoo.training.loop import BestEpoch, Reporter

# The attributes in which callbacks of Keras store their state.
_COUNTERS = ("best", "best_epoch", "wait", "stopped_epoch", "cooldown_counter")


class StateKeeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Offers the state after each epoch to `keep`, and restores a saved state when the training begins.

    It must be the last callback, because Keras resets the others when a training begins.

    Args:
        state: a saved state; None for a new training.
    """

    def __init__(self, best: BestEpoch, reporter: Reporter, keep: Keep | None, state: State | None) -> None:
        super().__init__()
        self.first = 0  # the number of epochs before the current phase
        self.callbacks: Sequence[Any] = ()  # callbacks of the current phase
        self._best = best
        self._reporter = reporter
        self._keep = keep
        self.state = state  # None as soon as it is restored

    def skips_phase(self, first: int) -> bool:
        """Return True if the state belongs to a later phase than the one that begins after epoch `first`."""
        if self.state is None or self.state.first == first:
            return False
        self._reporter.epoch = self.state.first
        return True

    def on_train_begin(self, logs: Any = None) -> None:
        if self.state is not None:
            self._restore(self.state)
            self.state = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._keep is not None and not self._reporter.is_stopped:  # otherwise the trial ends
            self._keep(self._copy)

    def _copy(self) -> State:
        counters = [
            {name: _number(getattr(one, name)) for name in _COUNTERS if hasattr(one, name)}
            for one in self.callbacks
        ]
        reporter, weights = self._reporter, self._best.best_weights
        facts = {
            "first": self.first,
            "last_epoch": self.params["epochs"],
            "is_stopped": False,
            "ends_phase": reporter.epoch == self.params["epochs"] or bool(self.model.stop_training),
            "counters": counters,
            "is_out_of_time": reporter.is_out_of_time,
            "seconds": reporter.seconds(),
        }
        arrays = {
            "model": _values(self.model.variables),
            "optimizer": _values(self.model.optimizer.variables),
            "best": list(weights or ()),  # Keras replaces the list, but changes no array in it
            **backend.random_states(),
        }
        return State(reporter.epoch, facts, arrays)

    def _restore(self, state: State) -> None:
        optimizer, facts, arrays = self.model.optimizer, state.facts, state.arrays
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        _assign(self.model.variables, arrays["model"], "network")
        _assign(optimizer.variables, arrays["optimizer"], "optimizer")
        for callback, counters in zip(self.callbacks, facts["counters"], strict=True):
            for name, value in counters.items():
                setattr(callback, name, value)
        self._best.best_weights = list(arrays["best"]) or None
        self._reporter.resume(state.epoch, facts["seconds"])
        self._reporter.is_out_of_time = facts["is_out_of_time"]
        self._reporter.is_stopped = facts["is_stopped"]
        backend.set_random_states(arrays)


def _number(value: Any) -> int | float | None:
    """Return a counter as a number of Python; JSON stores floats exactly."""
    return value if value is None or isinstance(value, int) else float(value)


def _values(variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    return [np.array(one.numpy()) for one in variables]


def _assign(variables: Sequence[Any], values: Sequence[npt.NDArray[Any]], owner: str) -> None:
    """Assign saved values to the variables of the network or the optimizer."""
    if [tuple(one.shape) for one in variables] != [one.shape for one in values]:
        raise ZooError(
            f"the checkpoint has other variables than the {owner}, which does not depend on its parameters "
            "alone. Run the trial again with `zoo tune STUDY --retry-failed`."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
