"""Points of a search space to try a function at."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from zoo.space import Space


class RandomSuggester:
    """Answers like an Optuna trial, from Python's own random numbers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if log:
            return min(max(round(self.suggest_float(name, low, high, log=True)), low), high)
        return self._random.randrange(low, high + 1, step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if log:
            value = math.exp(self._random.uniform(math.log(low), math.log(high)))
        elif step is not None:
            value = low + step * self._random.randint(0, math.floor((high - low) / step + 1e-8))
        else:
            value = self._random.uniform(low, high)
        return min(max(value, low), high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._random.choice(choices)


def sampled_points(space: Space, samples: int, seed: int) -> Iterator[dict[str, Any]]:
    """`samples` random points; the same for the same seed."""
    suggester = RandomSuggester(seed)
    for _ in range(samples):
        yield space.sample(suggester)
