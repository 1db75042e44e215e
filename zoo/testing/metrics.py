"""Metrics under test, and their checks in the order in which they run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import ZooError
from zoo.registry import DIRECTIONS
from zoo.testing.kit import Subject, Suite, Violation, check_all, read_options

SUITE = Suite("metric")

_NUM_IMAGES = 400

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class MetricOptions:
    """Options of `check_metric`; docs/testing.md explains them."""

    direction: str = "maximize"
    num_classes: int = 10


class MetricSubject(Subject):
    """A metric under test. Its images have random labels and random probabilities, the same in each check."""

    suite = SUITE
    options_class = MetricOptions

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        super().__init__(function, options)
        self.options = read_options("metric", MetricOptions, options)

    def validate_options(self) -> None:
        if self.options.direction not in DIRECTIONS:
            expected = " or ".join(map(repr, DIRECTIONS))
            raise ZooError(f"{self.name}: direction: expected {expected}, got {self.options.direction!r}.")
        if self.options.num_classes < 2:
            raise ZooError(f"{self.name}: num_classes: expected >= 2, got {self.options.num_classes}.")

    @cached_property
    def labels(self) -> Array:
        """Integer labels `(n,)`, with each class."""
        return np.random.default_rng(0).permutation(np.arange(_NUM_IMAGES) % self.options.num_classes)

    @cached_property
    def probabilities(self) -> Array:
        """Random class probabilities `(n, num_classes)`, float32."""
        shape = (_NUM_IMAGES, self.options.num_classes)
        values = np.random.default_rng(1).random(shape).astype(np.float32) + np.float32(0.01)
        rows: Array = values / values.sum(axis=1, keepdims=True)
        return rows

    def value(self, probabilities: Array) -> float:
        """Return the metric as a number; raise Violation if it is not a finite one."""
        result = self.function(self.labels.copy(), probabilities.copy())
        if np.ndim(result) or not isinstance(result, int | float | np.number):
            shape = f" of shape {np.shape(result)}" if np.ndim(result) else ""
            raise self.violation(f"expected a number, got {type(result).__name__}{shape}")
        if not math.isfinite(result):
            raise self.violation(f"expected a finite number, got {result}; a trial with such a value fails")
        return float(result)

    def violation(self, text: str) -> Violation:
        size = f"labels ({_NUM_IMAGES},), probabilities ({_NUM_IMAGES}, {self.options.num_classes})"
        return Violation(text, f"{self.name}(y_true, probabilities) with {size}")


def check_metric(
    function: Callable[..., Any], /, *, checks: Sequence[str] | None = None, **options: Any
) -> None:
    """Run every check of a metric, or those named in `checks`; docs/testing.md lists them.

    Args:
        options: `direction`, as it is registered, and `num_classes` of the random predictions.

    Raises:
        CheckFailed: a check failed. The message states for each failed check what was expected, what was
            found, and a command that reproduces the failure.
    """
    __tracebackhide__ = True
    check_all(MetricSubject(function, options), checks)


@SUITE.check("signature")
def value(subject: MetricSubject) -> str:
    """Check that random predictions have a finite number as their value."""
    return f"{subject.value(subject.probabilities):.4g} for random predictions"


@SUITE.check("value")
def inputs(subject: MetricSubject) -> None:
    """Check that the metric does not change its arguments, which all metrics of a trial share."""
    labels, probabilities = subject.labels.copy(), subject.probabilities.copy()
    subject.function(labels, probabilities)
    for name, before, after in (
        ("y_true", subject.labels, labels),
        ("probabilities", subject.probabilities, probabilities),
    ):
        if not np.array_equal(before, after):
            raise subject.violation(f"expected an unchanged {name}, but the metric changes it; copy it first")


@SUITE.check("value")
def repeatable(subject: MetricSubject) -> None:
    """Check that the same predictions have the same value."""
    first, second = subject.value(subject.probabilities), subject.value(subject.probabilities)
    if first != second:
        raise subject.violation(f"expected the same value for the same predictions, got {first} and {second}")


@SUITE.check("value")
def better(subject: MetricSubject) -> str:
    """Check that perfect predictions are not worse than random ones, in the metric's direction."""
    perfect = subject.value(np.eye(subject.options.num_classes, dtype=np.float32)[subject.labels])
    guessed = subject.value(subject.probabilities)
    text, other = ("higher", "minimize") if subject.options.direction == "maximize" else ("lower", "maximize")
    if (perfect < guessed) if text == "higher" else (perfect > guessed):
        raise subject.violation(
            f"{text} is better, but perfect predictions have {perfect:.4g} and random ones {guessed:.4g}; "
            f'correct the metric, or register it with direction="{other}"'
        )
    return f"{perfect:.4g} for perfect predictions"
