"""The trials of a study as a table, best first, read from MLflow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import StudyError
from zoo.study import Objective, pareto_front, rank
from zoo.tracking import _names as names
from zoo.tracking._connection import connect
from zoo.tracking._models import model_uri
from zoo.tracking._reader import find_study
from zoo.tracking._store import Store, TrackingError

if TYPE_CHECKING:
    import pandas as pd


def compare(*studies: str) -> pd.DataFrame:
    """Return the trials of one or more studies, best first, as MLflow has them.

    Columns: `study`, `trial`, `state`, `reason`, the best value of the objective, `best_epoch`,
    `parameters`, `train_seconds`, every parameter, `dataset.digest`, `run_id`, and `model`, an address
    for `mlflow.keras.load_model`. The studies follow each other in the order given. With several
    objectives there is a column for each, and `front` is True on the Pareto front. With folds there are
    the objective's standard deviation, such as `best_val_accuracy_std`, and `best_fold`.

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
    are in the table. Runs that are deleted in MLflow are not.

    Args:
        store: by default the one that MLflow selects.

    Raises:
        TrackingError: MLflow does not answer, or has no such study.
    """
    import pandas as pd

    store = store or connect(create=False)
    experiment_id, parent = find_study(study, store)
    objectives = names.objectives_from(parent.data.tags)
    runs = list(store.runs(experiment_id, f"tags.`{names.PARENT}` = '{parent.info.run_id}'"))
    results = _result_columns(runs, objectives)
    parameters = list(dict.fromkeys(key for run in runs for key in sorted(run.data.params)))
    dataset = ["dataset.source", "dataset.warning", "dataset.digest"]
    front = ["front"] if len(objectives) > 1 else []
    columns = ["trial", "state", "reason", *front, *results, *parameters, *dataset, "run_id", "model"]
    rows = _best_first([_row(run, results) for run in runs], objectives)
    return pd.DataFrame(rows, columns=columns)


def _result_columns(runs: Sequence[Any], objectives: Sequence[Objective]) -> list[str]:
    """Return the metrics that describe a whole trial; those of folds only if there are folds."""
    logged = {key for run in runs for key in run.data.metrics}
    results = [objective.result for objective in objectives]
    deviations = [f"{result}_std" for result in results if f"{result}_std" in logged]
    fold = ["best_fold"] if "best_fold" in logged else []
    return list(dict.fromkeys([*results, *deviations, *fold, "best_epoch", "parameters", "train_seconds"]))


def _row(run: Any, results: Sequence[str]) -> dict[str, Any]:
    tags = run.data.tags
    return {
        "trial": int(tags[names.TRIAL]),
        "state": tags.get(names.STATE, "running"),
        "reason": tags.get(names.REASON, ""),
        **{key: run.data.metrics.get(key) for key in results},
        **{key: names.from_text(text) for key, text in run.data.params.items()},
        "dataset.source": tags.get(names.SOURCE, ""),
        "dataset.warning": tags.get(names.WARNING, ""),
        "dataset.digest": tags.get(names.DIGEST, ""),
        "run_id": run.info.run_id,
        "model": model_uri(run),
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
    """Return the address of the model of a study's best complete trial.

    Raises:
        TrackingError: MLflow has no such study, no trial is complete, or MLflow does not have the model
            of the best trial; the model of another trial would not be the one that was asked for.
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
