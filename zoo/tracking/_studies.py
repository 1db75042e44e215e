"""Recorded studies in MLflow: deleting and renaming them, and restoring their runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from zoo.tracking import _names as names
from zoo.tracking._registry import rename_registered
from zoo.tracking._store import Store, TrackingError, is_active, pages


def is_study_run_deleted(store: Store, study: str, study_uid: str) -> bool:
    """Return True if the study's run is deleted in MLflow; False if MLflow has no such run."""
    with store.requests():
        run = _study_run(store, study, study_uid)
        return run is not None and not is_active(run)


def restore_study_run(store: Store, study: str, study_uid: str) -> None:
    """Restore the study's run, which is deleted in MLflow."""
    with store.requests():
        run = _study_run(store, study, study_uid)
        store.client.restore_run(run.info.run_id)
        # The study may have been renamed, as in `restore_trials`.
        store.log(run.info.run_id, tags={names.STUDY: study})
        store.client.update_run(run.info.run_id, name=study)


def _study_run(store: Store, study: str, study_uid: str) -> Any:
    experiment_id = store.experiment_id(study)
    return store.find_run(experiment_id, study_uid) if experiment_id else None


def delete_study(store: Store, study: str) -> None:
    """Delete a study's experiment and its runs in MLflow, if there is such an experiment.

    The experiment is first renamed to `STUDY (deleted DATE TIME)`, because MLflow does not reuse the name of
    a deleted experiment. `mlflow experiments restore` restores it under that name.
    """
    with store.requests():
        experiment_id = store.experiment_id(study)
        if experiment_id is not None:
            time = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
            store.client.rename_experiment(experiment_id, f"{study} (deleted {time})")
            store.client.delete_experiment(experiment_id)


def rename_study(store: Store, old: str, new: str) -> str:
    """Rename a study's experiment, its run, and the tag `zoo.study` of all runs and models in MLflow.

    The registered model is renamed, too; return a sentence if it keeps its name. After an interruption, the
    same call completes the rest.
    """
    with store.requests():
        experiment_id = store.experiment_id(old)
        if experiment_id is None:
            return ""
        client = store.client
        existing = client.get_experiment_by_name(new)
        if existing is not None:
            state = "an experiment" if is_active(existing) else "a deleted experiment"
            raise TrackingError(
                f"MLflow at {store.address} has {state} named '{new}' already. Choose another name."
            )
        for run in store.runs(experiment_id):
            store.log(run.info.run_id, tags={names.STUDY: new})
            if run.data.tags.get(names.KIND) == "study":
                client.update_run(run.info.run_id, name=new)
        for model in pages(lambda token: client.search_logged_models([experiment_id], page_token=token)):
            client.set_logged_model_tags(model.model_id, {names.STUDY: new})
        note = rename_registered(store, old, new)
        # This comes last, so that a repeated call finds the study under `old`.
        client.rename_experiment(experiment_id, new)
    return note
