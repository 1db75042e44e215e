"""Log files: the logs of other libraries, the length of a log, and the place of a crash."""

from __future__ import annotations

import logging
import mmap
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.files import atomic_path
from zoo.redaction import redact

# When imported, several of these libraries add a handler that writes to the terminal.
_LIBRARIES = {
    *("absl", "alembic", "h5py", "jax", "keras", "matplotlib", "mlflow", "optuna", "PIL"),
    *("ray", "sqlalchemy", "tensorflow", "torch", "urllib3"),
}


_KEPT_SIZE = 2**20  # bytes that are kept at the start of a log, and at its end
_OMITTED = re.compile(rb"\n\[zoo: (\d+) bytes are left out\]\n")
_LIBRARY_FOLDERS = ("keras", "tensorflow", "numpy", "jax", "jaxlib", "torch")


class _RedactingFormatter(logging.Formatter):
    """Writes records without passwords."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


@contextmanager
def library_logs(path: Path | None) -> Iterator[None]:
    """Write the logs of other libraries, and every Python warning, to `path` until the block ends.

    This covers the libraries that zoo uses, with any handlers, and every logger that has no handler. Loggers
    and handlers that the user has configured work as before. No logger is changed. `path` is created at the
    first record, and appended to. With None, the records are discarded.
    """
    handler: logging.Handler = (
        logging.NullHandler() if path is None else logging.FileHandler(path, delay=True)
    )
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    call_handlers, show_warning = logging.Logger.callHandlers, warnings.showwarning

    def handle(logger: logging.Logger, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in _LIBRARIES or not logger.hasHandlers():
            handler.handle(record)
        else:
            call_handlers(logger, record)

    def log_warning(
        message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        text = warnings.formatwarning(message, category, filename, lineno, line).rstrip()
        handler.handle(logging.LogRecord("py.warnings", logging.WARNING, filename, lineno, text, None, None))

    # Handlers cannot be replaced before the block: a library that is imported in it adds its own.
    logging.Logger.callHandlers = handle  # type: ignore[method-assign, assignment]
    warnings.showwarning = log_warning
    try:
        yield
    finally:
        logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
        warnings.showwarning = show_warning
        handler.close()


def cap_log(path: Path, kept_size: int = _KEPT_SIZE) -> None:
    """Shorten a long log: keep its start and its end, and write the number of omitted bytes.

    A process may append to the log meanwhile. The log may be shortened repeatedly.
    """
    try:
        if path.stat().st_size <= 3 * kept_size:
            return
        with path.open("r+b") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                size = len(content)
                end = content[size - kept_size :].partition(b"\n")[2]
                before = list(_OMITTED.finditer(content, kept_size, size - len(end)))
                left_out = sum(int(found[1]) - len(found[0]) for found in before)
            left_out += file.seek(0, os.SEEK_END) - kept_size - len(end)  # with what was written meanwhile
            file.truncate(kept_size)
        with path.open("ab") as file:
            file.write(b"\n[zoo: %d bytes are left out]\n" % left_out + end)
    except OSError:  # there is no log, or the disk is full
        return


def finish_log(path: Path) -> None:
    """Shorten the log of a process that has ended, and hide passwords in it."""
    cap_log(path)
    with suppress(OSError):  # there is no log, or the disk is full
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        if (hidden := redact(text)) != text:
            with atomic_path(path) as new:
                new.write_bytes(hidden.encode("utf-8", "surrogateescape"))


def crash_location(path: Path) -> str:
    """Return the place where a process crashed in native code: ` at my_net.py:12`; "" if its log has none.

    faulthandler writes the stack, innermost call first. Calls in Python itself and in backends are left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2**16))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    crash = text.rpartition("Fatal Python error: ")[2].partition("Current thread ")[2]
    stack = crash.partition("(most recent call first)")[2]
    calls = re.findall(r'File "(.+?)", line (\d+) in', stack.partition("\n\n")[0])
    for file_name, line in calls:
        folders = Path(file_name).parts
        is_python = file_name.startswith(("<", sysconfig.get_path("stdlib")))
        if "site-packages" in folders:
            is_python = not set(folders).isdisjoint(_LIBRARY_FOLDERS)
        if not is_python:
            return f" at {'/'.join(folders[-2:])}:{line}"
    return ""
