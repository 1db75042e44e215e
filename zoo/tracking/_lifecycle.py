"""Deleting, restoring and renaming what zoo recorded in MLflow.

A run that is deleted in MLflow, by zoo or in MLflow's user interface, stays in the store but counts as
absent: tables, models and the next `zoo tune` leave it out until it is restored.

Each function raises TrackingError if MLflow does not answer, or refuses a request.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from zoo.tracking import _names as names
from zoo.tracking._store import Store, TrackingError, is_active, pages


def trial_states(store: Store, study: str, study_uid: str) -> dict[int, str]:
    """Return the state of each trial's run in MLflow: `complete`, `incomplete` or `deleted`.

    A run is incomplete while its trial trains, or if MLflow lacks something that can be sent again.
    """
    with store.requests():
        runs_by_trial = _runs_by_trial(store, study, study_uid)
    return {number: _state(runs) for number, runs in runs_by_trial.items()}


def _state(runs: Sequence[Any]) -> str:
    for run in filter(is_active, runs):
        is_whole = run.data.tags.get(names.PROBLEM) in (None, names.MODEL_MISSING)
        return "complete" if run.info.status != "RUNNING" and is_whole else "incomplete"
    return "deleted"


def delete_trials(store: Store, study: str, study_uid: str, numbers: Collection[int]) -> None:
    """Delete the runs of trials in MLflow; trials that MLflow does not have are ignored.

    If the champion is among them, the study's run no longer names a champion.
    """
    with store.requests():
        runs_by_trial = _runs_by_trial(store, study, study_uid)
        for number in numbers:
            for run in filter(is_active, runs_by_trial.get(number, [])):
                store.client.delete_run(run.info.run_id)
        parent = store.find_study_run(study, study_uid)
        if parent is not None and parent.data.tags.get(names.CHAMPION) in map(str, numbers):
            store.client.delete_tag(parent.info.run_id, names.CHAMPION)


def restore_trials(store: Store, study: str, study_uid: str, numbers: Collection[int]) -> None:
    """Restore the runs of trials that are deleted in MLflow; other trials are ignored."""
    with store.requests():
        runs_by_trial = _runs_by_trial(store, study, study_uid)
        for number in numbers:
            runs = runs_by_trial.get(number)
            if runs and _state(runs) == "deleted":
                run_id = max(runs, key=lambda run: run.info.start_time).info.run_id
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


def _runs_by_trial(store: Store, study: str, study_uid: str) -> dict[int, list[Any]]:
    """Return the runs of each trial, deleted or not; at most one of a trial is not deleted."""
    runs: dict[int, list[Any]] = {}
    experiment_id = store.experiment_id(study)
    if experiment_id is not None:
        for run in store.runs(experiment_id, f"tags.`{names.KIND}` = 'trial'", deleted=True):
            if names.belongs_to(run.data.tags.get(names.UID, ""), study_uid):
                runs.setdefault(int(run.data.tags[names.TRIAL]), []).append(run)
    return runs
