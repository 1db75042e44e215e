"""Waiting for the turn of a trial whose process starts while other trials train."""

from __future__ import annotations

import time
from collections.abc import Callable


class Turn:
    """Lets a trial wait after its first training step; by then, the network is built and the step compiled.

    Args:
        wait: blocks until it is the trial's turn; None if it is the trial's turn already.
    """

    def __init__(self, wait: Callable[[], object] | None = None) -> None:
        self._wait = wait
        self._waited_s = 0.0
        self._postponed: list[Callable[[], None]] = []

    def then(self, call: Callable[[], None]) -> None:
        """Call `call` as soon as it is the trial's turn."""
        if self._wait is None:
            call()
        else:
            self._postponed.append(call)

    def take(self) -> None:
        """Wait until it is the trial's turn."""
        if self._wait is None:
            return
        begin, wait, self._wait = time.perf_counter(), self._wait, None
        wait()
        self._waited_s = time.perf_counter() - begin
        for call in self._postponed:
            call()

    def seconds(self) -> float:
        """Return the time of a clock that stops while the trial waits."""
        return time.perf_counter() - self._waited_s
