"""Damaged or missing files in the directory of a study: their names, what is lost, and what to do.

A trial whose configuration or final state is lost is set aside: no command ranks it, and none replaces it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from zoo.checksums import read_text
from zoo.errors import RecordError
from zoo.events import Finished
from zoo.record.directories import StudyDirectory
from zoo.record.trial_directories import TrialDirectory


@dataclass(frozen=True)
class Damage:
    """The damage in a study's directory.

    Args:
        problems: a line for each damaged file.
        set_aside: numbers of the trials that are set aside.
    """

    problems: list[str] = field(default_factory=list)
    set_aside: set[int] = field(default_factory=set)


def find_damage(directory: StudyDirectory, *, is_settled: bool = False) -> Damage:
    """Return the damage in a study's directory; deleted trials are ignored.

    Args:
        is_settled: the study was reconciled, so every trial must have a final state.
    """
    damage = Damage(damaged_files(directory))
    deleted = directory.deleted_trials()
    unfinished = [
        number
        for number in directory.numbers()
        if number not in deleted and not _check_trial(directory, number, damage, is_settled=is_settled)
    ]
    if unfinished and not directory.is_running():
        damage.problems.append(_unfinished_text(directory, unfinished))
    return damage


def damaged_files(directory: StudyDirectory) -> list[str]:
    """Return a line for each damaged file that `zoo tune` writes again; no file of a trial is among them."""
    texts = {
        "study.toml": f"`zoo tune {directory.study}` writes it again; the report lacks it until then.",
        "commands": "The commands that ran the study are missing in its report.",
    }
    readers: list[Callable[[], object]] = [directory.objectives, directory.storage]
    readers += [partial(read_text, directory.path / name, advice) for name, advice in texts.items()]
    problems = []
    for read in readers:
        try:
            read()
        except RecordError as error:
            problems.append(str(error))
    return problems


def _check_trial(directory: StudyDirectory, number: int, damage: Damage, *, is_settled: bool) -> bool:
    """Add the damage of a trial to `damage`; return False if it is undamaged and has no final state."""
    trial = directory.trial(number)
    events, lines = trial.event_log.load()
    final = next((event for event in events if isinstance(event, Finished)), None)
    problem = _config_problem(trial, is_optional=final is None or final.is_interrupted)
    path, listed = trial.event_log.path, ", ".join(map(str, lines))
    advice = f"Restore a backup, or run `zoo delete {directory.study} --trial {number}`."
    if lines and final is not None:
        damage.problems.append(f"{path}: line {listed} is damaged, so an event of trial {number} is lost")
    elif lines:
        problem = (
            problem or f"line {listed} of {path} is damaged, and the trial's final state is lost. {advice}"
        )
    elif final is None and is_settled:
        problem = problem or f"its final state is missing in {path}. {advice}"
    if problem:
        damage.set_aside.add(number)
        damage.problems.append(f"trial {number} of '{directory.study}' is set aside: {problem}")
    return final is not None or bool(problem)


def _config_problem(trial: TrialDirectory, *, is_optional: bool) -> str:
    """Return the problem of a trial's configuration, or "".

    Args:
        is_optional: the configuration may be missing, because the trial may not have started.
    """
    try:
        if trial.trial_config() is None and not is_optional:
            return f"{trial.config_path} is missing. Restore it from a backup, or from its run in MLflow."
    except RecordError as error:
        return str(error)
    return ""


def _unfinished_text(directory: StudyDirectory, numbers: list[int]) -> str:
    if len(numbers) == 1:
        problem = f"trial {numbers[0]} has no final state in {directory.trial(numbers[0]).event_log.path}"
    else:
        listed = ", ".join(map(str, numbers))
        problem = f"trials {listed} have no final state in their event logs in {directory.trials_dir}"
    return f"{problem}; if the study was killed, `zoo tune {directory.study}` settles this"
