"""MLflow, Optuna's storage, and the folders that zoo writes to."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.diagnosis._finding import Finding
from zoo.errors import ZooError
from zoo.files import STATE_DIR
from zoo.record import StudyDirectory
from zoo.tracking import Store, connect, is_new_store, tracking_uri
from zoo.tuning.storage import find_storage, sqlite_path

if TYPE_CHECKING:
    import optuna

_NEEDED_SPACE = 10**9  # bytes; a study with models of 100 MB needs more


def check_mlflow() -> tuple[Store | None, Finding]:
    """Return the store (None if there is none, or it does not answer), and the finding about it."""
    if is_new_store():
        return None, Finding("mlflow", True, f"{tracking_uri()} does not exist yet; `zoo tune` creates it")
    try:
        store = connect(create=False)
    except ZooError as error:
        return None, Finding("mlflow", False, str(error))
    return store, Finding("mlflow", True, f"{store.address} answers")


def optuna_study(directory: StudyDirectory) -> optuna.Study | None:
    """Return the Optuna study of a recorded study, or None if its storage does not have it."""
    import optuna

    storage = find_storage(directory)
    return None if storage is None else optuna.load_study(study_name=directory.study, storage=storage)


def check_space() -> Iterator[Finding]:
    """Yield the free space of each folder that zoo writes to, or a finding that zoo cannot write there."""
    folders = {"record": STATE_DIR, "cache": StudyDirectory(Path.cwd(), "").cache_dir}
    folders["temporary files"] = Path(tempfile.gettempdir())
    if database := sqlite_path(tracking_uri()):
        folders["mlflow.db"] = database.parent
    for name, folder in folders.items():
        existing = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
        free = shutil.disk_usage(existing).free
        text = f"{free / 1e9:,.1f} GB free in {folder}"
        if not os.access(existing, os.W_OK):
            yield Finding(f"{name}: folder", False, f"cannot write to {existing}; change its permissions")
        elif free < _NEEDED_SPACE:
            yield Finding(f"{name}: free space", False, f"{text}; free at least {_NEEDED_SPACE / 1e9:.0f} GB")
        else:
            yield Finding(f"{name}: free space", True, text)
