"""Ctrl-C, SIGTERM and a closed terminal while a search runs: once ends it cleanly, twice at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The search was told to stop."""


class Interrupts:
    """Within `with interrupts:`, signals set `signum` instead of raising in the middle of a write.

    Inside `with interrupts.welcome():`, where nothing is half done, they raise `Interrupted`.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._welcome = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signum == signal.SIGHUP and signal.getsignal(signum) == signal.SIG_IGN:
                    continue  # it was started with nohup
                self._previous[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    @contextlib.contextmanager
    def welcome(self) -> Iterator[None]:
        """A stretch that may be left at any point."""
        self._welcome = True  # before the check: a signal between the two must not wait for the end
        try:
            if self.signum is not None:
                raise Interrupted
            yield
        finally:
            self._welcome = False

    @property
    def exit_status(self) -> int:
        """What a shell expects of a process that ended for a signal.

        130 for Ctrl-C, 143 for SIGTERM, 129 for a terminal that was closed.
        """
        return 128 + (self.signum or signal.SIGINT)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:  # the second time: at once; trials end with this process
            if hasattr(sys, "ps1"):  # but an interpreter somebody sits at is not ours to end
                raise KeyboardInterrupt
            with contextlib.suppress(OSError, ValueError):  # a terminal that was closed
                show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
                sys.stderr.write(
                    f"{show_cursor}\nstopped at once; the next run of the study puts its record in order\n"
                )
                sys.stderr.flush()
            os._exit(self.exit_status)
        self.signum = signum
        if self._welcome:
            self._welcome = False
            raise Interrupted
