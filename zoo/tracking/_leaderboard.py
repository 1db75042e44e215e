"""The trials of a study as a table, best first, read from MLflow."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import StudyError
from zoo.record import StudyDirectory, load_runs
from zoo.study import Objective, pareto_front, rank
from zoo.tracking import _names as names
from zoo.tracking._connection import connect
from zoo.tracking._lifecycle import deleted_trials
from zoo.tracking._models import model_uri
from zoo.tracking._reader import find_study
from zoo.tracking._store import Store, TrackingError

if TYPE_CHECKING:
    import pandas as pd

_DATASET = ("dataset.source", "dataset.warning", "dataset.digest")


def compare(*studies: str) -> pd.DataFrame:
    """Return the trials of one or more studies, best first.

    Columns: `study`, `trial`, `state`, `reason`, the best value of the objective, `best_epoch`,
    `parameters`, `train_seconds`, every parameter, `dataset.digest`, `run_id`, and `model`, an address
    for `mlflow.keras.load_model`. The studies follow each other in the order given. With several
    objectives there is a column for each, and `front` is True on the Pareto front. With folds there are
    the objective's standard deviation, such as `best_val_accuracy_std`, and `best_fold`.

    The trials come from MLflow, without those that were deleted. Trials that MLflow does not have yet come
    from the local record; their `run_id` is "" and their `model` is a file.

    Raises:
        TrackingError: MLflow does not answer, or has no such study.
    """
    import pandas as pd

    if not studies:
        raise StudyError("No study to compare. Name one or more: `zoo.compare('mnist_cnn')`.")
    store = connect(create=False)
    tables = []
    for study in studies:
        table = leaderboard(study, store)
        table.insert(0, "study", study)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def leaderboard(study: str, store: Store | None = None) -> pd.DataFrame:
    """Return the trials of a study, best first; then those without a result, by number.

    The columns are those of `compare`, without `study`; the state of a trial without an end is `running`.
    With several objectives the trials on the Pareto front come first, then the others; both by the first
    objective. If the study was started again after its state was removed, only the trials since then
    are in the table.

    Args:
        store: by default the one that MLflow selects.

    Raises:
        TrackingError: MLflow does not answer, or has no such study.
    """
    import pandas as pd

    store = store or connect(create=False)
    experiment_id, parent = find_study(study, store)
    objectives = names.objectives_from(parent.data.tags)
    trials = [
        _recorded_trial(run)
        for run in store.runs(experiment_id, f"tags.`{names.PARENT}` = '{parent.info.run_id}'")
    ]
    trials += _local_trials(study, parent, store, {trial.number for trial in trials})
    results = _result_columns(trials, objectives)
    parameters = list(dict.fromkeys(key for trial in trials for key in sorted(trial.parameters)))
    front = ["front"] if len(objectives) > 1 else []
    columns = ["trial", "state", "reason", *front, *results, *parameters, *_DATASET, "run_id", "model"]
    rows = _best_first([_row(trial, results) for trial in trials], objectives)
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class _Trial:
    """One row of a leaderboard, from MLflow or from the local record."""

    number: int
    state: str
    reason: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    dataset: Mapping[str, str]
    run_id: str = ""
    model: str = ""


def _recorded_trial(run: Any) -> _Trial:
    tags = run.data.tags
    return _Trial(
        number=int(tags[names.TRIAL]),
        state=tags.get(names.STATE, "running"),
        reason=tags.get(names.REASON, ""),
        metrics=run.data.metrics,
        parameters=run.data.params,
        dataset=_dataset_columns(tags, tags.get(names.DIGEST, "")),
        run_id=run.info.run_id,
        model=model_uri(run),
    )


def _local_trials(study: str, parent: Any, store: Store, recorded: Collection[int]) -> list[_Trial]:
    """Return the finished trials of the local record that MLflow does not have."""
    directory = StudyDirectory(Path.cwd(), study)
    uid = parent.data.tags[names.UID]
    missing = (
        set(directory.numbers()) - {*recorded, *directory.deleted()} if directory.uid() == uid else set()
    )
    if not missing:
        return []
    runs = [run for run in load_runs(study) if run.number in missing - deleted_trials(store, study, uid)]
    return [
        _Trial(
            number=run.number or 0,
            state=run.finished.state,
            reason=run.finished.reason,
            metrics=run.summary,
            parameters=names.flat_parameters(run.config.as_json()),
            dataset=_dataset_columns(parent.data.tags, run.config.digest),
            model=str(run.directory.model_path) if run.directory.model_path.exists() else "",
        )
        for run in runs
        if run.finished is not None
    ]


def _dataset_columns(tags: Mapping[str, str], digest: str) -> dict[str, str]:
    return dict(zip(_DATASET, (tags.get(names.SOURCE, ""), tags.get(names.WARNING, ""), digest), strict=True))


def _result_columns(trials: Sequence[_Trial], objectives: Sequence[Objective]) -> list[str]:
    """Return the metrics that describe a whole trial; those of folds only if there are folds."""
    logged = {key for trial in trials for key in trial.metrics}
    results = [objective.result for objective in objectives]
    deviations = [f"{result}_std" for result in results if f"{result}_std" in logged]
    fold = ["best_fold"] if "best_fold" in logged else []
    return list(dict.fromkeys([*results, *deviations, *fold, "best_epoch", "parameters", "train_seconds"]))


def _row(trial: _Trial, results: Sequence[str]) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        **{key: trial.metrics.get(key) for key in results},
        **{key: names.from_text(text) for key, text in trial.parameters.items()},
        **trial.dataset,
        "run_id": trial.run_id,
        "model": trial.model,
    }


def _best_first(rows: Sequence[dict[str, Any]], objectives: Sequence[Objective]) -> list[dict[str, Any]]:
    """Return the rows in the order of the table, each with `front`."""
    by_number = {row["trial"]: row for row in rows}
    values = {}
    for number, row in by_number.items():
        reached = [row[objective.result] for objective in objectives]
        if row["state"] == "complete" and all(one is not None and not math.isnan(one) for one in reached):
            values[number] = reached
    front = set(pareto_front(values, objectives))
    ranked = [*rank(values, objectives), *sorted(by_number.keys() - values.keys())]
    return [{**by_number[number], "front": number in front} for number in ranked]


def champion_address(study: str, store: Store) -> str:
    """Return the address of the model of a study's best complete trial, or its path if MLflow lacks it.

    Raises:
        TrackingError: MLflow has no such study, no trial is complete, or the model of the best trial does
            not exist any more; another trial's model would not be the one that was asked for.
    """
    table = leaderboard(study, store)
    complete = table[table["state"] == "complete"]
    if complete.empty:
        raise TrackingError(
            f"No trial of the study '{study}' in {store.address} has a model yet; "
            f"`zoo compare {study}` shows their states."
        )
    best = complete.iloc[0]
    if not best["model"]:
        raise TrackingError(
            f"MLflow at {store.address} does not have the model of trial {best['trial']}, the best of the "
            f"study '{study}'. `zoo tune {study}` adds it if the trial directory still has it; "
            f"`zoo train {study} --trial {best['trial']}` trains it again."
        )
    return str(best["model"])
