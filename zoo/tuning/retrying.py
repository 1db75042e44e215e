"""Running trials of an Optuna study again, with the same values under a new number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from zoo.failpoints import failpoint
from zoo.tuning.optuna_trials import INTERRUPTED

if TYPE_CHECKING:
    import optuna

# An attribute of a trial: the number of the earlier trial with the same values. A retry continues that trial.
AGAIN = "zoo.again"
RETRIED = "zoo.retried"  # an attribute of the study: numbers of failed trials that are run again


def enqueue_again(study: optuna.Study, number: int) -> None:
    """Queue the values of a trial, unless they are queued already."""
    trials = study.get_trials(deepcopy=False)
    # `params` has only the queued values that the trial has sampled. Optuna has no public name for
    # `fixed_params`; tests/tuning/test_search.py fails if it disappears.
    values = {**trials[number].system_attrs.get("fixed_params", {}), **trials[number].params}
    queued = [trial.user_attrs.get(AGAIN) for trial in trials if trial.state.name == "WAITING"]
    if number not in queued:
        study.enqueue_trial(values, user_attrs={AGAIN: number})
    failpoint("retry.queued")


def earlier_attempts(study: optuna.Study, trial: optuna.Trial) -> list[int]:
    """Return the numbers of earlier trials with the same values, the latest one first."""
    number, found = trial.user_attrs.get(AGAIN, -1), []
    trials = study.get_trials(deepcopy=False) if number >= 0 else []
    while number >= 0:
        found.append(number)
        number = trials[number].user_attrs.get(AGAIN, -1)
    return found


def count_done(study: optuna.Study) -> int:
    """Return the number of finished trials, without those that were interrupted or retried."""
    retried = set(study.user_attrs.get(RETRIED, []))
    finished = (trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished())
    return sum(not trial.user_attrs.get(INTERRUPTED) and trial.number not in retried for trial in finished)


def retry_failed(study: optuna.Study, excluded: Collection[int]) -> list[int]:
    """Queue the failed trials that were not retried yet, and return their numbers.

    A retry that failed can be retried, too. A retried trial no longer counts as done. Its retry has a new
    number, and the seed of that number.

    Args:
        excluded: numbers of trials that are not retried.
    """
    retried = set(study.user_attrs.get(RETRIED, []))
    numbers = [
        trial.number
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name == "FAIL"
        and not trial.user_attrs.get(INTERRUPTED)
        and trial.number not in retried
        and trial.number not in excluded
    ]
    for number in numbers:
        enqueue_again(study, number)
    study.set_user_attr(RETRIED, sorted(retried.union(numbers)))
    return numbers


def retry_once(study: optuna.Study, numbers: Sequence[int]) -> None:
    """Queue failed trials again; skip values that were retried before: they may fail in every version."""
    trials, retried = study.get_trials(deepcopy=False), set(study.user_attrs.get(RETRIED, []))
    values = [trials[number].params for number in retried]
    for number in numbers:
        if trials[number].params not in values:
            enqueue_again(study, number)
            retried.add(number)
    study.set_user_attr(RETRIED, sorted(retried))
