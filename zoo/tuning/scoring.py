"""Scores of a model's predictions by the registered metrics of its study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from zoo.training.measuring import measure_predictions
from zoo.training.worker import call_in_worker
from zoo.trial import TrialConfig, test_metric
from zoo.tuning.display import Display


def score_registered(
    config: TrialConfig,
    labels: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    log_path: Path,
    display: Display,
) -> dict[str, float]:
    """Return `test_NAME` of each registered metric that a trial measured; {} if it measured none.

    A metric without a value is reported and left out: the other scores are valid.

    Args:
        labels, probabilities: of the test split, `(n,)` and `(n, num_classes)`.
        log_path: for the output of the worker process in which the metrics run.
    """
    if not config.metrics:
        return {}
    names = list(config.metrics.values())
    values, problems = call_in_worker(measure_predictions, names, labels, probabilities, log_path=log_path)
    for problem in problems:
        display.problem(f"a score is missing: {problem}")
    return {test_metric(name): value for name, value in values.items()}
