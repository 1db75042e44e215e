"""The objectives of a study, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from zoo.trial import METRIC_BOUNDS, MODEL_METRICS


@dataclass(frozen=True)
class Objective:
    """A metric with its direction, `maximize` or `minimize`."""

    metric: str
    direction: str

    @property
    def is_per_epoch(self) -> bool:
        """True if every epoch reports the metric; False if it is measured once per model."""
        return self.metric not in MODEL_METRICS

    @property
    def result(self) -> str:
        """The name of the metric among a trial's results: `best_val_accuracy`, `parameters`."""
        return self.metric if self.metric in MODEL_METRICS else f"best_{self.metric}"

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest possible value; infinite where that is not known."""
        return METRIC_BOUNDS.get(self.metric, (-math.inf, math.inf))

    def reaches(self, value: float, target: float) -> bool:
        """Return True if `value` is as good as `target`, or better."""
        return self.loss(value) <= self.loss(target)

    def best(self, values: Iterable[float]) -> float:
        """Return the best of `values`, which must not be empty."""
        return max(values) if self.direction == "maximize" else min(values)

    def best_so_far(self, values: Iterable[float]) -> list[float]:
        """Return the best of the values up to each of them."""
        return list(accumulate(values, lambda best, value: self.best((best, value))))

    def loss(self, value: float) -> float:
        """Return `value`, negated if needed so that lower is better."""
        return -value if self.direction == "maximize" else value


def objectives_text(objectives: Sequence[Objective]) -> str:
    """Return the objectives as text: `maximize val_accuracy, minimize parameters`."""
    return ", ".join(f"{objective.direction} {objective.metric}" for objective in objectives)


def pareto_front(values: Mapping[int, Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Return the numbers of the trials that no other trial dominates, best first by the first objective.

    One trial dominates another if it is as good in every objective and better in one. Trials that are
    equal in the first objective are sorted by the second, and so on, and finally by number.

    Args:
        values: one value for each objective, by trial number.
    """
    losses = {
        number: tuple(objective.loss(value) for objective, value in zip(objectives, row, strict=True))
        for number, row in values.items()
    }
    front: list[int] = []
    # If a trial is dominated, an earlier trial of the front dominates it.
    for number in sorted(losses, key=lambda one: (losses[one], one)):
        if not any(dominates(losses[other], losses[number]) for other in front):
            front.append(number)
    return front


def rank(values: Mapping[int, Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Return the trials best first: the Pareto front, then the others by the first objective.

    With one objective, the front is the best trial. Of equal trials, the one with the lower number is first.
    """
    front = pareto_front(values, objectives)
    others = sorted(values.keys() - set(front), key=lambda one: (objectives[0].loss(values[one][0]), one))
    return [*front, *others]


def dominates(losses: Sequence[float], others: Sequence[float]) -> bool:
    """Return True if `losses` are as low as `others` in every objective, and lower in one."""
    return losses != others and all(loss <= other for loss, other in zip(losses, others, strict=True))
