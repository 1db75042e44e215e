"""Rebuilding an Optuna study from the event logs: its storage was deleted, or is an older copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from zoo.checksums import has_checksum
from zoo.errors import RecordError, SpaceError, StudyError, count_text
from zoo.events import EpochEnd, Finished, Progress
from zoo.record import StudyDirectory, TrialDirectory
from zoo.study import StudyDefinition
from zoo.trial import TrialConfig
from zoo.tuning.manifest import check_resumable
from zoo.tuning.optuna_trials import INTERRUPTED, annotate, finish, report_epoch

if TYPE_CHECKING:
    import optuna


def lacks_trials(trials: Sequence[optuna.trial.FrozenTrial], directory: StudyDirectory) -> bool:
    """Return True if the local record has trials that Optuna lacks, or that are only queued there."""
    return not have_run(trials).issuperset(directory.numbers())


def check_rebuilding(
    definition: StudyDefinition,
    directory: StudyDirectory,
    trials: Sequence[optuna.trial.FrozenTrial],
    manifest: Mapping[str, Any],
    accept_versions: bool,
) -> None:
    """Raise ZooError if the Optuna study, which has `trials`, cannot be rebuilt from the local record."""
    name = definition.name
    uid = directory.uid()
    if uid is None:
        raise RecordError(
            f"{directory.path / 'uid'} is missing, and Optuna lacks the trials in {directory.trials_dir}, "
            "so it is unknown to which study they belong. Restore the file from a backup, or write the tag "
            "`zoo.uid` of the study's run in MLflow into it."
        )
    stored = directory.manifest()
    if stored is not None:
        check_resumable(definition, directory, stored, manifest, accept_versions)
    others = sorted(have_run(trials) - set(directory.numbers()))
    if others:
        raise StudyError(
            f"Optuna lacks trials of '{name}' that are in {directory.trials_dir}, and has trials that are "
            f"not there ({', '.join(map(str, others))}), so neither record is complete. Restore one of them "
            f"from a backup, or add --name {name}-2 to start a new study."
        )


def rebuilding_text(directory: StudyDirectory) -> str:
    """Return the message that the study is rebuilt."""
    return (
        f"Optuna does not have the trials of '{directory.study}'; they are rebuilt from the event logs of "
        f"{count_text(len(directory.numbers()), 'trial')} in {directory.trials_dir}"
    )


def began_with_checksums(directory: StudyDirectory) -> bool:
    """Return True if the version of zoo that recorded the first trial writes checksums."""
    paths = [directory.trial(number).event_log.path for number in directory.numbers()]
    first = next((path for path in paths if path.exists()), None)
    if first is None:
        return False
    with first.open("rb") as file:
        return has_checksum(file.readline())


def retried_failures(trials: Sequence[optuna.trial.FrozenTrial]) -> list[int]:
    """Return the failed trials whose parameters were run again."""
    return [
        trial.number
        for trial in trials
        if trial.state.name == "FAIL" and INTERRUPTED not in trial.user_attrs and _is_repeated(trial, trials)
    ]


def interrupted_for_good(trials: Sequence[optuna.trial.FrozenTrial]) -> list[int]:
    """Return the interrupted trials whose parameters were not run again."""
    return [
        trial.number
        for trial in trials
        if INTERRUPTED in trial.user_attrs and trial.params and not _is_repeated(trial, trials)
    ]


def _is_repeated(trial: optuna.trial.FrozenTrial, trials: Sequence[optuna.trial.FrozenTrial]) -> bool:
    return bool(trial.params) and any(other.params == trial.params for other in trials[trial.number + 1 :])


def have_run(trials: Sequence[optuna.trial.FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that are not only queued."""
    return {trial.number for trial in trials if trial.state.name != "WAITING"}


