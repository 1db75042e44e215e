"""Ctrl-C, SIGTERM and a closed terminal: the first signal stops a study cleanly, the second one at once."""

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
    """A signal stopped the study."""


class Interrupts:
    """Signal handlers. Inside `with interrupts:`, a signal only sets `signum`, so it interrupts no write.

    Inside `with interrupts.interruptible():`, it raises `Interrupted`; such a block can stop at any point.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._is_interruptible = False
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signum == signal.SIGHUP and signal.getsignal(signum) == signal.SIG_IGN:
                    continue  # ignored by the parent process, such as nohup
                self._previous_handlers[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous_handlers.items():
            signal.signal(signum, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise `Interrupted` in the block; an earlier signal raises it at once."""
        self._is_interruptible = True  # set before the check, so that no signal is missed
        try:
            if self.signum is not None:
                raise Interrupted
            yield
        except SystemError as error:  # compiled code, such as Ray's, may raise this instead of `Interrupted`
            if isinstance(error.__cause__, Interrupted):
                raise error.__cause__ from None
            raise
        finally:
            self._is_interruptible = False

    @property
    def exit_status(self) -> int:
        """The exit status that a shell expects: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + (self.signum or signal.SIGINT)

    def status(self) -> int | None:
        """Return the exit status if the process got a signal, else None."""
        return None if self.signum is None else self.exit_status

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is None:
            self.signum = signum
            if self._is_interruptible:
                self._is_interruptible = False
                raise Interrupted
            return
        # A second signal ends the process at once, and its worker processes with it.
        if hasattr(sys, "ps1"):  # an interactive interpreter must not end
            raise KeyboardInterrupt
        with contextlib.suppress(OSError, ValueError):  # the terminal was closed
            show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
            sys.stderr.write(
                f"{show_cursor}\nstopped at once; the next run of the study records what is missing\n"
            )
            sys.stderr.flush()
        os._exit(self.exit_status)
