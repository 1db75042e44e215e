"""The SQLite file of a local MLflow store: checked, and created, before MLflow opens it.

MLflow itself retries a broken database for a hundred seconds, and creates its tables one by one.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import uuid
from contextlib import closing, suppress
from pathlib import Path

from zoo.tracking._store import TrackingError, reason

_LOCK_TIMEOUT_S = 5.0


def check_database(path: Path, *, create: bool) -> None:
    """Raise an error at once if MLflow could not use the database; create it if it does not exist.

    Args:
        create: if False, the database must exist, and may be read-only.

    Raises:
        TrackingError: the file cannot be written, is no database, or does not exist.
    """
    if not path.exists():
        if not create:
            raise TrackingError(
                f"There is no MLflow database {path}. Run a study in this folder first, "
                "or set MLFLOW_TRACKING_URI to another store."
            )
        _create_database(path)
        return
    mode, statement = ("rw", "BEGIN IMMEDIATE") if create else ("ro", "PRAGMA schema_version")
    address = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_LOCK_TIMEOUT_S)) as database:
            database.execute(statement)
            database.rollback()
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from error


def _create_database(path: Path) -> None:
    """Create the tables in another place, then make the file appear in one step.

    Two processes that create tables in one file fail on each other's tables, and a killed process
    leaves half of them.
    """
    new = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.touch()
        with tempfile.TemporaryDirectory(prefix="zoo-mlflow-") as folder:
            built = Path(folder) / "mlflow.db"
            _create_tables(f"sqlite:///{built}")
            with closing(sqlite3.connect(built)) as source, closing(sqlite3.connect(new)) as target:
                source.backup(target)
        _publish(new, path)
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from error
    except Exception as error:
        raise _unusable(path, reason(error)) from error
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _create_tables(uri: str) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def _publish(new: Path, path: Path) -> None:
    """Make `new` appear as `path`. The first of several processes succeeds; the others use its file."""
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    except OSError:  # the file system has no hard links
        if not path.exists():
            new.replace(path)


def _unusable(path: Path, problem: str) -> TrackingError:
    return TrackingError(
        f"MLflow's database {path} cannot be used ({problem}). "
        "Run zoo in a folder you may write to, or set MLFLOW_TRACKING_URI to another store."
    )
