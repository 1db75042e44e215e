"""Deleting, restoring and renaming recorded studies: in MLflow, in Optuna and in the local record.

A deleted trial stays in Optuna and on disk, but every command excludes it until it is restored. A trial
whose run is deleted in MLflow's user interface counts as deleted, too. If the study's run is deleted
there, its trials stay; only `zoo tune` needs that run.

The functions that delete, restore and rename return a sentence for the user. If they raise StudyError (no
such study or trial, or the study is running) or TrackingError, they have changed nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from zoo import tracking
from zoo.errors import StudyError, did_you_mean
from zoo.record import STATE_DIR, StudyDirectory
from zoo.study import name_problem
from zoo.tracking import Store, TrackingError, connect, is_new_store
from zoo.trial import trials_text
from zoo.tuning.storage import find_storage


def update_deleted(directory: StudyDirectory, store: Store, report: Callable[[str], None]) -> set[int]:
    """Record the trials that were deleted or restored in MLflow; return the deleted trials of the study.

    `report` gets a line about trials, and about the study's run, deleted in MLflow since the last call.
    """
    uid, before = directory.uid(), directory.deleted_trials()
    if uid is None:
        return before
    study = directory.study
    if tracking.is_study_run_deleted(store, study, uid):
        if not directory.run_deleted_path.exists():
            directory.run_deleted_path.touch()
            report(
                f"the study's run is deleted in MLflow, its trials are not; "
                f"`zoo delete {study} --restore` restores it, which `zoo tune` requires"
            )
    else:
        directory.run_deleted_path.unlink(missing_ok=True)
    states = tracking.trial_states(store, study, uid)
    # A trial that MLflow does not have stays deleted.
    deleted = {number for number in before | states.keys() if states.get(number, "deleted") == "deleted"}
    if deleted != before:
        directory.set_deleted_trials(deleted)
    if deleted - before:
        report(
            f"{_trials_text(directory, deleted - before)} deleted in MLflow and will be excluded; "
            f"`zoo delete {study} --trial N --restore` restores a trial"
        )
    return deleted


def refresh_deleted(study: str, report: Callable[[str], None]) -> None:
    """Record the trials of a study that were deleted or restored in MLflow since the last command.

    If MLflow does not answer, the last recorded state stays, and `report` gets a line.
    """
    directory = StudyDirectory(Path.cwd(), study)
    if not directory.numbers() or is_new_store():
        return
    try:
        update_deleted(directory, connect(create=False), report)
    except TrackingError as error:
        report(f"{error} Trials that were deleted in MLflow since the last command are not excluded.")


def delete_trials(study: str, numbers: Sequence[int]) -> str:
    """Delete trials: every command excludes them until they are restored."""
    return _set_deleted(study, numbers, is_deleted=True)


def restore_trials(study: str, numbers: Sequence[int]) -> str:
    """Undo `delete_trials`."""
    return _set_deleted(study, numbers, is_deleted=False)


def restore_study_run(study: str) -> str:
    """Restore the study's run, which was deleted in MLflow; the trials stay as they are."""
    directory = _study_directory(study)
    study, uid = directory.study, directory.uid()
    with directory.locked():
        store = None if uid is None or is_new_store() else connect(create=False)
        if uid is None or store is None or not tracking.is_study_run_deleted(store, study, uid):
            raise StudyError(
                f"the run of the study '{study}' is not deleted in MLflow. Restore trials with --trial N."
            )
        tracking.restore_study_run(store, study, uid)
    return f"the run of the study '{study}' was restored"


def _set_deleted(study: str, numbers: Sequence[int], *, is_deleted: bool) -> str:
    directory, numbers = _study_directory(study), sorted(set(numbers))
    recorded = directory.numbers()
    unknown = [str(number) for number in numbers if number not in recorded]
    if unknown:
        listed = ", ".join(map(str, recorded)) or "none"
        raise StudyError(
            f"there is no trial {', '.join(unknown)} of '{directory.study}'. Available: {listed}."
        )
    with directory.locked():
        uid, deleted = directory.uid(), directory.deleted_trials()
        if uid is not None and not is_new_store():
            change = tracking.delete_trials if is_deleted else tracking.restore_trials
            change(connect(create=False), directory.study, uid, numbers)
        directory.set_deleted_trials(deleted.union(numbers) if is_deleted else deleted.difference(numbers))
    return f"{_trials_text(directory, numbers)} {'deleted' if is_deleted else 'restored'}"


def delete_study(study: str, url: str | None = None) -> str:
    """Delete a study with all its trials and standalone runs.

    MLflow keeps the deleted experiment under another name, for `mlflow experiments restore`. Optuna and the
    local record keep nothing.

    Args:
        url: the Optuna storage; by default the recorded one, which has no password.
    """
    import optuna

    directory = _study_directory(study)
    with directory.locked():
        # Optuna comes first: if its storage cannot be opened, nothing has changed.
        storage = find_storage(directory, url)
        if not is_new_store():
            tracking.delete_study(connect(create=False), directory.study)
        if storage is not None:
            optuna.delete_study(study_name=directory.study, storage=storage)
        shutil.rmtree(directory.path)
    return f"study '{directory.study}' deleted"


def rename_study(old: str, new: str, url: str | None = None) -> str:
    """Rename a study; raise StudyError if `new` is invalid or exists. `url` is as for `delete_study`."""
    import optuna

    directory, target = _study_directory(old), StudyDirectory(Path.cwd(), new)
    if problem := name_problem(new):
        raise StudyError(problem)
    if target.path.exists():
        raise StudyError(f"there is a study '{new}' in {STATE_DIR} already. Choose another name.")
    with directory.locked():
        old, storage = directory.study, find_storage(directory, url)
        if storage is not None and new in optuna.get_all_study_names(storage):
            raise StudyError(f"there is a study '{new}' in Optuna's storage already. Choose another name.")
        note = "" if is_new_store() else tracking.rename_study(connect(create=False), old, new)
        if storage is not None:
            optuna.copy_study(
                from_study_name=old, from_storage=storage, to_storage=storage, to_study_name=new
            )
            optuna.delete_study(study_name=old, storage=storage)
        directory.path.rename(target.path)
    return f"study '{old}' renamed to '{new}'{note and '; '}{note}"


def _study_directory(study: str) -> StudyDirectory:
    directory = StudyDirectory(Path.cwd(), study)
    # `zoo delete` removes this directory, so a name such as `../x` must not lead out of the local record.
    if name_problem(directory.study) or not directory.path.is_dir():
        known = sorted(path.parent.name for path in STATE_DIR.glob("*/uid"))
        raise StudyError(
            f"no study '{directory.study}' is recorded in {STATE_DIR}. {did_you_mean(directory.study, known)}"
        )
    return directory


def _trials_text(directory: StudyDirectory, numbers: Collection[int]) -> str:
    """`trial 3 of 'mnist_cnn' was`, for the beginning of a message."""
    return f"{trials_text(numbers)} of '{directory.study}' {'was' if len(numbers) == 1 else 'were'}"
