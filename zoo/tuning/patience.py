"""Waiting for a database of Optuna that is locked, whose server is away, or whose disk is full.

Optuna itself gives up at once, with a text about the length of values. Here, each call to the storage is
repeated until the database answers, because a failed transaction has changed nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.disk_space import is_full, waiting_text
from zoo.durations import duration_text
from zoo.errors import ZooError, one_line
from zoo.redaction import redact

if TYPE_CHECKING:
    import optuna

MAX_WAIT_S = 600.0
_QUIET_S = 2.0  # a database is often locked for a moment
_PAUSE_S = 0.5
# Optuna's own cache of a storage uses these methods; tests/tuning/test_patience.py fails if one disappears.
_PRIVATE_METHODS = (
    *("_create_new_trial", "_get_best_trial_id", "_get_trials", "_set_trial_param"),
    "get_trial_id_from_study_id_trial_number",
)


class DatabaseAway(ZooError):
    """The database did not answer in time. The event logs have everything."""

    exit_status = 1


class Patience:
    """The rules by which a storage waits.

    Args:
        report: called with one line each time that the database is away for more than two seconds.
        signal_status: returns the exit status if a signal has stopped the study, else None.
        max_wait_s: seconds until DatabaseAway is raised. After that, no call waits again. A full disk has no
            such limit.
    """

    def __init__(
        self,
        report: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
        signal_status: Callable[[], int | None] = lambda: None,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self.report = report
        self.signal_status = signal_status
        self._max_wait_s = max_wait_s

    def call(self, function: Callable[..., Any], url: str, *arguments: Any, **keywords: Any) -> Any:
        """Return `function(*arguments, **keywords)`, called again until the database at `url` answers."""
        import optuna

        start, is_reported, num_calls = time.monotonic(), False, 0
        while True:
            num_calls += 1
            try:
                return function(*arguments, **keywords)
            except optuna.exceptions.UpdateFinishedTrialError:
                if num_calls == 1:
                    raise
                return True  # the database had the state already, but its answer was lost
            except Exception as error:
                problem, has_no_room = unavailable(error, url), is_full(error)
                if not problem and not has_no_room:
                    raise
                waited = time.monotonic() - start
                status = self.signal_status()
                if status is not None or (waited >= self._max_wait_s and not has_no_room):
                    raise self._gave_up(url, problem or "its disk is full", waited, status) from error
            if has_no_room and not is_reported:
                is_reported = True
                self.report(waiting_text(Path(url.removeprefix("sqlite:///"))))
            if waited >= _QUIET_S and not is_reported:
                is_reported = True
                until = time.strftime("%H:%M:%S", time.localtime(time.time() + self._max_wait_s - waited))
                self.report(f"waiting for the database {redact(url)} until {until}: {problem}")
            time.sleep(_PAUSE_S)

    def _gave_up(self, url: str, problem: str, waited: float, status: int | None) -> DatabaseAway:
        self._max_wait_s = 0.0
        error = DatabaseAway(
            f"the database {redact(url)} has not answered for {duration_text(max(waited, 1))}: {problem}. "
            "Nothing is lost: the event logs have every trial. When it answers, run the same command again."
        )
        error.exit_status = status or error.exit_status
        return error


def unavailable(error: BaseException | None, url: str = "") -> str:
    """Return in one line why a database does not answer now; "" for an error that waiting cannot solve.

    Args:
        url: the URL of the database, whose password is hidden in the result.
    """
    from sqlalchemy import exc

    while error is not None and not isinstance(error, exc.SQLAlchemyError):
        error = error.__cause__
    if not isinstance(error, exc.DBAPIError) or isinstance(error, exc.IntegrityError):
        return ""
    text = one_line(error.orig)
    is_locked = "database is locked" in text or "database table is locked" in text
    is_sqlite = type(error.orig).__module__.startswith("sqlite3")
    is_away = not is_sqlite and (error.connection_invalidated or error.statement is None)
    return redact(text, url)[:200].rstrip(". ") if is_locked or is_away else ""


def make_patient(storage: optuna.storages.RDBStorage, patience: Patience) -> None:
    """Let every call to `storage` wait for its database."""
    from optuna.storages import BaseStorage

    for name in (*BaseStorage.__abstractmethods__, *_PRIVATE_METHODS):
        setattr(storage, name, _patient(getattr(storage, name), storage.url, patience))


def _patient(method: Callable[..., Any], url: str, patience: Patience) -> Callable[..., Any]:
    @wraps(method)
    def call(*arguments: Any, **keywords: Any) -> Any:
        return patience.call(method, url, *arguments, **keywords)

    return call
