"""Optuna's storage: which one a study uses, and opening it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from zoo.errors import ZooError, one_line
from zoo.record import StudyDirectory
from zoo.redaction import redact

if TYPE_CHECKING:
    import optuna


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


def find_storage(directory: StudyDirectory, url: str) -> optuna.storages.BaseStorage | None:
    """Return the Optuna storage at `url`; None if it does not have the study."""
    import optuna

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
    """Return the file to lock while tables are created: beside a database that two folders may use."""
    path = sqlite_path(url)
    is_shared = path is not None and path.parent.is_dir() and path.parent != state_dir.parent.resolve()
    return (path.parent if path is not None and is_shared else state_dir) / ".optuna.lock"


def open_storage(url: str, state_dir: Path, *, is_new: bool = True) -> optuna.storages.BaseStorage:
    """Open the storage; `is_new` creates missing tables. A lock lets only one process do this at a time."""
    import optuna

    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with FileLock(_lock_path(url, state_dir)):
            if "://" in url and not url.startswith("redis"):
                return optuna.storages.RDBStorage(url, engine_kwargs=options, skip_table_creation=not is_new)
            return optuna.storages.get_storage(url)
    except Exception as error:
        raise ZooError(
            f"cannot open the Optuna storage {redact(url)}: "
            f"{redact(one_line(error))[:200]}. "
            "Use another storage, such as --storage sqlite:///optuna.db, or remove --storage."
        ) from error
