"""Removing models and figures of trials that are not among the best of their study, and the disk space used.

A registered model is never removed. Deleting a model in MLflow only marks the model as deleted, so its files
are deleted first. Removing a model again has no effect; the next removal completes an interrupted one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.record import StudyDirectory
from zoo.tracking import _names as names
from zoo.tracking._connection import connect
from zoo.tracking._store import Store

_BEGUN, _REMOVED = "being removed", "removed, not among the best trials (keep_models)"


def remove_model(store: Store, run: Any) -> None:
    """Remove model and figures of a run from MLflow, unless the model is registered."""
    client, run_id = store.client, run.info.run_id
    origin = f"source_run_id = '{run_id}'"
    models = client.search_logged_models([run.info.experiment_id], filter_string=origin)
    if any(_is_registered(store, run, model) for model in models):
        return
    store.log(run_id, tags={names.MODEL: _BEGUN})  # from now on, no command offers the model
    for model in models:
        _delete_files(store, model.artifact_location)
        client.delete_logged_model(model.model_id)
    _delete_files(store, run.info.artifact_uri, "figures")
    store.log(run_id, tags={names.MODEL: _REMOVED})


def trials_without_model(store: Store, study: str, study_uid: str) -> set[int]:
    """Return the numbers of the trials whose models and figures are removed from MLflow."""
    removed = f"tags.`{names.KIND}` = 'trial' AND tags.`{names.MODEL}` = '{_REMOVED}'"
    with store.requests():
        experiment_id = store.experiment_id(study)
        runs = list(store.runs(experiment_id, removed)) if experiment_id else []
    own = [run for run in runs if run.data.tags[names.UID].startswith(f"{study_uid}-")]
    return {int(run.data.tags[names.TRIAL]) for run in own}


def disk_space(studies: Sequence[str]) -> int:
    """Return the bytes that studies use on this machine, in the local record and in MLflow's files."""
    store, folders = connect(create=False), []
    for study in studies:
        directory = StudyDirectory(Path.cwd(), study)
        with store.requests():
            experiment = store.client.get_experiment_by_name(directory.study)
        location = experiment.artifact_location if experiment is not None else ""
        folders += [directory.path, Path(location.removeprefix("file://"))]
    files = {(entry.st_dev, entry.st_ino): entry.st_size for folder in folders for entry in _files(folder)}
    return sum(files.values())


def _files(folder: Path) -> Iterator[os.stat_result]:
    if folder.is_absolute():  # otherwise it is the address of a server
        for parent, _, names_ in os.walk(folder):
            for name in names_:
                yield os.lstat(Path(parent, name))


def _is_registered(store: Store, run: Any, model: Any) -> bool:
    conditions = (f"run_id = '{run.info.run_id}'", f"source_path = '{model.artifact_location}'")
    return any(store.client.search_model_versions(condition) for condition in conditions)


def _delete_files(store: Store, location: str, path: str | None = None) -> None:
    # `MlflowClient` cannot delete artifacts; `mlflow gc` does it in this way.
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(location, tracking_uri=store.uri).delete_artifacts(path)
