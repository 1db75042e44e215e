"""Runs and models that MLflow has twice, because the answer to a creating request was lost.

MLflow's client repeats a request whose answer is lost, and the server then creates a second run. Therefore,
zoo creates runs and models without this repetition (`create_once`), and merges duplicates that it finds.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from zoo.tracking import _names as names
from zoo.tracking._store import Store, environment, pages

_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_PAUSES_S = (0.5, 2.0)  # before the second and the third attempt

Entity = TypeVar("Entity")


def create_once(create: Callable[[], Entity], find: Callable[[], Entity | None]) -> Entity:
    """Return the result of `create`, or after an error that of `find`, because only the answer may be lost.

    `create` is called again only if `find` returns None. Raises the error of the third attempt, and every
    error of `find`.
    """
    pauses = iter(_PAUSES_S)
    while True:
        try:
            with environment({_RETRIES: "0"}):  # each request is sent once
                return create()
        except Exception:
            if (found := find()) is not None:
                return found
            if (pause := next(pauses, None)) is None:
                raise
            time.sleep(pause)


def fullest(runs: Sequence[Any]) -> Any:
    """Return the run with the most content among duplicates; the oldest of equally full ones."""
    return max(
        runs,
        key=lambda run: (
            run.info.status == "FINISHED",
            bool(run.outputs and run.outputs.model_outputs),
            len(run.data.metrics) + len(run.data.params) + len(run.data.tags),
            -run.info.start_time,
        ),
    )


def merge_duplicates(store: Store, experiment_id: str, study_uid: str) -> None:
    """Delete the duplicates among a study's runs and models in MLflow.

    Of several runs with the same `zoo.uid`, the fullest one stays. Of several runs of the study, the one with
    the most trials stays, and becomes the parent of the others' trials. MLflow can restore deleted runs. A
    PENDING model is deleted if its run has a READY one.
    """
    by_uid = defaultdict(list)
    for run in store.runs(experiment_id, f"tags.`{names.UID}` LIKE '{study_uid}%'"):
        by_uid[run.data.tags[names.UID]].append(run)
    studies = by_uid.pop(study_uid, [])
    trials = [run for runs in by_uid.values() for run in runs]
    if len(studies) > 1:
        parents = [run.data.tags.get(names.PARENT) for run in trials]
        counts = {run.info.run_id: parents.count(run.info.run_id) for run in studies}
        most = max(counts.values())
        kept = fullest([run for run in studies if counts[run.info.run_id] == most])
        for run in trials:
            if run.data.tags.get(names.PARENT) in counts and run.data.tags[names.PARENT] != kept.info.run_id:
                store.log(run.info.run_id, tags={names.PARENT: kept.info.run_id})
        _delete_others(store, studies, kept)
    for runs in by_uid.values():
        if len(runs) > 1:
            _delete_others(store, runs, fullest(runs))
    _delete_unfinished_models(store, experiment_id, trials)


def _delete_others(store: Store, runs: Sequence[Any], kept: Any) -> None:
    for run in runs:
        if run.info.run_id != kept.info.run_id:
            store.client.delete_run(run.info.run_id)


def _delete_unfinished_models(store: Store, experiment_id: str, trials: Sequence[Any]) -> None:
    """Delete models that are still PENDING if another model of their run is READY."""
    found = pages(lambda token: store.client.search_logged_models([experiment_id], page_token=token))
    statuses: dict[str, dict[str, str]] = defaultdict(dict)
    for model in found:
        statuses[str(model.source_run_id)][model.model_id] = str(model.status)
    for run in trials:
        models = statuses[run.info.run_id]
        if "READY" in models.values():
            for model_id in (one for one, status in models.items() if status == "PENDING"):
                store.client.delete_logged_model(model_id)
