"""The connection to the MLflow store, and the command that serves MLflow's user interface.

MLflow itself retries a broken database or a dead server for minutes; `connect` fails within seconds. MLflow
selects the store: `$MLFLOW_TRACKING_URI`, else `sqlite:///mlflow.db` in the working folder, with artifacts in
`./mlruns`. `connect` imports MLflow; this module does not.
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from zoo.disk_space import full_text, is_full
from zoo.files import remove_leftovers, temporary_folder
from zoo.redaction import redact
from zoo.tracking._store import DEFAULTS, Store, StoreAway, TrackingError, reason, short_timeouts

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_DATABASE_SERVERS = ("postgresql", "mysql", "mssql")
_UI_PORT = 5000
_LOCK_TIMEOUT_S = 5.0
_NEW_DATABASE_BYTES = 2_000_000  # bytes of the tables of a new database
_OTHER_SCHEMA = "out-of-date database schema"  # MLflow's message for an older or a newer schema


def tracking_uri(uri: str | None = None) -> str:
    """Return the address of the store: `uri`, `$MLFLOW_TRACKING_URI`, or `mlflow.db` in the working folder.

    The path in a SQLite address is made absolute, so that the address is valid in every folder. As in
    MLflow, a folder `mlruns` with runs in MLflow's old file format is preferred to `mlflow.db`.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        old = Path.cwd() / "mlruns"
        is_old = any(path.parent.name.isdigit() for path in old.glob("*/meta.yaml"))
        uri = old.as_uri() if is_old else f"{_SQLITE}mlflow.db"
    path = _sqlite_path(uri)
    if path is None or path.is_absolute():
        return uri
    return f"{_SQLITE}{Path.cwd() / uri.removeprefix(_SQLITE)}"


def is_new_store() -> bool:
    """Return True if the store is a SQLite file that does not exist yet."""
    path = _sqlite_path(tracking_uri())
    return path is not None and not path.exists()


def preload() -> None:
    """Import MLflow, which takes seconds; read and write nothing."""
    _silence_mlflow()
    import mlflow  # noqa: F401


def connect(uri: str | None = None, *, create: bool = True) -> Store:
    """Return the store at `uri`; raise TrackingError if it does not answer or cannot be used.

    If the store is a new SQLite file, its tables are created, which takes seconds; commands that only read
    set `create` to False. The file appears complete or not at all, even if several processes start at once.
    """
    uri = tracking_uri(uri)
    _silence_mlflow()
    path = _sqlite_path(uri)
    if path is not None:
        _check_folder(Path.cwd())
        _check_folder(path.parent)
        if path.exists():
            _check_database(path, for_writing=create)
        elif create:
            _create_database(path)
        else:
            raise TrackingError(
                f"there is no MLflow database {path}. Run a study in this folder first, "
                "or set MLFLOW_TRACKING_URI to another store."
            )
    try:
        with short_timeouts():
            if urlsplit(uri).scheme.partition("+")[0] in _DATABASE_SERVERS:
                from sqlalchemy import NullPool, create_engine

                create_engine(uri, poolclass=NullPool).connect().close()
            return Store(uri, _open(uri))
    except Exception as error:
        raise _connection_error(uri, error) from error


def _silence_mlflow() -> None:
    """Keep MLflow's log off the terminal, its telemetry off, and its timeouts short."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if os.environ["MLFLOW_LOGGING_LEVEL"] == DEFAULTS["MLFLOW_LOGGING_LEVEL"]:
        # If a notebook has imported MLflow already, MLflow does not read the variable again.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address; None for any other store."""
    database = unquote(uri.removeprefix(_SQLITE).partition("?")[0])
    return Path(database) if uri.startswith(_SQLITE) and database not in ("", ":memory:") else None


def _check_folder(folder: Path) -> None:
    """Raise TrackingError if MLflow would misread the path of a folder and write into another one."""
    if "%" in str(folder) or "?" in str(folder):
        raise TrackingError(
            f"MLflow cannot record in {folder}: it misreads '%' and '?' in a path. "
            "Run zoo in a folder without them in its path."
        )


def _check_database(path: Path, *, for_writing: bool) -> None:
    """Raise TrackingError if the database cannot be read or, with `for_writing`, cannot be written."""
    try:
        with closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S)) as database:
            database.execute("BEGIN IMMEDIATE" if for_writing else "PRAGMA schema_version")
    except sqlite3.Error as error:
        raise _database_error(path, str(error)) from error


