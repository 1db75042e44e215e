"""Making Optuna's and MLflow's record of a study again from its event logs. No trial is trained."""

from __future__ import annotations

from pathlib import Path

from zoo.record import StudyDirectory
from zoo.tracking import Store, correct_results
from zoo.tuning.differences import logged_values, mlflow_differences, optuna_differences
from zoo.tuning.display import Display
from zoo.tuning.rebuilding import have_run
from zoo.tuning.storage import find_storage
from zoo.tuning.syncing import sync


def repair_record(study: str, display: Display, *, store: Store | None = None) -> None:
    """Make the record of a study in Optuna and MLflow equal to its event logs.

    The parts that differ are made again; an interrupted trial gets its final state and is queued again. The
    study file is the recorded one.

    Args:
        store: the store of MLflow if it answers.

    Raises:
        ZooError: the study is being run, or its record is too damaged.
    """
    directory = StudyDirectory(Path.cwd(), study)
    with directory.locked():
        _correct(directory, store)
    path, storage = directory.path / "study.toml", directory.storage()
    sync(str(path), name=study, storage=storage, display=display, command="zoo doctor")


def _correct(directory: StudyDirectory, store: Store | None) -> None:
    """Delete the Optuna study if one of its trials differs from its event log; correct values in MLflow."""
    import optuna

    objectives, storage = directory.objectives(), find_storage(directory)
    if storage is not None:
        trials = optuna.load_study(study_name=directory.study, storage=storage).get_trials(deepcopy=False)
        is_recorded = have_run(trials).issubset(directory.numbers())
        if is_recorded and optuna_differences(directory, objectives, trials):
            optuna.delete_study(study_name=directory.study, storage=storage)
    uid = directory.uid()
    if store is not None and uid is not None:
        names, logged = [one.result for one in objectives], logged_values(directory, objectives)
        differing = mlflow_differences(directory, objectives, store, uid)
        results = {number: dict(zip(names, logged[number][1], strict=True)) for number in differing}
        correct_results(store, directory.study, uid, results)
