"""Log records and warnings of other libraries, written to a file instead of the terminal."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.redaction import redact

# Several of these add a handler of their own when they are imported, which writes to the terminal.
_LIBRARIES = {
    *("absl", "alembic", "h5py", "jax", "keras", "matplotlib", "mlflow", "optuna", "PIL"),
    *("ray", "sqlalchemy", "tensorflow", "torch", "urllib3"),
}


class _RedactingFormatter(logging.Formatter):
    """Writes records without passwords."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


@contextmanager
def library_logs(path: Path | None) -> Iterator[None]:
    """Write what other libraries log, and every Python warning, to `path` until the block ends.

    This covers the libraries that zoo uses, whichever handlers they have, and every logger that has no
    handler. Loggers and handlers that the user has configured work as before. No logger is changed.
    `path` is created at the first record, and appended to. None discards the records.
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
