"""Which MLflow store, and a client for it that says within seconds when nobody answers.

The store is MLflow's own choice: `$MLFLOW_TRACKING_URI`, else `sqlite:///mlflow.db` in the working
folder with artifacts in `./mlruns`. MLflow is imported by `connect`, not by this module.

    store = connect()                       # or connect("http://localhost:5000")
    experiment_id = store.open_experiment("mnist_cnn")
"""

from __future__ import annotations

import logging
import os
import shlex
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from zoo.errors import ZooError
from zoo.tracking import names

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DATABASE = "mlflow.db"
_SQLITE = "sqlite:///"
# Read by MLflow when it is imported or asked; what a user has set stays.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a dead server costs a call 5 s; MLflow's own 7 cost 4 minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",  # seconds of silence; a server may need them to put a model away
}
# While only asking whether anybody is there.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_LOCK_SECONDS = 5.0
_OTHER_SCHEMA = "out-of-date database schema"  # MLflow's words, also of one that is newer than itself
_PAGE = 1000  # runs that one request brings


class TrackingError(ZooError):
    """MLflow's store cannot be used: where it is, why, and what to do."""


@dataclass(frozen=True)
class Store:
    """One MLflow store: its address and a client for it."""

    uri: str
    client: MlflowClient

    def experiment_id(self, name: str) -> str | None:
        """The experiment of that name, or None; a deleted one counts as none."""
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id) if found is not None and found.lifecycle_stage == "active" else None

    def open_experiment(self, name: str) -> str:
        """The id of the experiment of that name, made if it is not there, and marked as a study's.

        Raises:
            TrackingError: it was deleted in MLflow, or MLflow does not take the name.
        """
        found = self.client.get_experiment_by_name(name) or self._create_experiment(name)
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"The MLflow experiment '{name}' was deleted. Bring it back with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}` "
                f"(MLFLOW_TRACKING_URI={shown(self.uri)}), or give the study another name."
            )
        if found.tags.get(names.KIND) != "study":
            self.client.set_experiment_tag(found.experiment_id, names.KIND, "study")
        return str(found.experiment_id)

    def _create_experiment(self, name: str) -> Any:
        try:
            self.client.create_experiment(name, tags={names.KIND: "study"})
        except Exception as error:
            found = self.client.get_experiment_by_name(name)  # made by another process meanwhile?
            if found is None:
                raise TrackingError(
                    f"MLflow at {shown(self.uri)} cannot make the experiment '{name}': {reason(error)}"
                ) from error
            return found
        return self.client.get_experiment_by_name(name)

    def studies(self) -> list[str]:
        """The names of the experiments that hold studies."""
        kind = f"tags.`{names.KIND}` = 'study'"
        return sorted(
            experiment.name
            for experiment in pages(
                lambda token: self.client.search_experiments(filter_string=kind, page_token=token)
            )
        )

    def find_run(self, experiment_id: str, uid: str) -> Any | None:
        """The run that carries `uid`, or None."""
        found = self.client.search_runs([experiment_id], f"tags.`{names.UID}` = {quoted(uid)}", max_results=1)
        return found[0] if found else None

    def run_of(self, study: str, uid: str) -> Any | None:
        """The run of the study that carries `uid`, or None where either is not there."""
        experiment_id = self.experiment_id(study)
        return self.find_run(experiment_id, uid) if experiment_id else None

    def runs(self, experiment_id: str, condition: str) -> Iterator[Any]:
        """Every run of an experiment that meets `condition`, in MLflow's words; all of them for ""."""
        return pages(
            lambda token: self.client.search_runs(
                [experiment_id], condition, max_results=_PAGE, page_token=token
            )
        )

    def answers(self) -> bool:
        """Whether the store can be reached now; takes seconds at most."""
        try:
            with _impatience():
                self.client.search_experiments(max_results=1)
        except Exception:
            return False
        return True


def tracking_uri(uri: str | None = None) -> str:
    """Where MLflow would record: `uri`, else `$MLFLOW_TRACKING_URI`, else `mlflow.db` in this folder.

    A path in a SQLite address comes back absolute, so that it means the same in every folder. In a
    folder with runs in MLflow's old file format MLflow itself chooses that format, and so does this.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or _default_uri()
    path = uri.removeprefix(_SQLITE)
    if path == uri or not path or path.startswith((":memory:", "/", "?")):
        return uri
    return _SQLITE + str(Path(_quoted_path(Path.cwd())) / path)


def _default_uri() -> str:
    old = Path.cwd() / "mlruns"
    if any(path.parent.name.isdigit() for path in old.glob("*/meta.yaml")):
        return old.as_uri()
    return _SQLITE + _quoted_path(Path.cwd() / _DATABASE)


def _quoted_path(path: Path) -> str:
    """Only what an address would misread: MLflow makes a stray folder for every `%20` it is given."""
    return str(path).replace("%", "%25").replace("?", "%3F")


def is_new_store(uri: str | None = None) -> bool:
    """Whether the store is a SQLite file that is not there yet."""
    uri = tracking_uri(uri)
    path = uri.removeprefix(_SQLITE)
    return path != uri and not Path(unquote(path)).exists()


def preload() -> None:
    """Import MLflow, which takes seconds; nothing is read or written."""
    _be_quiet()
    import mlflow  # noqa: F401


def connect(uri: str | None = None, *, create: bool = True) -> Store:
    """A client for the store, known to answer.

    The first connection to a new SQLite store makes its tables, which takes MLflow some seconds; they
    appear complete or not at all, also when several processes begin at once.

    Args:
        uri: as for `tracking_uri`.
        create: False to refuse a SQLite store that does not exist, for commands that only read.

    Raises:
        TrackingError: nobody answers there, or the database cannot be written.
    """
    uri = tracking_uri(uri)
    _be_quiet()
    path = _sqlite_path(uri)
    if path is not None:
        _check_folder()
        _check_database(path, create=create)
    from mlflow import MlflowClient

    try:
        with _impatience():
            _check_database_server(uri)
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except Exception as error:
        raise TrackingError(_cannot_use(uri, error)) from error
    return Store(uri, client)


def _be_quiet() -> None:
    """Nothing on stdout or stderr, no telemetry, no waiting for minutes."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if os.environ["MLFLOW_LOGGING_LEVEL"] == _DEFAULTS["MLFLOW_LOGGING_LEVEL"]:
        # Where a notebook imported MLflow first, the level above comes too late.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


