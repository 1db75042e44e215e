"""Recorded studies in MLflow: reading them back, and deleting and restoring their trials.

A run that is deleted in MLflow, by zoo or in MLflow's user interface, stays in the store but counts as
absent: tables, models and the next `zoo tune` ignore it until it is restored. If the study's run is deleted,
its trials are still listed, but `zoo tune` does not start until the run is restored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from packaging.version import Version

from zoo.errors import StudyError
from zoo.record import StudyDirectory, load_runs, no_complete_trial, trial_uid, unrecorded_hint
from zoo.study import Objective, pareto_front, rank
from zoo.tracking import _names as names
from zoo.tracking._connection import connect
from zoo.tracking._duplicates import fullest
from zoo.tracking._models import model_uri
from zoo.tracking._store import Store, TrackingError, is_active
from zoo.tracking._view import FIRST_MLFLOW, KEY, save_view
from zoo.trial import COUNTS

if TYPE_CHECKING:
    import pandas as pd

_DATASET = {
    "dataset.source": names.SOURCE,
    "dataset.warning": names.WARNING,
    "dataset.splits": names.SPLITS,
    "dataset.digest": names.DIGEST,
}


def compare(*studies: str) -> pd.DataFrame:
    """Return the trials of one or more studies: complete ones best first, then pruned ones, then the others.

    Columns: `study`, `trial`, `state`, `reason`, the best value of the objective, `best_epoch`,
    `parameters`, `train_seconds`, every active parameter, `dataset.digest`, `run_id`, and `model`, an address
    for `mlflow.keras.load_model`. The studies follow each other in the order given. With several
    objectives there is a column for each, and `front` is True on the Pareto front. With folds there are
    the objective's standard deviation, such as `best_val_accuracy_std`, and `best_fold`. Columns of
    integers have the type `int64`, or `Int64` with `pandas.NA` if a trial has no value.

    The trials come from MLflow, except deleted ones. Trials that MLflow does not have yet come from the local
    record: their `run_id` is "" and their `model` is a file. The table's `attrs["searched"]` has the searched
    parameters, most important first.

    If MLflow does not answer, the table comes from the local record, and `attrs["problem"]` has the reason;
    then `attrs["searched"]` is ().

    Raises:
        TrackingError: MLflow has no such study; or it does not answer, and no trial is in the local record.
    """
    import pandas as pd

    if not studies:
        raise StudyError("no study to compare. Name one or more: `zoo.compare('mnist_cnn')`.")
    tables, problem = _leaderboards(studies)
    for study, table in zip(studies, tables, strict=True):
        table.insert(0, "study", study)
    searched = dict.fromkeys(name for table in tables for name in table.attrs["searched"])
    joined = pd.concat(tables, ignore_index=True)
    joined.attrs |= {"searched": tuple(searched), "problem": problem}
    return joined


def _leaderboards(studies: Sequence[str]) -> tuple[list[pd.DataFrame], str]:
    """Return the table of each study, and the reason why the local record was used, or ""."""
    try:
        store = connect(create=False)
    except TrackingError as error:
        with suppress(StudyError):  # without a local record, MLflow's error is more useful
            return [_local_leaderboard(study) for study in studies], str(error)
        raise
    return [leaderboard(study, store) for study in studies], ""


def leaderboard(study: str, store: Store | None = None) -> pd.DataFrame:
    """Return the complete trials of a study, best first, then the pruned ones, then the others by number.

    The columns are those of `compare`, without `study`; the state of an unfinished trial is `running`. With
    several objectives the trials on the Pareto front come first; the first objective orders both groups. If
    a study was deleted from Optuna and started again, the table has only the new trials.
    """
    store = store or connect(create=False)
    parent = find_study(study, store)
    trials = {
        number: _Trial(run.data.tags, run.data.metrics, run.data.params, run.info.run_id, model_uri(run))
        for number, run in _runs(store, study, parent.data.tags[names.UID]).items()
        if is_active(run)
    }
    trials |= _local_trials(study, parent, store, trials.keys())
    objectives = names.objectives_from(parent.data.tags)
    return _table(trials, objectives, names.searched_from(parent.data.tags))


def _local_leaderboard(study: str) -> pd.DataFrame:
    """Return the table of `leaderboard` from the local record, which does not name searched parameters."""
    directory = StudyDirectory(Path.cwd(), study)
    return _table(_recorded_trials(study, {}), directory.objectives(), ())


def _table(
    trials: Mapping[int, _Trial], objectives: Sequence[Objective], searched: Sequence[str]
) -> pd.DataFrame:
    import pandas as pd

    results = [objective.result for objective in objectives]
    metrics = {key for trial in trials.values() for key in trial.metrics}
    fold_columns = [key for key in (*(f"{result}_std" for result in results), "best_fold") if key in metrics]
    parameters = [key for trial in trials.values() for key in sorted(trial.parameters)]
    front_column = ["front"] if len(objectives) > 1 else []
    columns = [
        *("trial", "state", "reason", *front_column),
        *dict.fromkeys([*results, *fold_columns, "best_epoch", "parameters", "train_seconds"]),
        *(*dict.fromkeys(parameters), *_DATASET, "run_id", "model"),
    ]
    values: dict[str, dict[int, list[float]]] = {"complete": {}, "pruned": {}}
    for number, trial in trials.items():
        of_trial = [trial.metrics.get(key, math.nan) for key in results]
        if trial.state in values and not any(map(math.isnan, of_trial)):
            values[trial.state][number] = of_trial
    front = pareto_front(values["complete"], objectives)
    ranked = [number for state in values.values() for number in rank(state, objectives)]
    order = [*ranked, *sorted(trials.keys() - set(ranked))]
    rows = [{"trial": number, "front": number in front, **trials[number].row()} for number in order]
    table = pd.DataFrame(rows, columns=columns)
    integers = [name for name in columns if _has_only_integers(name, rows)]
    table = table.astype({name: "Int64" if table[name].hasnans else "int64" for name in integers})
    table.attrs["searched"] = tuple(searched)
    return table


def _has_only_integers(column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if each trial has an integer in a column, or no value; MLflow's metrics are floats."""
    values = [row[column] for row in rows if column in row]
    if column in COUNTS:
        return all(float(value).is_integer() for value in values)
    return bool(values) and all(type(value) is int for value in values)


