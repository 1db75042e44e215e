"""The speed of a training on all cores relative to one core, measured while a trial trains."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

VARIABLE = "_ZOO_TIME_CORES"  # an environment variable: this worker process measures the speed
_INTERVALS = 2  # with all cores, and with one core
_MAX_EPOCHS = 2


@dataclass(frozen=True)
class CoresTimed:
    """Message of a trial, sent once: the speed of all cores relative to one; None if epochs are too short."""

    speedup: float | None


class _Point(NamedTuple):
    epoch: int
    fraction: float  # the completed fraction of the epoch
    time: float


class CoreTimer:
    """Restricts this process to one core for short intervals, and compares the speed of the training.

    Args:
        send: called once, with the result.
    """

    def __init__(self, send: Callable[[CoresTimed], None]) -> None:
        self._send = send
        self._cores = os.sched_getaffinity(0)
        self._one_core = {sorted(self._cores)[os.getpid() % len(self._cores)]}
        self._rates: dict[bool, list[float]] = {True: [], False: []}  # True: with one core, False: with all
        self._is_on_one = False
        self._last: _Point | None = None
        self._is_done = False

    def progress(self, epoch: int, fraction: float) -> None:
        """Measure the speed. Call this a few times a second, with the fraction of the epoch that is done."""
        if self._is_done:
            return
        now = _Point(epoch, fraction, time.perf_counter())
        if self._last is not None:
            rate = (fraction - self._last.fraction) / (now.time - self._last.time)
            self._rates[self._is_on_one].append(rate)
            self._use_one(not self._is_on_one)
        self._last = now
        if all(len(rates) >= _INTERVALS for rates in self._rates.values()):
            self._finish(sum(self._rates[False]) / sum(self._rates[True]))

    def end_epoch(self, epoch: int) -> None:
        """Use all cores again; stop measuring after two epochs."""
        self._last = None
        self._use_one(False)
        if epoch >= _MAX_EPOCHS and not self._is_done:
            self._finish(None)

    def _finish(self, speedup: float | None) -> None:
        self._is_done = True
        self._use_one(False)
        self._send(CoresTimed(speedup))

    def _use_one(self, is_on_one: bool) -> None:
        if is_on_one != self._is_on_one:
            _restrict(self._one_core if is_on_one else self._cores)
        self._is_on_one = is_on_one


def core_timer(send: Callable[[CoresTimed], None]) -> CoreTimer | None:
    """Return a timer if this worker process must measure the speed, and can; else None."""
    return CoreTimer(send) if VARIABLE in os.environ and hasattr(os, "sched_setaffinity") else None


def _restrict(cores: Iterable[int]) -> None:
    """Let every thread of this process run on `cores` only. A new thread inherits the cores."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # the thread has ended
            os.sched_setaffinity(int(thread.name), cores)
