"""The record of a study: damaged files, unfinished trials, changed data, and differences in the databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.data.verification import verify_dataset
from zoo.diagnosis._finding import Finding
from zoo.diagnosis._stores import optuna_study
from zoo.errors import StudyError, ZooError, count_text, did_you_mean
from zoo.files import STATE_DIR
from zoo.record import StudyDirectory, find_damage
from zoo.tracking import Store, trial_states
from zoo.tuning.differences import mlflow_differences, optuna_differences
from zoo.tuning.rebuilding import lacks_trials


def recorded_studies(names: Sequence[str] = ()) -> list[str]:
    """Return the names of the recorded studies; if `names` are given, only these."""
    recorded = sorted(path.parent.name for path in STATE_DIR.glob("*/trials"))
    for name in names:
        if name not in recorded:
            raise StudyError(f"no study '{name}' is recorded in {STATE_DIR}. {did_you_mean(name, recorded)}")
    return list(names or recorded)


def check_study(name: str, store: Store | None) -> Iterator[Finding]:
    """Yield a finding for each problem of a study's record, or one finding that there is none."""
    directory = StudyDirectory(Path.cwd(), name)
    subject = f"study {name}"
    if directory.is_running():
        yield Finding(subject, True, "is being run; stop it to check its record")
        return
    findings = []
    for check in (_damage, _data, _optuna, _mlflow, _standalone):
        try:
            findings += list(check(directory, store))
        except ZooError as error:
            findings.append(Finding(subject, False, str(error)))
    trials = count_text(len(directory.numbers()), "trial")
    yield from findings or [Finding(subject, True, f"{trials}, the same in its logs and databases")]


def _damage(directory: StudyDirectory, _: Store | None) -> Iterator[Finding]:
    for line in find_damage(directory).problems:  # each line has a fix
        yield Finding(f"study {directory.study}", False, line, can_repair="no final state" in line)


def _data(directory: StudyDirectory, _: Store | None) -> Iterator[Finding]:
    """Compare each prepared dataset that trials used with its digest."""
    validations = {str(one.get("digest")): one.get("validation", {}) for one in directory.configs()}
    for digest, validation in validations.items():
        if (directory.cache_dir / digest).is_dir():
            try:
                verify_dataset(directory.cache_dir, digest, validation)
            except ZooError as error:
                yield Finding(f"study {directory.study}", False, str(error))


def _optuna(directory: StudyDirectory, _: Store | None) -> Iterator[Finding]:
    subject, study = f"optuna {directory.study}", optuna_study(directory)
    if study is None:
        yield Finding(subject, False, "Optuna's storage does not have the study", "", True)
        return
    trials = study.get_trials(deepcopy=False)
    if lacks_trials(trials, directory):
        yield Finding(subject, False, "Optuna lacks trials that the event logs have", "", True)
    running = [str(trial.number) for trial in trials if trial.state.name == "RUNNING"]
    if running:  # the study is not being run, as checked before
        yield Finding(subject, False, f"trials were interrupted: {', '.join(running)}", "", True)
    for number, text in optuna_differences(directory, directory.objectives(), trials).items():
        yield Finding(subject, False, f"trial {number}: {text}", "", True)


def _mlflow(directory: StudyDirectory, store: Store | None) -> Iterator[Finding]:
    uid = directory.uid()
    if store is None or uid is None:
        return
    subject, deleted = f"mlflow {directory.study}", directory.deleted_trials()
    states = trial_states(store, directory.study, uid)
    finished = {number for number in directory.numbers() if directory.trial(number).final_event() is not None}
    if missing := sorted(finished - states.keys() - deleted):
        yield Finding(subject, False, f"MLflow lacks trials: {', '.join(map(str, missing))}", "", True)
    incomplete = [number for number, state in sorted(states.items()) if state == "incomplete"]
    if listed := ", ".join(str(number) for number in incomplete if number not in deleted):
        yield Finding(subject, False, f"MLflow does not have all events of trials: {listed}", "", True)
    for number, text in mlflow_differences(directory, directory.objectives(), store, uid).items():
        if number not in deleted:
            yield Finding(subject, False, f"trial {number}: {text}", "", True)


def _standalone(directory: StudyDirectory, _: Store | None) -> Iterator[Finding]:
    for run in directory.standalone_runs():
        if run.config() is not None and run.final_event() is None:
            yield Finding(f"study {directory.study}", False, f"{run.path} was interrupted", "", True)
