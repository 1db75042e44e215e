"""Calling registered metrics on predictions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import PluginError, ZooError
from zoo.metrics import randomization_p_value
from zoo.registry import Component, Registry
from zoo.training.components import plugin_errors


def measure_epoch(
    components: Mapping[str, Component],
    epoch: int,
    labels: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
) -> dict[str, float]:
    """Return the value of each metric; raise PluginFault if one fails, or is not a finite number.

    Args:
        components: the metrics by the name of their result, such as `val_auc`.
        epoch: the epoch, for the message.
        labels, probabilities: `(n,)` and `(n, num_classes)`.
    """
    return {
        name: measure(component, labels, probabilities, f"in epoch {epoch}")
        for name, component in components.items()
    }


def measure(
    component: Component, labels: npt.NDArray[Any], probabilities: npt.NDArray[Any], context: str
) -> float:
    """Return the value of one metric; raise PluginFault with `context` unless it is a finite number."""
    labels, probabilities = _read_only(labels.astype(np.int64)), _read_only(probabilities)
    with plugin_errors(component), warnings.catch_warnings(action="ignore"):
        value = component.function(labels, probabilities)
        try:
            if isinstance(value, str | bytes):  # float() would accept a number as text
                raise TypeError
            number = float(value)
        except (TypeError, ValueError):
            raise PluginError(f"expected a number, got {type(value).__name__} {context}") from None
        if not math.isfinite(number):
            raise PluginError(f"expected a finite number, got {number} {context}")
        return number


def measure_predictions(
    names: Sequence[str], labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]
) -> tuple[dict[str, float], list[str]]:
    """Return the registered metrics `names` of predictions, and a line for each that has no value.

    The installed plugins are used, because the versions that a trial used may be gone.

    Args:
        labels, probabilities: `(n,)` and `(n, num_classes)`.
    """
    values, problems = {}, []
    registry = Registry.load()
    for name in names:
        try:
            values[name] = measure(registry.get("metric", name), labels, probabilities, "for these images")
        except ZooError as error:
            problems.append(str(error))
    return values, problems


def compare_by_metric(
    name: str, labels: npt.NDArray[Any], one: npt.NDArray[Any], other: npt.NDArray[Any]
) -> tuple[float, float, float]:
    """Return a registered metric of two models on the same images, and the p value of their difference.

    Args:
        labels, one, other: labels `(n,)`, and the probabilities of both models, `(n, num_classes)`.
    """
    component = Registry.load().get("metric", name)

    def value(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> float:
        return measure(component, labels, probabilities, "on the test split")

    return value(labels, one), value(labels, other), randomization_p_value(value, labels, one, other)


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view that a metric cannot change, because other metrics use the same array."""
    view = array.view()
    view.flags.writeable = False
    return view
