"""Waiting, in a trial whose process is started early, until it is the turn of the trial to train."""

from __future__ import annotations

import time
from collections.abc import Callable


class Turn:
    """Lets a trial wait after its first training step, when its network is built and its step is compiled.

    Args:
        wait: returns when it is the trial's turn; None if it is its turn already.
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
        """Return the time of a clock that stands still while the trial waits."""
        return time.perf_counter() - self._waited_s
