"""Completing what an earlier process of a study left incomplete, from the event logs."""

from __future__ import annotations

import time

from zoo.errors import RecordError
from zoo.events import Finished
from zoo.record import epochs_of, find_damage
from zoo.tracking import StoreAway, trial_states, trials_without_model
from zoo.trial import trials_text
from zoo.tuning.lifecycle import update_deleted
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy
from zoo.tuning.search import OptunaSearch
from zoo.tuning.supervisor import interrupted_event


def reconcile(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> None:
    """Give every trial its final state in Optuna and MLflow, and MLflow every event that it lacks."""
    retried = settle_unfinished_trials(study, search)
    if retried:
        were = "was" if len(retried) == 1 else "were"
        study.display.problem(
            f"the previous run was killed; {trials_text(retried)} {were} marked as interrupted and will be "
            "retried"
        )
    reconcile_standalone_runs(study)
    numbers = study.directory.numbers()
    if not numbers and not search.values():
        return
    in_mlflow = _compare_with_mlflow(study, search, record)
    damage = find_damage(study.directory, is_settled=True)
    search.set_aside = damage.set_aside
    for line in damage.problems:
        study.display.problem(line)
    for number, difference in search.use_logged_values(study.directory).items():
        study.display.problem(
            f"trial {number}: {difference}; the event log counts. To correct Optuna, delete the study there: "
            "the next `zoo tune` rebuilds it from the event logs"
        )
    for number in numbers:
        trial = study.directory.trial(number)
        if number in search.deleted | search.set_aside:
            continue
        if in_mlflow.get(number) == "complete":
            record.recorded_before.append(number)
        elif trial.final_event() is not None:
            record.put(number, trial.config() or {}, trial.events(), trial.path)
    record.remove_surplus()


def _compare_with_mlflow(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> dict[int, str]:
    """Return the state of each trial in MLflow, and record deletions there; {} if MLflow does not answer."""
    try:
        store = study.store.result()
    except StoreAway:
        return {}
    search.deleted = update_deleted(study.directory, store, study.display.problem)
    states = trial_states(store, study.definition.name, search.uid())
    without_model = trials_without_model(store, study.definition.name, search.uid())
    # A killed process may have removed the model before it ended the run; then the run is recorded again.
    record.removed |= {
        number
        for number in without_model
        if states.get(number) == "complete" and not study.directory.trial(number).has_results
    }
    return states


def settle_unfinished_trials(study: OpenStudy, search: OptunaSearch) -> list[int]:
    """Settle the trials that a killed supervisor left running; return those to retry.

    A trial gets the final state of its event log. If the log has none, the trial was interrupted.
    """
    retried = []
    for number in search.unfinished_trials():
        trial = study.directory.trial(number)
        event = trial.final_event()
        if event is None:
            event = interrupted_event("interrupted: the supervisor was killed")
            trial.path.mkdir(parents=True, exist_ok=True)
            trial.append(event)
            retried.append(number)
        search.report_logged(number, epochs_of(trial.events()))
        search.tell(number, event)
    return retried


def reconcile_standalone_runs(study: OpenStudy) -> None:
    """Give the standalone runs that MLflow lacks or has in part their final state and events."""
    for directory in study.directory.standalone_runs():
        try:
            run, config = directory.mlflow_run(), directory.config() or {}
        except RecordError as error:
            study.display.problem(str(error))
            continue
        # A run on other data must wait, because MLflow gets the facts of the prepared dataset.
        if run is None or run.is_complete or config.get("digest") != study.dataset.digest:
            continue
        if directory.final_event() is None:
            command = "zoo confirm" if run.repeat else "zoo train"
            directory.append(Finished(time.time(), "failed", f"interrupted: {command} was killed"))
            study.display.problem(f"{run.name} was killed; it was marked as interrupted: {directory.path}")
        if study.store.is_away:
            continue
        with MLflowRecord(study, run.uid, standalone_name=run.name, repeat=run.repeat) as record:
            record.put(run.number, config, directory.events(), directory.path)
        if record.is_complete:
            directory.mark_complete_in_mlflow()
