"""Deleting, restoring and renaming what zoo recorded in MLflow.

A run that is deleted in MLflow, by zoo or in MLflow's user interface, stays in the store but counts as
absent: tables, models and the next `zoo tune` leave it out until it is restored.

Each function raises TrackingError if MLflow does not answer, or refuses a request.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from zoo.record import trial_uid
from zoo.tracking import _names as names
from zoo.tracking._store import Store, TrackingError, is_active, pages


def trial_states(store: Store, study: str, study_uid: str) -> dict[int, str]:
    """Return the state of each trial's run in MLflow: `complete`, `incomplete` or `deleted`.

    A run is incomplete while its trial trains, or if MLflow lacks something that can be sent again.
    """
    with store.requests():
        return {number: _state(run) for number, run in _runs(store, study, study_uid).items()}


def _state(run: Any) -> str:
    if not is_active(run):
        return "deleted"
    is_whole = run.data.tags.get(names.PROBLEM) in (None, names.MODEL_MISSING)
    return "complete" if run.info.status != "RUNNING" and is_whole else "incomplete"


def _runs(store: Store, study: str, study_uid: str) -> dict[int, Any]:
    """Return the run of each trial; a deleted one, the newest, only if there is no other."""
    experiment_id = store.experiment_id(study)
    is_trial = f"tags.`{names.KIND}` = 'trial'"
    found = store.runs(experiment_id, is_trial, deleted=True) if experiment_id else []
    runs = {}
    for run in sorted(found, key=lambda run: (is_active(run), run.info.start_time)):
        number = int(run.data.tags[names.TRIAL])
        if run.data.tags[names.UID] == trial_uid(study_uid, number):
            runs[number] = run
    return runs


def delete_trials(store: Store, study: str, study_uid: str, numbers: Collection[int]) -> None:
    """Delete the runs of trials in MLflow; trials that MLflow does not have are ignored.

    If the champion is among them, the study's run no longer names a champion.
    """
    with store.requests():
        runs = _runs(store, study, study_uid)
        for number in runs.keys() & numbers:
            if is_active(runs[number]):
                store.client.delete_run(runs[number].info.run_id)
        parent = store.find_study_run(study, study_uid)
        if parent is not None and parent.data.tags.get(names.CHAMPION) in map(str, numbers):
            store.client.delete_tag(parent.info.run_id, names.CHAMPION)


def restore_trials(store: Store, study: str, study_uid: str, numbers: Collection[int]) -> None:
    """Restore the runs of trials that are deleted in MLflow; other trials are ignored."""
    with store.requests():
        runs = _runs(store, study, study_uid)
        for number in runs.keys() & numbers:
            if not is_active(runs[number]):
                run_id = runs[number].info.run_id
                store.client.restore_run(run_id)
                # A deleted run keeps the old name when its study is renamed.
                store.log(run_id, tags={names.STUDY: study})


def delete_study(store: Store, study: str) -> None:
    """Delete a study's experiment and its runs in MLflow, if there is such an experiment.

    The experiment is renamed first, since MLflow does not give the name of a deleted experiment to a new
    one. `mlflow experiments restore` brings it back, with its new name `STUDY (deleted DATE TIME)`.
    """
    with store.requests():
        experiment_id = store.experiment_id(study)
        if experiment_id is not None:
            time = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
            store.client.rename_experiment(experiment_id, f"{study} (deleted {time})")
            store.client.delete_experiment(experiment_id)


def rename_study(store: Store, old: str, new: str) -> None:
    """Rename a study in MLflow, if MLflow has it.

    The experiment, the study's run and the tag `zoo.study` of all runs and models get the new name. If
    this is interrupted, calling it again completes it.

    Raises:
        TrackingError: there is an experiment `new`.
    """
    with store.requests():
        experiment_id = store.experiment_id(old)
        if experiment_id is None:
            return
        client = store.client
        taken = client.get_experiment_by_name(new)
        if taken is not None:
            state = "an experiment" if is_active(taken) else "a deleted experiment"
            raise TrackingError(
                f"MLflow at {store.address} has {state} named '{new}' already. Choose another name."
            )
        for run in store.runs(experiment_id):
            store.log(run.info.run_id, tags={names.STUDY: new})
            if run.data.tags.get(names.KIND) == "study":
                client.update_run(run.info.run_id, name=new)
        for model in pages(lambda token: client.search_logged_models([experiment_id], page_token=token)):
            client.set_logged_model_tags(model.model_id, {names.STUDY: new})
        # Last, so that an interrupted call finds the study under `old` again.
        client.rename_experiment(experiment_id, new)
