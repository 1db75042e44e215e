"""Reading a study back out of MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from zoo.errors import did_you_mean
from zoo.tracking import names
from zoo.tracking.models import model_ids
from zoo.tracking.store import Store, TrackingError, connect, pages, shown

if TYPE_CHECKING:
    import pandas as pd

_PAGE = 1000


def leaderboard(study: str, store: Store | None = None, *, every: bool = False) -> pd.DataFrame:
    """The trials of a study, best first; then those without a result, by number.

    Columns: `trial`, `state` (`running` while it is), `reason`, the objective's best value such as
    `best_val_accuracy`, `best_epoch`, `parameters`, `train_seconds`, every parameter under its name
    in MLflow, `dataset.digest`, `run_id`, and `model`, an address for `mlflow.keras.load_model`.

    Args:
        store: where to look; MLflow's own choice by default.
        every: also trials of earlier lives of the study, whose state was removed since.

    Raises:
        TrackingError: MLflow cannot be reached, or holds no such study.
    """
    import pandas as pd

    store = store or connect(create=False)
    experiment_id, parents = _study_runs(study, store)
    objective = f"best_{parents[0].data.tags[names.OBJECTIVE]}"
    ascending = parents[0].data.tags[names.DIRECTION] == "minimize"
    runs = [
        run
        for parent in (parents if every else parents[:1])
        for run in _search(store, experiment_id, f"tags.`{names.PARENT}` = '{parent.info.run_id}'")
    ]
    summary = [objective, "best_epoch", "parameters", "train_seconds"]
    parameters = list(dict.fromkeys(key for run in runs for key in sorted(run.data.params)))
    columns = ["trial", "state", "reason", *summary, *parameters, "dataset.digest", "run_id", "model"]
    table = pd.DataFrame([_row(run, summary) for run in runs], columns=columns)
    table["_rank"] = table[objective].where(table["state"] == "complete")
    table = table.sort_values(["_rank", "trial"], ascending=[ascending, True], na_position="last")
    return table.drop(columns="_rank").reset_index(drop=True)


def _row(run: Any, summary: list[str]) -> dict[str, Any]:
    data = run.data
    models = model_ids(run)
    return {
        "trial": int(data.tags[names.TRIAL]),
        "state": data.tags.get(names.STATE, "running"),
        "reason": data.tags.get(names.REASON, ""),
        **{key: data.metrics.get(key) for key in summary},
        **{key: names.from_text(text) for key, text in data.params.items()},
        "dataset.digest": data.tags.get(names.DIGEST, ""),
        "run_id": run.info.run_id,
        "model": f"models:/{models[-1]}" if models else "",
    }


def _study_runs(study: str, store: Store) -> tuple[str, list[Any]]:
    """The experiment, and the study's own runs in it, newest first: one for each of its lives."""
    experiment_id = store.experiment_id(study)
    found: list[Any] = []
    if experiment_id is not None:
        found = list(_search(store, experiment_id, f"tags.`{names.KIND}` = 'study'"))
    if experiment_id is None or not found:
        others = [name for name in store.studies() if name != study]
        hint = did_you_mean(study, others) if others else ""
        raise TrackingError(
            f"MLflow has no trials of a study named '{study}' in {shown(store.uri)}; "
            f"`zoo tune --study {study}` makes some. {hint}".rstrip()
        )
    return experiment_id, sorted(found, key=lambda run: run.info.start_time, reverse=True)


def _search(store: Store, experiment_id: str, condition: str) -> Iterator[Any]:
    return pages(
        lambda token: store.client.search_runs(
            [experiment_id], condition, max_results=_PAGE, page_token=token
        )
    )


def model_address(study: str, uid: str, store: Store) -> str:
    """The model of the trial with that `zoo.uid`, for `mlflow.keras.load_model`; "" where there is none."""
    experiment_id = store.experiment_id(study)
    run = store.find_run(experiment_id, uid) if experiment_id else None
    models = model_ids(run) if run is not None else []
    return f"models:/{models[-1]}" if models else ""


def study_page(study: str, store: Store | None = None) -> str:
    """Where MLflow's user interface shows a study's trials, best first, with their charts.

    To be put behind the interface's address. By itself it would open on other pages, and show the
    study's own run alone.

    Raises:
        TrackingError: MLflow cannot be reached, or holds no such study.
    """
    experiment_id, parents = _study_runs(study, store or connect(create=False))
    tags = parents[0].data.tags
    query = {
        "workflowType": "machine_learning",
        "searchFilter": f"tags.`{names.KIND}` = 'trial'",
        "orderByKey": f"metrics.`best_{tags[names.OBJECTIVE]}`",
        "orderByAsc": str(tags[names.DIRECTION] == "minimize").lower(),
        "compareRunsMode": "CHART",
    }
    return f"/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def ended_runs(study: str, study_uid: str, store: Store) -> set[str]:
    """The `zoo.uid` of every trial, in this life of the study, of which MLflow has everything to its end."""
    experiment_id = store.experiment_id(study)
    if experiment_id is None:
        return set()
    condition = f"attributes.status != 'RUNNING' and tags.`{names.KIND}` = 'trial'"
    runs = _search(store, experiment_id, condition)
    uids = (run.data.tags.get(names.UID, "") for run in runs if _is_whole(run.data.tags))
    return {uid for uid in uids if uid.rpartition("-")[0] == study_uid}


def _is_whole(tags: Mapping[str, str]) -> bool:
    """Whether a run that ended has all it will ever have."""
    return tags.get(names.PROBLEM) in (None, names.MODEL_GONE)
