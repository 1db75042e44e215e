"""The numbers of events as MLflow's metrics. The time of an event is the time of its points.

MLflow ignores a point that it has already, so sending an event again has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

from zoo.events import Scored
from zoo.tracking import _names as names
from zoo.tracking._models import model_ids

if TYPE_CHECKING:
    from mlflow.entities import Metric

FoldEpoch = tuple[int, int]  # fold (1 without cross-validation) and epoch, both from 1


def points(
    values: Mapping[str, Any], time: float, *, step: int = 0, model_id: str | None = None
) -> list[Metric]:
    """Return one point for each number among `values`.

    Args:
        time: in seconds since 1970.
        step: the epoch; 0 for a value of the whole run, which MLflow draws as a bar.
    """
    from mlflow.entities import Metric

    return [
        Metric(key, float(value), names.milliseconds(time), step, model_id=model_id)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def score_points(run: Any, event: Scored) -> list[Metric]:
    """Return the test metrics at the epoch of the run's model, linked with that model."""
    step = int(run.data.metrics.get("best_epoch", 0))
    return points(event.metrics, event.time, step=step, model_id=next(iter(model_ids(run)), None))


def mean_of_folds(epochs: Mapping[FoldEpoch, list[Metric]], folds: int, epoch: int) -> list[Metric]:
    """Return the means of an epoch's metrics over the folds; [] until every fold has reported the epoch.

    A metric that one fold lacks has no mean. The time is that of the last report.

    Args:
        epochs: the points of each fold and epoch, named as in `fold_metric`.
    """
    from mlflow.entities import Metric

    reports = [epochs[fold, epoch] for fold in range(1, folds + 1) if (fold, epoch) in epochs]
    if folds == 1 or len(reports) < folds:
        return []
    values: dict[str, list[float]] = {}
    for report in reports:
        for point in report:
            values.setdefault(point.key.partition("/")[2], []).append(point.value)
    time = max(point.timestamp for report in reports for point in report)
    return [Metric(name, fmean(each), time, epoch) for name, each in values.items() if len(each) == folds]
