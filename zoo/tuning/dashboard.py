"""optuna-dashboard for the Optuna study of a recorded study, with a description and the trials' figures.

The dashboard runs in its own process, `python -m zoo.tuning.dashboard STUDY HOST PORT`. The figures stay
where they are: the Optuna study gets their names, and the dashboard reads the files.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import sys
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoo.errors import StudyError, ZooError
from zoo.record import STATE_DIR, StudyDirectory, unrecorded_hint
from zoo.redaction import redact
from zoo.tuning.search import DESCRIPTION
from zoo.tuning.storage import find_storage, open_storage, storage_url

if TYPE_CHECKING:
    import optuna

_STORAGE = "_OPTUNA_STORAGE_URL"  # environment variable; a password in an argument would be visible
_NOTE = "zoo.note"  # an attribute of the Optuna study: the note that zoo wrote last
_STUDY_ARTIFACT = "artifacts:"  # the prefix that `optuna.artifacts` gives to the artifacts of a study
# `optuna.artifacts` refuses trials that have ended, and figures are drawn afterwards. The dashboard also
# reads names with this prefix; tests/tuning/test_dashboard.py fails if it does not.
_TRIAL_ARTIFACT = "dashboard:artifacts:"


def dashboard_command(
    study: str, host: str, port: int, url: str | None = None
) -> tuple[list[str], dict[str, str], str]:
    """Return command and environment of the dashboard, and the path of the study's page in it.

    Args:
        url: the Optuna storage; by default the recorded one, which has no password.

    Raises:
        ZooError: optuna-dashboard is not installed, or this folder or the storage has no such study.
    """
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise ZooError("optuna-dashboard is not installed. Run `pip install 'keras-zoo[dashboard]'`.")
    directory = StudyDirectory(Path.cwd(), study)
    url = storage_url(directory, url)
    if directory.uid() is None:
        recorded = [path.parent.name for path in STATE_DIR.glob("*/uid")]
        hint = unrecorded_hint(directory.study, recorded)
        raise StudyError(f"there is no study '{directory.study}' here. {hint}")
    storage = find_storage(directory, url)
    if storage is None:
        raise StudyError(
            f"the Optuna storage {redact(url)} has no study '{directory.study}'; "
            "name its storage with --storage URL"
        )
    study_id = storage.get_study_id_from_name(directory.study)
    arguments = [sys.executable, "-m", "zoo.tuning.dashboard", directory.study, host, str(port)]
    return arguments, {**os.environ, _STORAGE: url}, f"/dashboard/studies/{study_id}"


def name_figures(directory: StudyDirectory, study: optuna.Study) -> None:
    """Give the Optuna study its description, its objectives' names, and the names of the present figures."""
    from optuna_dashboard import get_note, save_note

    text = study.user_attrs.get(DESCRIPTION, "")
    if text and get_note(study) in ("", study.user_attrs.get(_NOTE)):  # keep a note that a user wrote
        save_note(study, text)
        study.set_user_attr(_NOTE, text)
    objectives = directory.objectives()
    if objectives:
        with warnings.catch_warnings(action="ignore"):  # a warning that the method is experimental
            study.set_metric_names([objective.metric for objective in objectives])
    storage, study_id = study._storage, study._study_id
    trial_ids = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
    names = {}
    for artifact_id, (number, path) in _figures(directory).items():
        prefix = _STUDY_ARTIFACT if number is None else f"{_TRIAL_ARTIFACT}{trial_ids.get(number)}:"
        facts = {"artifact_id": artifact_id, "filename": path.name, "mimetype": "image/png", "encoding": None}
        names[f"{prefix}{artifact_id}"] = json.dumps(facts)
    before = storage.get_study_system_attrs(study_id)
    removed = {key for key in before if key.startswith((_STUDY_ARTIFACT, _TRIAL_ARTIFACT))} - names.keys()
    for key, value in {**dict.fromkeys(removed, "null"), **names}.items():
        if before.get(key) != value:
            storage.set_study_system_attr(study_id, key, value)


def _figures(directory: StudyDirectory) -> dict[str, tuple[int | None, Path]]:
    """Return trial number (None for the study) and path of each figure, by the id of the artifact."""
    folders: dict[int | None, Path] = {None: directory.path / "figures"}
    folders |= {number: directory.trial(number).figures_dir for number in directory.numbers()}
    return {
        str(uuid.uuid5(uuid.NAMESPACE_URL, str(path.relative_to(directory.path)))): (number, path)
        for number, folder in folders.items()
        for path in sorted(folder.glob("*.png"))
    }


class FigureStore:
    """The figures of a study as an artifact store of Optuna that can only be read."""

    def __init__(self, directory: StudyDirectory) -> None:
        self._directory = directory

    def open_reader(self, artifact_id: str) -> BinaryIO:
        from optuna.artifacts.exceptions import ArtifactNotFound

        try:
            return io.BytesIO(_figures(self._directory)[artifact_id][1].read_bytes())
        except (KeyError, OSError):
            raise ArtifactNotFound(artifact_id) from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        raise ZooError("the figures of a study can only be read.")

    def remove(self, artifact_id: str) -> None:
        raise ZooError("the figures of a study can only be read.")


def serve(name: str, host: str, port: int) -> None:
    """Serve the dashboard until the process is ended."""
    import optuna
    from optuna_dashboard import run_server

    directory = StudyDirectory(Path.cwd(), name)
    storage: Any = open_storage(os.environ[_STORAGE], directory.path.parent)
    name_figures(directory, optuna.load_study(study_name=name, storage=storage))
    run_server(storage, host=host, port=port, artifact_store=FigureStore(directory))


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