def _create_database(path: Path) -> None:
    """Create the tables in a temporary folder, then move the complete file to its place.

    If two processes create tables in one file, both fail; a killed process leaves only some of the tables.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        with temporary_folder(path.parent) as folder:
            new = folder / path.name
            _open(f"{_SQLITE}{new}")
            try:
                os.link(new, path)
            except OSError:  # another process created it, or the file system has no hard links
                if not path.exists():
                    new.replace(path)
    except Exception as error:
        if is_full(error):
            raise StoreAway(f"{full_text(path, _NEW_DATABASE_BYTES)}. Make room.") from error
        raise _database_error(path, getattr(error, "strerror", None) or reason(error)) from error


def _open(uri: str) -> MlflowClient:
    """Return a client of a store that answers. In a new database this creates the tables."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _database_error(path: Path, problem: str) -> TrackingError:
    return TrackingError(
        f"MLflow's database {path} cannot be used ({problem}). "
        "Run zoo in a folder you may write to, or set MLFLOW_TRACKING_URI to another store."
    )


def _connection_error(uri: str, error: Exception) -> TrackingError:
    """Return an error whose message has one line: the address, the reason, what to do."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    is_server = scheme in ("http", "https", *_DATABASE_SERVERS) and _OTHER_SCHEMA not in str(error)
    return (StoreAway if is_server else TrackingError)(_connection_problem(uri, error))


def _connection_problem(uri: str, error: Exception) -> str:
    scheme, address = urlsplit(uri).scheme, redact(uri)
    if scheme in ("http", "https"):
        return (
            f"no MLflow server answers at {address} ({reason(error)}). Start it, "
            "or unset MLFLOW_TRACKING_URI to record in mlflow.db in this folder."
        )
    if scheme in ("", "file"):
        return (
            f"{address} has MLflow's old file format, which MLflow no longer writes. Set "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db, and copy the old runs with "
            "`mlflow migrate-filestore --source mlruns --target sqlite:///mlflow.db`."
        )
    if _OTHER_SCHEMA in str(error):
        return (
            f"{address} was made by another version of MLflow than the installed one. If the other "
            f"version is older, back up the database and run `mlflow db upgrade {shlex.quote(address)}`; "
            "if it is newer, run `pip install --upgrade mlflow`."
        )
    return f"MLflow cannot use {address}: {reason(error)}. Set MLFLOW_TRACKING_URI to another store."


def ui_command(uri: str, host: str = "127.0.0.1", port: int = _UI_PORT) -> list[str]:
    """Return the command that serves the user interface, for `ui_environment(uri)`; [] for a server."""
    if uri.startswith(("http://", "https://")):
        return []
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--host", host, "--port", str(port)),
        *("--workers", "1"),  # enough for one user; each worker is a process of 250 MB
    ]


def ui_environment(uri: str) -> dict[str, str]:
    """Return the environment of the command: `uri`, which may have a password, and no job runner.

    MLflow's job runner uses nine processes and 1 GB.
    """
    defaults = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return {**defaults, **os.environ, "MLFLOW_BACKEND_STORE_URI": uri}


def ui_answers(host: str, port: int) -> bool:
    """Return True if the server listens; an MLflow server listens as soon as its pages can be opened."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port(host: str = "127.0.0.1", wanted: int = _UI_PORT) -> int:
    """Return `wanted` if it is free, else a free port that the system selects."""
    try:
        listener = socket.create_server((host, wanted))
    except OSError:
        listener = socket.create_server((host, 0))
    with listener:
        return int(listener.getsockname()[1])


def server_answers(timeout: float = 5.0) -> bool:
    """Return True if the server of the store sends any answer, or if the store has no server."""
    import ssl
    from urllib import error as errors
    from urllib.request import urlopen

    parts = urlsplit(tracking_uri())
    if parts.scheme not in ("http", "https"):
        return True
    host, path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/health"
    try:
        urlopen(f"{parts.scheme}://{host}{path}", timeout=timeout).close()
    except errors.HTTPError:
        return True
    except errors.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # MLflow may accept such a certificate
    except OSError:
        return False
    return True
