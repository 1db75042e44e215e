"""The address of the MLflow store, and a connection to it that fails within seconds.

The store is the one that MLflow selects: `$MLFLOW_TRACKING_URI`, else `sqlite:///mlflow.db` in the
working folder, with artifacts in `./mlruns`. `connect` imports MLflow; this module does not.

    store = connect()                       # or connect("http://localhost:5000")
    experiment_id = store.open_experiment("mnist_cnn")
"""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zoo.errors import redact_password
from zoo.tracking._database import check_database
from zoo.tracking._store import DEFAULTS, Store, TrackingError, reason, short_timeouts

_SQLITE = "sqlite:///"
_DATABASE_SERVERS = ("postgresql", "mysql", "mssql")
_OTHER_SCHEMA = "out-of-date database schema"  # MLflow's text, also where the schema is a newer one


def tracking_uri(uri: str | None = None) -> str:
    """Return the address of the store: `uri`, `$MLFLOW_TRACKING_URI`, or `mlflow.db` in this folder.

    The path in a SQLite address is made absolute, so that the address is valid in every folder. If this
    folder has runs in MLflow's old file format, MLflow selects that format, and so does this function.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or _default_uri()
    path = uri.removeprefix(_SQLITE)
    if path == uri or not path or path.startswith((":memory:", "/", "?")):
        return uri
    return f"{_SQLITE}{Path.cwd() / path}"


def _default_uri() -> str:
    old = Path.cwd() / "mlruns"
    if any(path.parent.name.isdigit() for path in old.glob("*/meta.yaml")):
        return old.as_uri()
    return f"{_SQLITE}{Path.cwd() / 'mlflow.db'}"


def is_new_store(uri: str | None = None) -> bool:
    """Return True if the store is a SQLite file that does not exist yet."""
    path = _sqlite_path(tracking_uri(uri))
    return path is not None and not path.exists()


def preload() -> None:
    """Import MLflow, which takes seconds; read and write nothing."""
    _silence_mlflow()
    import mlflow  # noqa: F401


def connect(uri: str | None = None, *, create: bool = True) -> Store:
    """Return a store that answers.

    If the store is a new SQLite file, its tables are created, which takes seconds. The file appears
    complete or not at all, even if several processes start at once.

    Args:
        uri: as for `tracking_uri`.
        create: if False, refuse a SQLite file that does not exist; for commands that only read.

    Raises:
        TrackingError: the server does not answer, or the database cannot be used.
    """
    uri = tracking_uri(uri)
    _silence_mlflow()
    path = _sqlite_path(uri)
    if path is not None:
        _check_working_folder()
        check_database(path, create=create)
    from mlflow import MlflowClient

    try:
        with short_timeouts():
            _check_database_server(uri)
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except Exception as error:
        raise TrackingError(_cannot_connect(uri, error)) from error
    return Store(uri, client)


def _silence_mlflow() -> None:
    """Keep MLflow's log off the terminal, its telemetry off, and its timeouts short."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if os.environ["MLFLOW_LOGGING_LEVEL"] == DEFAULTS["MLFLOW_LOGGING_LEVEL"]:
        # A notebook may have imported MLflow before, so that the variable is not read any more.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address; None for any other store."""
    database = unquote(uri.removeprefix(_SQLITE).partition("?")[0])
    return Path(database) if uri.startswith(_SQLITE) and database not in ("", ":memory:") else None


def _check_working_folder() -> None:
    """Refuse a folder whose path MLflow misreads: it would write a study's files somewhere else.

    Raises:
        TrackingError: the path has a `%` or a `?`.
    """
    folder = str(Path.cwd())
    if "%" in folder or "?" in folder:
        raise TrackingError(
            f"MLflow cannot record in {folder}: it misreads '%' and '?' in a path. "
            "Run zoo in a folder without them in its path."
        )


def _check_database_server(uri: str) -> None:
    """Connect to a database server once; MLflow would retry a dead one for a hundred seconds."""
    if urlsplit(uri).scheme.partition("+")[0] not in _DATABASE_SERVERS:
        return
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _cannot_connect(uri: str, error: Exception) -> str:
    """Return a message of one line: the address, the reason, what to do."""
    scheme, address = urlsplit(uri).scheme, redact_password(uri)
    if scheme in ("http", "https"):
        return (
            f"No MLflow server answers at {address} ({reason(error)}). Start it, "
            "or unset MLFLOW_TRACKING_URI to record in mlflow.db in this folder."
        )
    if scheme in ("", "file"):
        return (
            f"MLflow no longer writes its old file format, which {address} is in. Set "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db, and copy the old runs with "
            "`mlflow migrate-filestore --source mlruns --target sqlite:///mlflow.db`."
        )
    if _OTHER_SCHEMA in str(error):
        return (
            f"{address} was made by another version of MLflow than the installed one. If by an older one, "
            f"back it up and run `mlflow db upgrade {shlex.quote(address)}`; "
            "if by a newer one, run `pip install --upgrade mlflow`."
        )
    return f"MLflow cannot use {address}: {reason(error)}. Set MLFLOW_TRACKING_URI to another store."
