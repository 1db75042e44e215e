"""Values in Optuna and MLflow that differ from the event logs. The event logs are right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tracking import Store, trial_results

if TYPE_CHECKING:
    import optuna

_OPTUNA_STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}


def logged_values(
    directory: StudyDirectory, objectives: Sequence[Objective]
) -> dict[int, tuple[str, tuple[float, ...]]]:
    """Return the state and the objectives of every finished trial in the event logs.

    The objectives are () unless the trial is complete.
    """
    logged = {}
    for number in directory.numbers():
        event = directory.trial(number).final_event()
        if event is not None:
            values = tuple(event.summary.get(one.result, math.nan) for one in objectives)
            logged[number] = (event.state, values if event.state == "complete" else ())
    return logged


def optuna_differences(
    directory: StudyDirectory,
    objectives: Sequence[Objective],
    trials: Sequence[optuna.trial.FrozenTrial],
) -> dict[int, str]:
    """Return a line for each trial whose state or objectives in Optuna are not those of its event log."""
    logged, found = logged_values(directory, objectives), {}
    for trial in trials:
        if trial.state.is_finished() and trial.number in logged:
            state, values = logged[trial.number]
            if trial.state.name != _OPTUNA_STATES[state]:
                found[trial.number] = f"Optuna has the state {trial.state.name}, its event log {state}"
            elif state == "complete" and tuple(trial.values) != values:
                texts = _differing(objectives, trial.values, values)
                found[trial.number] = f"Optuna has {texts}"
    return found


def mlflow_differences(
    directory: StudyDirectory, objectives: Sequence[Objective], store: Store, uid: str
) -> dict[int, str]:
    """Return a line for each complete trial whose objectives in MLflow are not those of its event log."""
    logged, found = logged_values(directory, objectives), {}
    results: Mapping[int, Mapping[str, Any]] = trial_results(store, directory.study, uid)
    for number, metrics in results.items():
        state, values = logged.get(number, ("", ()))
        recorded = [metrics.get(one.result) for one in objectives]
        if state == "complete" and None not in recorded and tuple(recorded) != values:
            found[number] = f"MLflow has {_differing(objectives, recorded, values)}"
    return found


def _differing(objectives: Sequence[Objective], recorded: Sequence[Any], logged: Sequence[float]) -> str:
    """Return the objectives that differ: `val_accuracy 0.99, its event log 0.91`."""
    return "; ".join(
        f"{one.metric} {there:.6g}, its event log {here:.6g}"
        for one, there, here in zip(objectives, recorded, logged, strict=True)
        if there != here
    )
