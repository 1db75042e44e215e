"""Reading the metrics of a study file: its objectives, and `[validation] metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.errors import PluginError, did_you_mean
from zoo.registry import Component, Registry
from zoo.space import show
from zoo.study._document import Document
from zoo.study._objectives import Objective
from zoo.trial import EPOCH_METRICS, MODEL_METRICS, registered_metrics

_DEFAULT = "val_accuracy"


class MetricReader:
    """Reader of the keys that name metrics: those of zoo, and `val_NAME` of a registered metric NAME."""

    def __init__(self, document: Document, registry: Registry) -> None:
        self._document = document
        self._registry = registry
        self._registered = {
            f"val_{one.name}": one.direction for one in registry.components() if one.kind == "metric"
        }
        self._directions = {**EPOCH_METRICS, **self._registered, **MODEL_METRICS}

    def objectives(self) -> tuple[Objective, ...]:
        """Return the objectives of the study; the default one where a problem was reported."""
        document = self._document
        value = document.tables.get("objective", _DEFAULT)
        table = value if isinstance(value, dict) else {"metric": value}
        metric, direction = table.get("metric", _DEFAULT), table.get("direction")
        metrics = metric if isinstance(metric, list) else [metric]
        directions: Any = direction if isinstance(metric, list) else [direction]
        num_before = len(document.problems)
        for key in table:
            if key not in ("metric", "direction"):
                hint = did_you_mean(key, ("metric", "direction"))
                document.report(("objective", key), f"no such key. {hint}")
        if problem := self._objectives_problem(metrics):
            document.report(("objective", "metric") if isinstance(value, dict) else ("objective",), problem)
        if direction is None:
            directions = [None] * len(metrics)
        else:
            for problem in _direction_problems(directions, len(metrics)):
                document.report(("objective", "direction"), problem)
        if len(document.problems) > num_before:
            return (Objective(_DEFAULT, EPOCH_METRICS[_DEFAULT]),)
        pairs = zip(metrics, directions, strict=True)
        return tuple(Objective(metric, direction or self._directions[metric]) for metric, direction in pairs)

    def listed(self) -> list[str]:
        """Return the registered metrics in `[validation] metrics`; [] where a problem was reported."""
        metrics = self._document.table("validation").get("metrics", [])
        problem = ""
        if not isinstance(metrics, list):
            problem = f'expected a list of metrics, such as ["val_auc"], got {show(metrics)}'
        elif unlisted := [one for one in metrics if isinstance(one, str) and one in EPOCH_METRICS]:
            problem = f"'{unlisted[0]}' is measured in every study; remove it"
        else:
            problem = self._names_problem(metrics, list(self._registered))
        if problem:
            self._document.report(("validation", "metrics"), problem)
        return [] if problem else metrics

    def components(self, metrics: Sequence[str]) -> dict[str, Component]:
        """Return the component of each registered metric among `metrics`."""
        return {
            metric: self._registry.get("metric", name) for metric, name in registered_metrics(metrics).items()
        }

    def _objectives_problem(self, metrics: list[Any]) -> str:
        """Return the first problem with the metrics of the objectives; "" if there is none."""
        if not metrics:
            return f"expected at least one metric. Available: {', '.join(self._directions)}."
        if problem := self._names_problem(metrics, list(self._directions)):
            return problem
        if all(metric in MODEL_METRICS for metric in metrics):
            return (
                f"expected an objective that measures how well a network learned, got {show(metrics)}; "
                f"add one of {', '.join(EPOCH_METRICS)}"
            )
        return ""

    def _names_problem(self, metrics: list[Any], available: list[str]) -> str:
        """Return the first problem with the names of metrics; "" if there is none."""
        for position, metric in enumerate(metrics):
            name = metric if isinstance(metric, str) else ""
            if name not in available:
                try:
                    if name.startswith("val_") and name.removeprefix("val_") in self._registry.names(
                        "metric"
                    ):
                        self._registry.get("metric", name.removeprefix("val_"))  # it is registered twice
                except PluginError as error:
                    return str(error)
                hint = f"{did_you_mean(name, available)}{self._registry.left_out_note()}"
                return f"expected a metric, or a list of them, got {show(metric)}. {hint}"
            if metric in metrics[:position]:
                return f"'{metric}' occurs twice; list each objective once"
        return ""


def _direction_problems(directions: Any, num_metrics: int) -> list[str]:
    if not isinstance(directions, list) or len(directions) != num_metrics:
        return [f"expected a list of {num_metrics} directions, one for each metric, got {show(directions)}"]
    return [
        f'expected "maximize" or "minimize", got {show(direction)}'
        for direction in directions
        if direction not in ("maximize", "minimize")
    ]
