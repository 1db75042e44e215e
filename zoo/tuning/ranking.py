"""The complete trials of a study in order, kept up to date with each new one."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence

from zoo.study import Objective, dominates, pareto_front

Losses = tuple[float, ...]


class Ranking:
    """The order of `zoo.study.rank`. A new trial is not compared with every other trial.

    Args:
        values: one value for each objective, by trial number.
    """

    def __init__(self, values: Mapping[int, tuple[float, ...]], objectives: Sequence[Objective]) -> None:
        self.values = dict(values)
        self._objectives = objectives
        self._order = sorted((self._losses(row)[0], number) for number, row in values.items())
        self._front = [(self._losses(values[one]), one) for one in pareto_front(values, objectives)]

    def add(self, number: int, row: tuple[float, ...]) -> None:
        losses = self._losses(row)
        self.values[number] = row
        insort(self._order, (losses[0], number))
        if not any(dominates(other, losses) for other, _ in self._front):
            self._front = [one for one in self._front if not dominates(losses, one[0])]
            insort(self._front, (losses, number))

    def front(self) -> list[int]:
        """Return the Pareto front, best first by the first objective."""
        return [number for _, number in self._front]

    def after(self, count: int) -> list[int]:
        """Return the trials after the best `count` ones, best first, without trials on the Pareto front."""
        front = set(self.front())
        others = [number for _, number in self._order if number not in front]
        return others[max(0, count - len(front)) :]

    def _losses(self, row: Sequence[float]) -> Losses:
        return tuple(one.loss(value) for one, value in zip(self._objectives, row, strict=True))