@dataclass(frozen=True)
class _Trial:
    """A trial with the tags, metrics and parameters of its run in MLflow, or of the local record."""

    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    run_id: str
    model: str

    @property
    def state(self) -> str:
        return self.tags.get(names.STATE, "running")

    def row(self) -> dict[str, Any]:
        return {
            **self.metrics,
            **{key: names.from_text(text) for key, text in self.parameters.items()},
            **{column: self.tags.get(tag, "") for column, tag in _DATASET.items()},
            "state": self.state,
            "reason": self.tags.get(names.REASON, ""),
            "run_id": self.run_id,
            "model": self.model,
        }


def _local_trials(
    study: str, parent: Any, store: Store, mlflow_numbers: Collection[int]
) -> dict[int, _Trial]:
    """Return the finished trials of the local record that MLflow does not have, by number."""
    directory = StudyDirectory(Path.cwd(), study)
    uid = parent.data.tags[names.UID]
    known = {*mlflow_numbers, *directory.deleted_trials()}
    if directory.uid() != uid or known.issuperset(directory.numbers()):
        return {}
    in_mlflow = trial_states(store, study, uid)
    found = _recorded_trials(study, parent.data.tags).items()
    return {number: one for number, one in found if number not in in_mlflow and names.STATE in one.tags}


def _recorded_trials(study: str, tags: Mapping[str, str]) -> dict[int, _Trial]:
    """Return the trials of the local record by number; `tags` are those of the study's run."""
    trials = {}
    for run in load_runs(study):
        if run.number is not None:
            event = run.final_event
            own = {names.STATE: event.shown_state, names.REASON: event.reason} if event is not None else {}
            path = run.directory.model_path
            parameters = names.flat_parameters(run.config.as_json())
            model = str(path) if path.exists() else ""
            trial_tags = {**tags, **own, names.DIGEST: run.config.digest}
            trials[run.number] = _Trial(trial_tags, run.summary, parameters, run_id="", model=model)
    return trials


def find_study(study: str, store: Store) -> Any:
    """Return a study's run, even if it is deleted; if there are several, the newest."""
    experiment, is_study = store.check_not_deleted(study), f"tags.`{names.KIND}` = 'study'"
    runs = list(store.runs(experiment.experiment_id, is_study, deleted=True)) if experiment else []
    if not runs:
        others = [name for name in store.studies() if name != study]
        raise TrackingError(
            f"MLflow has no trials of a study named '{study}' in {store.address}. "
            f"{unrecorded_hint(study, others)}"
        )
    newest = max(runs, key=lambda run: run.info.start_time)
    same = [run for run in runs if run.data.tags.get(names.UID) == newest.data.tags.get(names.UID)]
    return fullest(list(filter(is_active, same)) or same)


def only_study() -> str | None:
    """Return the name of the study in the store; None if there are several, or none, or no answer."""
    try:
        store = connect(create=False)
        with store.requests():
            studies = store.studies()
    except TrackingError:
        return None
    return studies[0] if len(studies) == 1 else None


