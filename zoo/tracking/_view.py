"""The prepared view of a study in MLflow's user interface: columns, order and charts of its trials.

MLflow keeps a view as JSON in a tag of the experiment, `mlflow.sharedViewState.KEY`. The page with
`viewStateShareKey=KEY` in its address opens the view, and the menu *Views* lists it. Names and values in the
JSON are those of MLflow's pages; tests/tracking/test_tracking_view.py opens the view in a browser.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.study import Objective
from zoo.tracking import _names as names
from zoo.tracking._store import Store
from zoo.trial import EPOCH_METRICS

KEY = "zoo"
FIRST_MLFLOW = "3.17"  # the version with which this view was made; older versions store views in another form
_TAG = f"mlflow.sharedViewState.{KEY}"
_AXES = {"xAxisKey": "step", "lineSmoothness": 0, "scaleType": "linear", "xAxisScaleType": "linear"}
_MAX_AXES = 12  # in one chart; with more axes, the names overlap
_MAX_GROUPS = 4  # charts of parameters that only some trials have

Trials = Sequence[Mapping[str, str]]  # the parameters of each trial


def save_view(store: Store, parent: Any) -> None:
    """Write the view of a study, from its run `parent` and the trials that MLflow has now."""
    condition = f"tags.`{names.PARENT}` = '{parent.info.run_id}'"
    runs = list(store.runs(parent.info.experiment_id, condition))
    state = view_state(
        names.objectives_from(parent.data.tags),
        names.searched_from(parent.data.tags),
        [run.data.params for run in runs],
        sorted({metric for run in runs for metric in run.data.metrics}),
    )
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = names.milliseconds(time.time())
    view = {"name": "zoo", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    store.client.set_experiment_tag(parent.info.experiment_id, _TAG, json.dumps(view))


def view_state(
    objectives: Sequence[Objective], searched: Sequence[str], trials: Trials, metrics: Sequence[str]
) -> dict[str, Any]:
    """Return the view in the form of MLflow's page.

    Args:
        searched: names of the searched parameters, most important first.
        metrics: names of the metrics of all trials.
    """
    shown = [name for name in searched if any(name in trial for trial in trials)]
    front = [names.FRONT] if len(objectives) > 1 else []
    columns = [
        *(f"tags.`{tag}`" for tag in (names.BEST, *front, names.STATE)),
        *(f"metrics.`{objective.result}`" for objective in objectives),
        "duration",  # MLflow always shows this column; the list sets its position
        *(f"params.`{name}`" for name in shown),
        "attributes.`Models`",
    ]
    sections = {"objective": ("Objective", 1), "curves": ("Curves", 3), "results": ("Results", 3)}
    return {
        "searchFilter": f"tags.`{names.KIND}` = 'trial'",
        "orderByKey": f"metrics.`{objectives[0].result}`",
        "orderByAsc": objectives[0].direction == "minimize",
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": _charts(objectives, shown, trials, metrics),
        "compareRunSections": [
            {"uuid": uid, "name": title, "display": True, "isReordered": True, "columns": columns}
            for uid, (title, columns) in sections.items()
        ],
        "isAccordionReordered": True,  # otherwise MLflow sorts the sections by name
        "hideEmptyCharts": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _charts(
    objectives: Sequence[Objective], shown: Sequence[str], trials: Trials, metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the objectives' curves, parallel coordinates, the other curves, and the values of whole trials.

    The curves of single folds are left out: MLflow adds a section for each fold.
    """
    first = [objective.metric for objective in objectives if objective.is_per_epoch]
    registered = [name for name in metrics if name.startswith("val_") and name not in EPOCH_METRICS]
    measured = (*EPOCH_METRICS, *registered, "learning_rate", "epoch_seconds")
    curves = [name for name in measured if name in metrics and name not in first]
    results = [name for name in metrics if name not in (*first, *curves) and "/" not in name]
    return [
        *(_curve("objective", name) for name in first),
        *_parallel_coordinates(objectives, shown, trials),
        *(_curve("curves", name) for name in curves),
        *(_chart("BAR", "results", name, metricKey=name) for name in results),
    ]


def _curve(section: str, metric: str) -> dict[str, Any]:
    return _chart("LINE", section, metric, metricKey=metric, selectedMetricKeys=[metric], **_AXES)


def _parallel_coordinates(
    objectives: Sequence[Objective], shown: Sequence[str], trials: Trials
) -> list[dict[str, Any]]:
    """Return a chart of the parameters that all trials have, then one for each set of other parameters.

    MLflow leaves a trial out of a chart if one of the chart's parameters is not active in the trial.
    """
    groups: dict[tuple[bool, ...], list[str]] = {(True,) * len(trials): []}  # by the trials that have them
    for name in shown:
        for axis in _axes(name, trials):
            groups.setdefault(tuple(axis in trial for trial in trials), []).append(axis)
    # The last axis colors the lines.
    results = [objective.result for objective in (*objectives[1:], objectives[0])]
    return [
        _chart(
            "PARALLEL",
            "objective",
            f"parallel-{number}",
            selectedParams=axes[:_MAX_AXES],
            selectedMetrics=results,
            showAllRuns=True,
        )
        for number, axes in enumerate(list(groups.values())[: _MAX_GROUPS + 1])
        if axes
    ]


def _axes(name: str, trials: Trials) -> list[str]:
    """Return a parameter, or the length and the items of a list, without those that have only one value."""
    items = {key for trial in trials for key in trial if names.is_item(key, name)}
    values = {key: {trial[key] for trial in trials if key in trial} for key in items}
    ordered = sorted(items, key=lambda key: int(key.rpartition(".")[2].replace("length", "0")))
    return [key for key in ordered if len(values[key]) > 1] if items else [name]


def _chart(kind: str, section: str, uid: str, **settings: Any) -> dict[str, Any]:
    chart = {"type": kind, "uuid": f"{section}-{uid}", "metricSectionId": section, "runsCountToCompare": 100}
    return {**chart, "deleted": False, "isGenerated": False, **settings}
