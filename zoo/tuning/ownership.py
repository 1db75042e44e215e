"""Which working folder runs a study: two folders may share an Optuna storage, but not a lock."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.record import StudyDirectory

if TYPE_CHECKING:
    import optuna

# Attributes of the Optuna study.
_ID = "zoo.directory_id"
_PATH = "zoo.directory_path"


def claim(study: optuna.Study, directory: StudyDirectory, running: Sequence[optuna.trial.FrozenTrial]) -> str:
    """Make `directory` the directory that runs the study, and return its id for `check_owner`.

    Raise ZooError if trials run in another folder.
    """
    attributes, own_id = study.user_attrs, directory.id()
    if running and attributes.get(_ID, own_id) != own_id:
        numbers = ", ".join(str(trial.number) for trial in running)
        raise ZooError(
            f"trials of '{directory.study}' are running in {attributes.get(_PATH)}: {numbers}. Wait until "
            f"they end, or run the same command with --name {directory.study}-2 to start a study of your own."
        )
    study.set_user_attr(_PATH, f"{socket.gethostname()}:{directory.path.resolve()}")
    study.set_user_attr(_ID, own_id)
    return own_id


def check_owner(study: optuna.Study, own_id: str) -> None:
    """Raise ZooError if another folder has claimed the study since `claim`; both may start at once."""
    attributes = study.user_attrs
    if attributes.get(_ID) != own_id:
        raise ZooError(
            f"the study '{study.study_name}' was started at the same time in {attributes.get(_PATH)}, "
            f"which continues it. Run the same command with --name {study.study_name}-2 to start a study of "
            "your own."
        )
