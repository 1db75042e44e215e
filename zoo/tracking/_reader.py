"""Finding a study and its runs in MLflow."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from zoo.errors import did_you_mean
from zoo.tracking import _names as names
from zoo.tracking._connection import connect
from zoo.tracking._models import model_uri
from zoo.tracking._store import Store, TrackingError


def find_study(study: str, store: Store) -> tuple[str, Any]:
    """Return the id of a study's experiment, and the study's run in it.

    If the study was started again after its state was removed, the run is the newest one.

    Raises:
        TrackingError: MLflow has no such study.
    """
    experiment_id = store.experiment_id(study)
    runs = list(store.runs(experiment_id, f"tags.`{names.KIND}` = 'study'")) if experiment_id else []
    if experiment_id is None or not runs:
        others = [name for name in store.studies() if name != study]
        hint = did_you_mean(study, others) if others else ""
        raise TrackingError(
            f"MLflow has no trials of a study named '{study}' in {store.address}; "
            f"`zoo tune {study}` runs some. {hint}".rstrip()
        )
    return experiment_id, max(runs, key=lambda run: run.info.start_time)


def study_page(study: str, store: Store | None = None) -> str:
    """Return the page of MLflow's user interface with a study's trials, best first, and their charts.

    Append it to the address of the interface, which opens with other pages by default.

    Raises:
        TrackingError: MLflow does not answer, or has no such study.
    """
    experiment_id, parent = find_study(study, store or connect(create=False))
    first = names.objectives_from(parent.data.tags)[0]
    query = {
        "workflowType": "machine_learning",
        "searchFilter": f"tags.`{names.KIND}` = 'trial'",
        "orderByKey": f"metrics.`{first.result}`",
        "orderByAsc": str(first.direction == "minimize").lower(),
        "compareRunsMode": "CHART",
    }
    return f"/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def model_address(study: str, uid: str, store: Store) -> str:
    """Return the address of a run's model, for `mlflow.keras.load_model`; "" if MLflow has none.

    Args:
        uid: the run's `zoo.uid`.
    """
    return model_uri(store.find_study_run(study, uid))


def ended_runs(study: str, study_uid: str, store: Store) -> set[str]:
    """Return the `zoo.uid` of each trial of the study `study_uid` that MLflow has completely.

    Runs that are deleted in MLflow are not among them; see `deleted_trials`.
    """
    experiment_id = store.experiment_id(study)
    if experiment_id is None:
        return set()
    condition = f"attributes.status != 'RUNNING' and tags.`{names.KIND}` = 'trial'"
    uids = {
        run.data.tags.get(names.UID, "")
        for run in store.runs(experiment_id, condition)
        if run.data.tags.get(names.PROBLEM) in (None, names.MODEL_MISSING)
    }
    return {uid for uid in uids if names.belongs_to(uid, study_uid)}
