"""Translation of zoo's events into values and states of Optuna trials."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from zoo.events import EpochEnd, Finished
from zoo.study import Objective, StudyDefinition

if TYPE_CHECKING:
    import optuna

# Attributes of an Optuna trial.
REASON = "zoo.reason"
INTERRUPTED = "zoo.interrupted"
KILLED = "zoo.killed"  # the process of the trial was killed from outside
MAX_PARAMETERS = "max_parameters"  # the name of a constraint


def report_epoch(
    trial: optuna.Trial, event: EpochEnd, definition: StudyDefinition, best_values: dict[int, float]
) -> None:
    """Report a trial's best value so far; `best_values` has the best value of each fold, and is updated.

    With cross-validation, the value is the mean over the folds so far of each fold's best value. Every fold
    takes `max_epochs` steps, even if patience ends it early, so that equal steps of two trials can be
    compared.
    """
    objective, fold = definition.epoch_objective, event.fold or 1
    value = event.metrics[objective.metric]
    best_values[fold] = objective.best([value, best_values.get(fold, value)])
    step = (fold - 1) * definition.max_epochs() + event.epoch
    trial.report(fmean(best_values.values()), step=step)


def annotate(trial: optuna.Trial, event: Finished, max_parameters: int | None) -> None:
    """Store facts for which Optuna has no field: reason, interruption, and the limit on parameters."""
    if event.reason:
        trial.set_user_attr(REASON, event.reason)
    parameters = event.summary.get("parameters")
    if max_parameters is not None and parameters is not None and MAX_PARAMETERS not in trial.constraints:
        trial.set_constraint(MAX_PARAMETERS, parameters - max_parameters)
    if event.is_killed:
        trial.set_user_attr(KILLED, True)
    if event.is_interrupted:
        trial.set_user_attr(INTERRUPTED, True)


def finish(
    study: optuna.Study, trial: optuna.Trial, event: Finished, objectives: Sequence[Objective]
) -> None:
    """Give a trial its final state and values."""
    from optuna.trial import TrialState

    if event.state == "complete":
        study.tell(trial, [event.summary[objective.result] for objective in objectives])
    else:
        study.tell(trial, state=TrialState.PRUNED if event.state == "pruned" else TrialState.FAIL)