@contextmanager
def _impatience() -> Iterator[None]:
    """Shorter waits, where the user has not chosen how long MLflow waits."""
    changed = {name: value for name, value in _IMPATIENT.items() if os.environ.get(name) == _DEFAULTS[name]}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name in changed:
            os.environ[name] = _DEFAULTS[name]


def _sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite address, or None for any other store."""
    if not uri.startswith(_SQLITE):
        return None
    from sqlalchemy.engine import make_url

    database = make_url(uri).database
    return None if not database or database == ":memory:" else Path(database)


def _check_folder() -> None:
    """MLflow reads `%20` in the path of an artifact as a space, and would write beside this folder.

    Raises:
        TrackingError: the working folder has such a name.
    """
    folder = str(Path.cwd())
    if unquote(folder) != folder:
        raise TrackingError(
            f"MLflow would take {folder} for {unquote(folder)} and put a study's files there. "
            "Run zoo in a folder without a percent sign in its name."
        )


def _check_database_server(uri: str) -> None:
    """Ask a PostgreSQL or MySQL server once; MLflow asks a dead one for a hundred seconds."""
    if urlsplit(uri).scheme.partition("+")[0] not in ("postgresql", "mysql", "mssql"):
        return
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _check_database(path: Path, *, create: bool) -> None:
    """See at once what MLflow would find out after a hundred seconds of trying again.

    Raises:
        TrackingError: the file cannot be written, is no database, or is absent and may not be made.
    """
    if not path.exists():
        if not create:
            raise TrackingError(
                f"There is no MLflow database {path} yet. Run a study here first, "
                "or set MLFLOW_TRACKING_URI to where yours is."
            )
        _create_database(path)
        return
    # Only a reader may do without the right to write.
    mode, ask = ("rw", "BEGIN IMMEDIATE") if create else ("ro", "PRAGMA schema_version")
    address = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS)) as database:
            database.execute(ask)
            database.rollback()
    except sqlite3.Error as error:
        raise TrackingError(_cannot_write(path, error)) from error


def _create_database(path: Path) -> None:
    """Have MLflow make its tables elsewhere, then put the file in its place in one step.

    In place, two processes at once fail on each other's tables, and a killed one leaves half of them.
    """
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
        with tempfile.TemporaryDirectory(prefix="zoo-mlflow-") as folder:
            built = Path(folder) / _DATABASE
            _make_tables(_SQLITE + _quoted_path(built))
            with closing(sqlite3.connect(built)) as source, closing(sqlite3.connect(beside)) as target:
                source.backup(target)
        _put_in_place(beside, path)
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(_cannot_write(path, error)) from error
    except Exception as error:
        raise TrackingError(_cannot_use(_SQLITE + str(path), error)) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _make_tables(uri: str) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def _put_in_place(new: Path, path: Path) -> None:
    """The first of several processes wins; the others use its file."""
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        if not path.exists():
            new.replace(path)


def _cannot_write(path: Path, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return (
        f"MLflow's database {path} cannot be used ({why}). "
        "Run zoo in a folder you may write to, or set MLFLOW_TRACKING_URI to another store."
    )


def _cannot_use(uri: str, error: Exception) -> str:
    """One line: the address, the reason, the way out."""
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return (
            f"No MLflow server answers at {shown(uri)} ({reason(error)}). Start it, "
            "or unset MLFLOW_TRACKING_URI to record in mlflow.db in this folder."
        )
    if scheme in ("", "file"):
        return (
            f"MLflow no longer writes its old file format, which {shown(uri)} is in. Set "
            "MLFLOW_TRACKING_URI=sqlite:///mlflow.db; `mlflow migrate-filestore --source mlruns "
            "--target sqlite:///mlflow.db` takes the old runs along."
        )
    if _OTHER_SCHEMA in str(error):
        return (
            f"{shown(uri)} was made by another version of MLflow than is installed here. "
            f"Back it up and run `mlflow db upgrade {shlex.quote(shown(uri))}`; "
            "if a newer MLflow made it, run `pip install --upgrade mlflow` instead."
        )
    return f"MLflow cannot use {shown(uri)}: {reason(error)}. Set MLFLOW_TRACKING_URI to another store."


def shown(uri: str) -> str:
    """An address fit to be shown: without the password."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return uri.replace(f":{parts.password}@", ":***@", 1)


def reason(error: BaseException) -> str:
    """What went wrong in one line; of a lost connection only what the network said."""
    text = str(error).strip()
    if "Caused by" in text:
        text = text.rpartition("Caused by ")[2].rstrip(")")
        text = text.partition(": ")[2].strip("\"')") or text
        return text.rpartition(": ")[2] if "Failed to" in text else text
    line = text.splitlines()[0] if text else type(error).__name__
    return line if len(line) <= 200 else line[:199] + "…"


def quoted(text: str) -> str:
    """A value in one of MLflow's filters."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything an MLflow search finds, however many pages it takes."""
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return
