"""Optuna's storage: which one a study uses, and opening it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from zoo.durations import duration_text
from zoo.errors import ZooError, one_line
from zoo.record import StudyDirectory
from zoo.redaction import redact
from zoo.tuning.patience import Patience, make_patient, unavailable

if TYPE_CHECKING:
    import optuna

_LOCK_TIMEOUT_S = 900.0  # longer than the opening of a storage waits for a database


def default_storage(root: Path) -> str:
    """Return the URL of Optuna's SQLite file; MLflow and Optuna cannot share a file."""
    path = (root / "mlruns" / "optuna.db").resolve()
    if any(character in str(path) for character in "?#%"):
        raise ZooError(
            f"the path {path} contains '?', '#' or '%', but a database URL cannot. Run zoo in another folder."
        )
    return f"sqlite:///{path}"


def storage_url(directory: StudyDirectory, url: str | None = None) -> str:
    """Return the URL of a study's Optuna storage: `url`, else the recorded one, which has no password."""
    return url or directory.storage() or default_storage(Path.cwd())


def find_storage(directory: StudyDirectory, url: str | None = None) -> optuna.storages.BaseStorage | None:
    """Return the Optuna storage of `storage_url`; None if it does not have the study."""
    import optuna

    url = storage_url(directory, url)
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return None
    storage = open_storage(url, directory.path.parent)
    return storage if directory.study in optuna.get_all_study_names(storage) else None


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite storage; None for any other storage."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix).partition("?")[0]) if url.startswith(prefix) else None


def _lock_path(url: str, state_dir: Path) -> Path:
    """Return the file to lock while tables are created: it is next to a database that two folders may use."""
    path = sqlite_path(url)
    if path is None or not path.parent.is_dir() or path.parent == state_dir.parent.resolve():
        return state_dir / ".optuna.lock"
    return path.parent / ".optuna.lock"


def open_storage(
    url: str, state_dir: Path, *, is_new: bool = True, patience: Patience | None = None
) -> optuna.storages.BaseStorage:
    """Open the storage; `is_new` creates missing tables. A lock admits one process at a time.

    `patience` decides how long calls wait for a database that is locked or away; by default a minute.
    """
    import optuna

    patience = patience or Patience(max_wait_s=60.0)
    is_sqlite = url.startswith("sqlite")
    options = {"pool_pre_ping": not is_sqlite, "connect_args": _connection_options(url)}
    table_options: dict[str, Any] = {"engine_kwargs": options, "skip_table_creation": not is_new}
    try:
        with _opening_lock(_lock_path(url, state_dir)):
            if "://" not in url or url.startswith("redis"):
                return optuna.storages.get_storage(url)
            # A server that never answered may have a wrong address, so zoo waits only for a locked file.
            make = partial(optuna.storages.RDBStorage, url, **table_options)
            storage = patience.call(make, url) if is_sqlite else make()
    except ZooError:
        raise
    except Exception as error:
        raise ZooError(
            f"cannot open the Optuna storage {redact(url)}: "
            f"{unavailable(error, url) or redact(one_line(error), url)[:200].rstrip('.')}. "
            "Use another storage, such as --storage sqlite:///optuna.db, or remove --storage."
        ) from error
    make_patient(storage, patience)
    return storage


def _connection_options(url: str) -> dict[str, int]:
    """Return the options of the database driver, which detect a lost server in time."""
    if url.startswith("sqlite"):
        return {"timeout": 2}
    if re.match(r"postgresql(\+psycopg2?)?:", url):
        return {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    return {"connect_timeout": 10} if re.match(r"(mysql|mariadb)(\+(pymysql|mysqldb))?:", url) else {}


@contextmanager
def _opening_lock(path: Path) -> Iterator[None]:
    """Lock a file while tables are created; raise ZooError if another process keeps it for minutes."""
    try:
        with FileLock(path, timeout=_LOCK_TIMEOUT_S):
            yield
    except Timeout:
        raise ZooError(
            f"another zoo has opened Optuna's storage for {duration_text(_LOCK_TIMEOUT_S)} and holds {path}. "
            "Stop it, and run the same command again."
        ) from None
