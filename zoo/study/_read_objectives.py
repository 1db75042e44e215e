"""Reading the `objective` of a study file."""

from __future__ import annotations

from typing import Any

from zoo.errors import did_you_mean
from zoo.space import show
from zoo.study._document import Document
from zoo.study._objectives import Objective
from zoo.trial import EPOCH_METRICS, MODEL_METRICS

_DIRECTIONS = {**EPOCH_METRICS, **MODEL_METRICS}


def read_objectives(document: Document) -> tuple[Objective, ...]:
    """Return the objectives of a study; the default one where a problem was reported."""
    value = document.tables.get("objective", "val_accuracy")
    table = value if isinstance(value, dict) else {"metric": value}
    metric, direction = table.get("metric", "val_accuracy"), table.get("direction")
    metrics = metric if isinstance(metric, list) else [metric]
    directions: Any = direction if isinstance(metric, list) else [direction]
    num_before = len(document.problems)
    for key in table:
        if key not in ("metric", "direction"):
            hint = did_you_mean(key, ("metric", "direction"))
            document.report(("objective", key), f"no such key. {hint}")
    if problem := _metrics_problem(metrics):
        document.report(("objective", "metric") if isinstance(value, dict) else ("objective",), problem)
    if direction is None:
        directions = [None] * len(metrics)
    else:
        for problem in _direction_problems(directions, len(metrics)):
            document.report(("objective", "direction"), problem)
    if len(document.problems) > num_before:
        return (Objective("val_accuracy", "maximize"),)
    pairs = zip(metrics, directions, strict=True)
    return tuple(Objective(metric, direction or _DIRECTIONS[metric]) for metric, direction in pairs)


def _metrics_problem(metrics: list[Any]) -> str:
    """Return the first problem with the metrics; "" if there is none."""
    if not metrics:
        return f"expected at least one metric. Available: {', '.join(_DIRECTIONS)}."
    for position, metric in enumerate(metrics):
        if not isinstance(metric, str) or metric not in _DIRECTIONS:
            hint = did_you_mean(metric if isinstance(metric, str) else "", _DIRECTIONS)
            return f"expected a metric, or a list of them, got {show(metric)}. {hint}"
        if metric in metrics[:position]:
            return f"'{metric}' occurs twice; list each objective once"
    if not any(metric in EPOCH_METRICS for metric in metrics):
        return (
            f"no objective measures how well a network learned, got {show(metrics)}; "
            f"add one of {', '.join(EPOCH_METRICS)}"
        )
    return ""


def _direction_problems(directions: Any, num_metrics: int) -> list[str]:
    if not isinstance(directions, list) or len(directions) != num_metrics:
        return [f"expected a list of {num_metrics} directions, one for each metric, got {show(directions)}"]
    return [
        f'expected "maximize" or "minimize", got {show(direction)}'
        for direction in directions
        if direction not in ("maximize", "minimize")
    ]