def logged_trials(
    definition: StudyDefinition, directory: StudyDirectory, digest: str
) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of the local record as trials of Optuna, by number, without a gap.

    A trial without a directory is interrupted, and does not count as done. A trial with a damaged record is
    failed, and counts as done. Any other trial without a final state is running.

    Raises:
        StudyError: a recorded trial has parameters that the study file does not allow.
    """
    import optuna

    directions = [objective.direction for objective in definition.objectives]
    sampler, pruner = optuna.samplers.RandomSampler(), optuna.pruners.NopPruner()
    study = optuna.create_study(directions=directions, sampler=sampler, pruner=pruner)
    times: dict[int, tuple[float, float]] = {}
    for number in range(max(directory.numbers(), default=-1) + 1):
        record = directory.trial(number)
        config, problem = _readable_config(record)
        events, damaged = record.event_log.load()
        final = next((event for event in events if isinstance(event, Finished)), None)
        if final is None and damaged:
            problem = problem or "its event log is damaged"
        if config is not None:
            study.enqueue_trial(_suggestions(definition, config, digest, number))
        trial = study.ask()
        if config is not None:
            definition.sample(trial, digest, config.seed)
        logged = [event.time for event in events if not isinstance(event, Progress)]
        if logged:
            times[number] = (logged[0], logged[-1])
        if problem or config is None:
            no_record = Finished(0.0, "failed", problem or "its record is missing")
            final = final if final is not None and final.is_interrupted else no_record
        if not record.path.exists():
            final = Finished(0.0, "failed", "interrupted: its record is missing", is_interrupted=True)
        _replay(study, trial, definition, [one for one in events if isinstance(one, EpochEnd)], final)
    return [_with_times(trial, times) for trial in study.get_trials()]


def _readable_config(record: TrialDirectory) -> tuple[TrialConfig | None, str]:
    """Return the configuration of a trial, or None and its problem."""
    try:
        return record.trial_config(), ""
    except RecordError:
        return None, "its configuration is damaged"


def _suggestions(
    definition: StudyDefinition, config: TrialConfig, digest: str, number: int
) -> Mapping[str, Any]:
    """Return the suggestions that reproduce a recorded configuration.

    Raise StudyError if the study file does not allow it.
    """
    import optuna

    try:
        suggestions = definition.encode(config)
        made = definition.sample(optuna.trial.FixedTrial(suggestions), digest, config.seed)
    except (SpaceError, KeyError, ValueError) as error:
        raise _other_space(definition.name, number, str(error)) from None
    for kind in ("architecture", "augmentation", "training"):
        if getattr(made, kind) != getattr(config, kind):
            raise _other_space(definition.name, number, f"its {kind} is not in the search space")
    return suggestions


def _other_space(study: str, number: int, reason: str) -> StudyError:
    return StudyError(
        f"Optuna lost the study '{study}', and it cannot be rebuilt from the event logs, because the study "
        f"file has changed since trial {number} ran: {reason}. Undo the change, or add --name {study}-2 to "
        "start a new study."
    )


def _replay(
    study: optuna.Study,
    trial: optuna.Trial,
    definition: StudyDefinition,
    epochs: Sequence[EpochEnd],
    final: Finished | None,
) -> None:
    """Report the epochs of a trial, and set its final state; without a final state, it stays running."""
    best_values: dict[int, float] = {}
    for event in epochs:
        if len(definition.objectives) == 1 and definition.epoch_objective.metric in event.metrics:
            report_epoch(trial, event, definition, best_values)
    if final is not None:
        annotate(trial, final, definition.search.max_parameters)
        finish(study, trial, final, definition.objectives)


def _with_times(
    trial: optuna.trial.FrozenTrial, times: Mapping[int, tuple[float, float]]
) -> optuna.trial.FrozenTrial:
    """Return `trial` with the times of its events, in local time as Optuna has them."""
    if trial.number in times:
        start, end = times[trial.number]
        trial.datetime_start = datetime.fromtimestamp(start)
        if trial.state.is_finished():
            trial.datetime_complete = datetime.fromtimestamp(end)
    return trial
