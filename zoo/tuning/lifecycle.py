"""Deleting, restoring and renaming recorded studies: in MLflow, in Optuna and in the local record.

A deleted trial stays in Optuna and on disk, but every command excludes it until it is restored. A trial
whose run is deleted in MLflow's user interface counts as deleted, too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo import tracking
from zoo.errors import StudyError, did_you_mean
from zoo.record import STATE_DIR, StudyDirectory
from zoo.tracking import Store, TrackingError, connect, is_new_store
from zoo.tuning.search import default_storage, open_storage


def update_deleted(directory: StudyDirectory, store: Store, report: Callable[[str], None]) -> set[int]:
    """Return the deleted trials of a study, and record those that were deleted or restored in MLflow.

    Args:
        report: gets a line about trials that were deleted in MLflow since the last call.
    """
    uid, before = directory.uid(), directory.deleted()
    if uid is None:
        return before
    study = directory.study
    states = tracking.trial_states(store, study, uid)
    # A trial that MLflow does not have stays deleted.
    deleted = {number for number in before | states.keys() if states.get(number, "deleted") == "deleted"}
    if deleted != before:
        directory.set_deleted(deleted)
    if deleted - before:
        report(
            f"{_trials_text(directory, deleted - before)} deleted in MLflow and will be excluded; "
            f"`zoo delete {study} --trial N --restore` restores a trial"
        )
    return deleted


def refresh_deleted(study: str, report: Callable[[str], None]) -> None:
    """Record the trials of a study that were deleted or restored in MLflow since the last command.

    If MLflow does not answer, the last recorded state stays, with a report.
    """
    directory = StudyDirectory(Path.cwd(), study)
    if not directory.numbers() or is_new_store():
        return
    try:
        update_deleted(directory, connect(create=False), report)
    except TrackingError as error:
        report(f"{error} Trials that were deleted in MLflow since then are not excluded.")


def delete_trials(study: str, numbers: Sequence[int]) -> str:
    """Delete trials of a study; return a sentence that says so.

    Raises:
        StudyError: there is no such study or trial, or the study is running.
        TrackingError: MLflow does not answer; then nothing was deleted.
    """
    directory = _recorded(study)
    _check_numbers(directory, numbers)
    with directory.locked():
        _in_mlflow(tracking.delete_trials, directory, numbers)
        directory.set_deleted(directory.deleted() | set(numbers))
    return f"{_trials_text(directory, numbers)} deleted"


def restore_trials(study: str, numbers: Sequence[int]) -> str:
    """Restore deleted trials of a study; return a sentence that says so.

    Raises:
        StudyError: there is no such study or trial, or the study is running.
        TrackingError: MLflow does not answer; then nothing was restored.
    """
    directory = _recorded(study)
    _check_numbers(directory, numbers)
    with directory.locked():
        _in_mlflow(tracking.restore_trials, directory, numbers)
        directory.set_deleted(directory.deleted() - set(numbers))
    return f"{_trials_text(directory, numbers)} restored"


def delete_study(study: str) -> str:
    """Delete a study with all its trials and standalone runs; return a sentence that says so.

    In MLflow its experiment gets another name and is deleted, so that `mlflow experiments restore` can bring
    it back; in Optuna and on disk the study is gone.

    Raises:
        StudyError: there is no such study, or it is running.
        TrackingError: MLflow does not answer; then nothing was deleted.
    """
    directory = _recorded(study)
    with directory.locked():
        if not is_new_store():
            tracking.delete_study(connect(create=False), directory.study)
        _change_in_optuna(directory, lambda optuna, storage: _delete_in_optuna(optuna, storage, directory))
        shutil.rmtree(directory.path)
    return f"study '{directory.study}' deleted"


def rename_study(old: str, new: str) -> str:
    """Rename a recorded study; return a sentence that says so.

    Raises:
        StudyError: there is no study `old`, it is running, or there is a study `new`.
        TrackingError: MLflow does not answer, or has an experiment `new`; then nothing was renamed.
    """
    directory, target = _recorded(old), StudyDirectory(Path.cwd(), new)
    if target.path.exists():
        raise StudyError(f"There is a study '{new}' in {STATE_DIR} already. Choose another name.")
    with directory.locked():
        if not is_new_store():
            tracking.rename_study(connect(create=False), directory.study, new)

        def rename(optuna: Any, storage: Any) -> None:
            optuna.copy_study(
                from_study_name=directory.study,
                from_storage=storage,
                to_storage=storage,
                to_study_name=new,
            )
            _delete_in_optuna(optuna, storage, directory)

        _change_in_optuna(directory, rename)
        directory.path.rename(target.path)
    return f"study '{directory.study}' renamed to '{new}'"


def _recorded(study: str) -> StudyDirectory:
    """Return the directory of a recorded study.

    Raises:
        StudyError: there is none.
    """
    directory = StudyDirectory(Path.cwd(), study)
    if not directory.path.is_dir():
        known = sorted(path.parent.name for path in STATE_DIR.glob("*/uid"))
        raise StudyError(
            f"No study '{directory.study}' is recorded in {STATE_DIR}. {did_you_mean(directory.study, known)}"
        )
    return directory


def _check_numbers(directory: StudyDirectory, numbers: Sequence[int]) -> None:
    known = directory.numbers()
    unknown = [str(number) for number in numbers if number not in known]
    if unknown:
        listed = ", ".join(map(str, known)) or "none"
        raise StudyError(
            f"There is no trial {', '.join(unknown)} of '{directory.study}'. Available: {listed}."
        )


def _in_mlflow(change: Callable[..., None], directory: StudyDirectory, numbers: Sequence[int]) -> None:
    """Call `change` for the trials `numbers` in MLflow, if it has the study."""
    uid = directory.uid()
    if uid is not None and not is_new_store():
        change(connect(create=False), directory.study, uid, numbers)


def _change_in_optuna(directory: StudyDirectory, change: Callable[[Any, Any], None]) -> None:
    """Call `change` with Optuna and the storage of a study, if Optuna has the study."""
    import optuna

    url = directory.storage() or default_storage(Path.cwd())
    if url == default_storage(Path.cwd()) and not (Path.cwd() / "mlruns" / "optuna.db").exists():
        return
    storage = open_storage(url, directory.path.parent)
    if directory.study in optuna.get_all_study_names(storage):
        change(optuna, storage)


def _delete_in_optuna(optuna: Any, storage: Any, directory: StudyDirectory) -> None:
    with suppress(KeyError):
        optuna.delete_study(study_name=directory.study, storage=storage)


def _trials_text(directory: StudyDirectory, numbers: Collection[int]) -> str:
    """`trial 3 of 'mnist_cnn' was`, for the beginning of a message."""
    listed = ", ".join(map(str, sorted(numbers)))
    if len(numbers) == 1:
        return f"trial {listed} of '{directory.study}' was"
    return f"trials {listed} of '{directory.study}' were"
