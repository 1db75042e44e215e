"""What a study searches for: one objective or several, and which trials no other beats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoo.trial import EPOCH_METRICS, MODEL_METRICS


@dataclass(frozen=True)
class Objective:
    """A figure of a trial and which way it is better: `maximize` or `minimize`."""

    metric: str
    direction: str

    @property
    def is_per_epoch(self) -> bool:
        """Whether every epoch reports it; what is of a whole network is measured once."""
        return self.metric in EPOCH_METRICS

    @property
    def result(self) -> str:
        """Its name among the results of a trial: `best_val_accuracy`, `parameters`."""
        return self.metric if self.metric in MODEL_METRICS else f"best_{self.metric}"

    def best(self, values: Iterable[float]) -> float:
        """The best of `values`, of which there is at least one."""
        return max(values) if self.direction == "maximize" else min(values)

    def loss(self, value: float) -> float:
        """`value` turned so that lower is better."""
        return -value if self.direction == "maximize" else value


def objectives_text(objectives: Sequence[Objective]) -> str:
    """`maximize val_accuracy, minimize parameters`."""
    return ", ".join(f"{objective.direction} {objective.metric}" for objective in objectives)


def pareto_front(values: Mapping[int, Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """The trials that no other beats: another one as good in every objective, and better in one.

    Args:
        values: of every trial by its number, one value for each objective.

    Returns:
        Their numbers, the best in the first objective first, then in the second, and so on; of
        trials that are equal in all of them the earlier first.
    """
    losses = {
        number: tuple(objective.loss(value) for objective, value in zip(objectives, reached, strict=True))
        for number, reached in values.items()
    }
    front: list[int] = []
    # Who beats a trial comes before it in this order, or is itself beaten by one that does.
    for number in sorted(losses, key=lambda one: (losses[one], one)):
        if not any(_beats(losses[other], losses[number]) for other in front):
            front.append(number)
    return front


def rank(values: Mapping[int, Sequence[float]], objectives: Sequence[Objective]) -> list[int]:
    """Return the trials best first: the Pareto front, then the others by the first objective.

    With one objective, the front is the best trial; of equal trials the earlier comes first.

    Args:
        values: trial number to one value for each objective.
    """
    front = pareto_front(values, objectives)
    others = sorted(values.keys() - set(front), key=lambda one: (objectives[0].loss(values[one][0]), one))
    return [*front, *others]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
