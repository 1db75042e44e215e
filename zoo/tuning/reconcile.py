"""Completing what an earlier process of a study left incomplete, from the event logs."""

from __future__ import annotations

import time

from zoo.events import Finished
from zoo.tracking import trial_states
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.lifecycle import update_deleted
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy
from zoo.tuning.search import OptunaSearch
from zoo.tuning.supervisor import interrupted


def reconcile(study: OpenStudy, search: OptunaSearch, record: MLflowRecord, interrupts: Interrupts) -> None:
    """Give every trial its final state in Optuna and MLflow, and MLflow every event that it lacks."""
    _report_damage(study)
    retried = settle_abandoned(study, search)
    if retried:
        listed = ", ".join(map(str, retried))
        study.display.problem(
            f"the previous run was killed; trial {listed} was marked as interrupted and will be retried"
        )
    reconcile_standalone_runs(study, interrupts)
    numbers = study.directory.numbers()
    if not numbers:
        return
    store = study.mlflow.store()
    deleted = update_deleted(study.directory, store, study.display.problem)
    search.exclude(deleted)
    in_mlflow = trial_states(store, study.definition.name, search.uid())
    for number in numbers:
        trial = study.directory.trial(number)
        if number in deleted:
            continue
        if in_mlflow.get(number) == "complete":
            record.skip(number)
        elif trial.finished() is not None:
            record.put(number, trial.config() or {}, trial.events(), trial.path)


def settle_abandoned(study: OpenStudy, search: OptunaSearch) -> list[int]:
    """Give the trials that a killed supervisor left running their final state; return those to retry.

    A trial whose event log has a final state keeps it; the others were interrupted.
    """
    retried = []
    for number in search.abandoned():
        trial = study.directory.trial(number)
        event = trial.finished()
        if event is None:
            event = interrupted("interrupted: the supervisor was killed")
            trial.path.mkdir(parents=True, exist_ok=True)
            trial.append(event)
            retried.append(number)
        search.tell(number, event)
    return retried


def reconcile_standalone_runs(study: OpenStudy, interrupts: Interrupts) -> None:
    """Do the same for the standalone runs of the study that MLflow does not have completely."""
    for directory in study.directory.standalone_runs():
        run, config = directory.mlflow_run(), directory.config() or {}
        # The facts about the images in MLflow come from the dataset that is prepared now.
        if run is None or run.is_complete or config.get("digest") != study.dataset.digest:
            continue
        if directory.finished() is None:
            directory.append(Finished(time.time(), "failed", "interrupted: zoo train was killed"))
            study.display.problem(f"{run.name} was killed; it was marked as interrupted: {directory.path}")
        record = MLflowRecord(study, run.uid, interrupts, standalone_name=run.name)
        with record:
            record.put(run.number, config, directory.events(), directory.path)
        if record.is_complete:
            directory.mark_complete_in_mlflow()


def _report_damage(study: OpenStudy) -> None:
    """Report lines of event logs that cannot be read."""
    for number in study.directory.numbers():
        log = study.directory.trial(number).event_log
        damaged = log.damaged_lines()
        if damaged:
            lines = ", ".join(map(str, damaged))
            study.display.problem(f"{log.path}: line {lines} cannot be read, so its event is lost")