def study_page(study: str, store: Store | None = None) -> str:
    """Return the path of the page in MLflow's user interface that shows a study's trials and charts.

    The page opens the study's view, which is saved again with the trials that MLflow has now. If the store
    cannot be written, or the installed MLflow is too old for such views, the page shows MLflow's own charts.
    """
    store = store or connect(create=False)
    parent = find_study(study, store)
    page = f"/#/experiments/{parent.info.experiment_id}/runs"
    kind = {"workflowType": "machine_learning", "compareRunsMode": "CHART"}
    if Version(version("mlflow")) >= Version(FIRST_MLFLOW):
        with suppress(TrackingError), store.requests():
            save_view(store, parent)
            return f"{page}?{urlencode({**kind, 'viewStateShareKey': KEY})}"
    first = names.objectives_from(parent.data.tags)[0]
    query = {
        **kind,
        "searchFilter": f"tags.`{names.KIND}` = 'trial'",
        "orderByKey": f"metrics.`{first.result}`",
        "orderByAsc": str(first.direction == "minimize").lower(),
    }
    return f"{page}?{urlencode(query, quote_via=quote)}"


def best_model_address(store: Store, study: str) -> str:
    """Return the address of the best complete trial's model: a URI, or the path of a local file.

    If the model does not exist any more, raise TrackingError; another trial's model is never returned.
    """
    table = leaderboard(study, store)
    complete = table[table["state"] == "complete"]
    if complete.empty:
        if deleted := StudyDirectory(Path.cwd(), study).deleted_trials():
            raise TrackingError(no_complete_trial(study, deleted))
        raise TrackingError(
            f"no trial of the study '{study}' in {store.address} is complete; "
            f"`zoo compare {study}` shows the states of its trials."
        )
    best = complete.iloc[0]
    if not best["model"]:
        if best["run_id"] and names.MODEL in store.client.get_run(best["run_id"]).data.tags:
            raise TrackingError(names.removed_model(study, best["trial"]))
        raise TrackingError(
            f"MLflow at {store.address} does not have the model of trial {best['trial']}, the best of the "
            f"study '{study}'. `zoo tune {study}` adds it if the trial directory still has it; "
            f"`zoo train {study} --trial {best['trial']}` trains it again."
        )
    return str(best["model"])


def trial_states(store: Store, study: str, study_uid: str) -> dict[int, str]:
    """Return the state of each trial's run in MLflow: `complete`, `incomplete` or `deleted`.

    A run is incomplete while its trial trains, or if a later process can add missing parts.
    """
    with store.requests():
        return {number: _state(run) for number, run in _runs(store, study, study_uid).items()}


def trial_results(store: Store, study: str, study_uid: str) -> dict[int, dict[str, float]]:
    """Return the metrics of each trial's run in MLflow, including deleted runs, at the last step."""
    with store.requests():
        return {number: dict(run.data.metrics) for number, run in _runs(store, study, study_uid).items()}


def _state(run: Any) -> str:
    if not is_active(run):
        return "deleted"
    has_all = run.data.tags.get(names.PROBLEM) in (None, names.MODEL_MISSING)
    return "complete" if run.info.status != "RUNNING" and has_all else "incomplete"


def _runs(store: Store, study: str, study_uid: str) -> dict[int, Any]:
    """Return the run of each trial: the fullest one; a deleted one only if there is no other."""
    experiment_id = store.experiment_id(study)
    is_trial = f"tags.`{names.KIND}` = 'trial'"
    found = store.runs(experiment_id, is_trial, deleted=True) if experiment_id else []
    runs: dict[int, list[Any]] = {}
    for run in found:
        number = int(run.data.tags[names.TRIAL])
        if run.data.tags[names.UID] == trial_uid(study_uid, number):
            runs.setdefault(number, []).append(run)
    return {number: fullest(list(filter(is_active, same)) or same) for number, same in runs.items()}


def delete_trials(store: Store, study: str, study_uid: str, numbers: Collection[int]) -> None:
    """Delete the runs of trials in MLflow; trials that MLflow does not have are ignored.

    If the best trial is among them, the study's run loses the tag `zoo.best_trial`.
    """
    with store.requests():
        runs = _runs(store, study, study_uid)
        for number in runs.keys() & numbers:
            if is_active(runs[number]):
                store.client.delete_run(runs[number].info.run_id)
        parent = store.find_active_run(study, study_uid)
        if parent is not None and parent.data.tags.get(names.BEST_TRIAL) in map(str, numbers):
            store.client.delete_tag(parent.info.run_id, names.BEST_TRIAL)


def restore_trials(store: Store, study: str, study_uid: str, numbers: Collection[int]) -> None:
    """Restore the runs of trials that are deleted in MLflow; other trials are ignored."""
    with store.requests():
        runs = _runs(store, study, study_uid)
        for number in runs.keys() & numbers:
            if not is_active(runs[number]):
                run_id = runs[number].info.run_id
                store.client.restore_run(run_id)
                # A deleted run keeps the old name if its study was renamed.
                store.log(run_id, tags={names.STUDY: study})
