"""Reading a study back out of MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from zoo.errors import did_you_mean
from zoo.study import Objective, pareto_front
from zoo.tracking import names
from zoo.tracking.models import model_ids
from zoo.tracking.store import Store, TrackingError, connect, shown

if TYPE_CHECKING:
    import pandas as pd


def leaderboard(study: str, store: Store | None = None) -> pd.DataFrame:
    """The trials of a study, best first; then those without a result, by number.

    Columns: `trial`, `state` (`running` while it is), `reason`, the objective's best value such as
    `best_val_accuracy`, `best_epoch`, `parameters`, `train_seconds`, every parameter under its name
    in MLflow, `dataset.digest`, `run_id`, and `model`, an address for `mlflow.keras.load_model`.

    With folds also the objective's spread, `best_val_accuracy_std`, and `best_fold`. With several
    objectives a column for each, and `front`: whether no other trial is as good in every objective
    and better in one. Those come first, then the others; both by the first objective.

    A study begun anew after its state was removed has only the trials since.

    Args:
        store: where to look; MLflow's own choice by default.

    Raises:
        TrackingError: MLflow cannot be reached, or holds no such study.
    """
    import pandas as pd

    store = store or connect(create=False)
    experiment_id, parent = _study_run(study, store)
    objectives = names.objectives_of(parent.data.tags)
    runs = list(store.runs(experiment_id, f"tags.`{names.PARENT}` = '{parent.info.run_id}'"))
    summary = _summary_columns(runs, objectives)
    parameters = list(dict.fromkeys(key for run in runs for key in sorted(run.data.params)))
    dataset = ["dataset.source", "dataset.warning", "dataset.digest"]
    columns = ["trial", "state", "reason", *summary, *parameters, *dataset, "run_id", "model"]
    table = pd.DataFrame([_row(run, summary) for run in runs], columns=columns)
    return _best_first(table, objectives)


def _summary_columns(runs: Sequence[Any], objectives: Sequence[Objective]) -> list[str]:
    """What came of a trial: the spread between folds where there are any, each figure once."""
    logged = {key for run in runs for key in run.data.metrics}
    results = [objective.result for objective in objectives]
    spreads = [f"{result}_std" for result in results if f"{result}_std" in logged]
    fold = ["best_fold"] if "best_fold" in logged else []
    return list(dict.fromkeys([*results, *spreads, *fold, "best_epoch", "parameters", "train_seconds"]))


def _best_first(table: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """Sorted; of several objectives, with a column that says who is on the front."""
    results = [objective.result for objective in objectives]
    complete = (table["state"] == "complete") & table[results].notna().all(axis=1)
    values = {int(row): tuple(table.loc[row, results]) for row in table.index[complete]}
    front = set(pareto_front(values, objectives))
    if len(objectives) > 1:
        table.insert(3, "front", table.index.isin(front))

    trials = dict(zip(table.index, table["trial"], strict=True))

    def place(row: int) -> tuple[bool, bool, float, int]:
        is_beaten = len(objectives) > 1 and row not in front
        loss = objectives[0].loss(values[row][0]) if row in values else 0.0
        return row not in values, is_beaten, loss, trials[row]

    return table.loc[sorted(map(int, table.index), key=place)].reset_index(drop=True)


def _row(run: Any, summary: list[str]) -> dict[str, Any]:
    data = run.data
    models = model_ids(run)
    return {
        "trial": int(data.tags[names.TRIAL]),
        "state": data.tags.get(names.STATE, "running"),
        "reason": data.tags.get(names.REASON, ""),
        **{key: data.metrics.get(key) for key in summary},
        **{key: names.from_text(text) for key, text in data.params.items()},
        "dataset.source": data.tags.get(names.SOURCE, ""),
        "dataset.warning": data.tags.get(names.WARNING, ""),
        "dataset.digest": data.tags.get(names.DIGEST, ""),
        "run_id": run.info.run_id,
        "model": f"models:/{models[-1]}" if models else "",
    }


def _study_run(study: str, store: Store) -> tuple[str, Any]:
    """The experiment, and the study's own run in it: the newest, for each of its lives has one."""
    experiment_id = store.experiment_id(study)
    found: list[Any] = []
    if experiment_id is not None:
        found = list(store.runs(experiment_id, f"tags.`{names.KIND}` = 'study'"))
    if experiment_id is None or not found:
        others = [name for name in store.studies() if name != study]
        hint = did_you_mean(study, others) if others else ""
        raise TrackingError(
            f"MLflow has no trials of a study named '{study}' in {shown(store.uri)}; "
            f"`zoo tune --study {study}` makes some. {hint}".rstrip()
        )
    return experiment_id, max(found, key=lambda run: run.info.start_time)


def model_address(study: str, uid: str, store: Store) -> str:
    """The model of the trial with that `zoo.uid`, for `mlflow.keras.load_model`; "" where there is none."""
    run = store.run_of(study, uid)
    models = model_ids(run) if run is not None else []
    return f"models:/{models[-1]}" if models else ""


def champion_address(study: str, store: Store) -> str:
    """The model of the best complete trial of a study, as MLflow addresses it.

    Raises:
        TrackingError: there is no such study, none of its trials is complete, or MLflow does not have
            the model of the best; another one would not be what was asked for.
    """
    table = leaderboard(study, store)
    complete = table[table["state"] == "complete"]
    if complete.empty:
        raise TrackingError(
            f"No trial of the study '{study}' in {shown(store.uri)} has a model yet; "
            f"`zoo compare --study {study}` shows how far they are."
        )
    best = complete.iloc[0]
    if not best["model"]:
        raise TrackingError(
            f"MLflow at {shown(store.uri)} does not have the model of trial {best['trial']}, the best of the "
            f"study '{study}'. `zoo tune --study {study}` adds it where the trial's folder still has it; "
            f"`zoo train --study {study} --trial {best['trial']}` trains it again."
        )
    return str(best["model"])


def study_page(study: str, store: Store | None = None) -> str:
    """Where MLflow's user interface shows a study's trials, best first, with their charts.

    To be put behind the interface's address. By itself it would open on other pages, and show the
    study's own run alone.

    Raises:
        TrackingError: MLflow cannot be reached, or holds no such study.
    """
    experiment_id, parent = _study_run(study, store or connect(create=False))
    first = names.objectives_of(parent.data.tags)[0]
    query = {
        "workflowType": "machine_learning",
        "searchFilter": f"tags.`{names.KIND}` = 'trial'",
        "orderByKey": f"metrics.`{first.result}`",
        "orderByAsc": str(first.direction == "minimize").lower(),
        "compareRunsMode": "CHART",
    }
    return f"/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def ended_runs(study: str, study_uid: str, store: Store) -> set[str]:
    """The `zoo.uid` of every trial, in this life of the study, of which MLflow has everything to its end."""
    experiment_id = store.experiment_id(study)
    if experiment_id is None:
        return set()
    condition = f"attributes.status != 'RUNNING' and tags.`{names.KIND}` = 'trial'"
    runs = store.runs(experiment_id, condition)
    uids = (run.data.tags.get(names.UID, "") for run in runs if _is_whole(run.data.tags))
    return {uid for uid in uids if uid.rpartition("-")[0] == study_uid}


def _is_whole(tags: Mapping[str, str]) -> bool:
    """Whether a run that ended has all it will ever have."""
    return tags.get(names.PROBLEM) in (None, names.MODEL_GONE)
