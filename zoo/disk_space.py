"""A full disk: recognizing the error, and waiting for free space."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from zoo.errors import ZooError

_POLL_S = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room, over a quota, over a limit of the process
_SQLITE_FULL = "database or disk is full"

Result = TypeVar("Result")


class DiskFull(ZooError):
    """The disk is full, and a user stopped the command while it waited for space."""

    exit_status = 1


def is_full(error: BaseException | None) -> bool:
    """Return True if an error, or one of its causes, means that the disk is full."""
    while error is not None:
        is_known = isinstance(error, DiskFull) or _SQLITE_FULL in str(error)
        if is_known or getattr(error, "errno", None) in _FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def full_text(path: Path, needed: int = 0) -> str:
    """Return one line: the path, the free space, and `needed`, in bytes, 0 if unknown."""
    room = ""
    with suppress(OSError, StopIteration):
        folder = next(one for one in (path, *path.absolute().parents) if one.exists())
        room = f" ({shutil.disk_usage(folder).free / 1e6:,.1f} MB are free"
        room += f", {max(needed / 1e6, 0.1):,.1f} MB are needed)" if needed else ")"
    return f"the disk is full: {path} cannot be written{room}"


def waiting_text(path: Path, needed: int = 0) -> str:
    """Return the line for a user whose command waits."""
    return f"{full_text(path, needed)}; waiting until there is room. Ctrl-C stops"


def keep_trying(
    action: Callable[[], Result],
    path: Path,
    report: Callable[[str], None],
    *,
    needed: int = 0,
    must_stop: Callable[[], bool] = lambda: False,
    alive: Callable[[], object] = lambda: None,
) -> Result:
    """Return `action()`; while the disk is full, wait and call it again. It must leave no partial result.

    Args:
        path: the path that `action` writes.
        report: called with one line when the wait begins.
        needed: needed bytes; 0 if unknown.
        must_stop: if it returns True, the wait ends with DiskFull.
        alive: called repeatedly during the wait.
    """
    is_reported = False
    while True:
        try:
            return action()
        except Exception as error:
            if not is_full(error):
                raise
            text = full_text(path, needed)
            if must_stop():
                raise DiskFull(
                    f"{text}. Nothing that was recorded is lost. Make room, and run the same command again."
                ) from error
            if not is_reported:
                is_reported = True
                report(waiting_text(path, needed))
        alive()
        time.sleep(_POLL_S)
