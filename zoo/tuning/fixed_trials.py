"""Trials with given configurations, for `zoo train`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from zoo.events import EpochEnd, Finished
from zoo.study import Objective, rank
from zoo.tuning.supervisor import PendingTrial


class FixedTrials:
    """Runs each of `trials` once. A `TrialSource` that neither prunes nor retries."""

    def __init__(self, trials: Sequence[PendingTrial]) -> None:
        self._total = len(trials)
        self._pending = deque(trials)
        config = trials[0].config
        self.objectives = [Objective(config.objective, config.direction)]
        self.events: dict[int, Finished] = {}  # the final event of each trial

    def total(self) -> int:
        return self._total

    def done(self) -> int:
        return len(self.events)

    def ask(self) -> PendingTrial:
        return self._pending.popleft()

    def report(self, number: int, event: EpochEnd) -> bool:
        return True

    def tell(self, number: int, event: Finished) -> None:
        self.events[number] = event

    def retry_later(self, numbers: Sequence[int]) -> None:
        """Do nothing: a standalone run is started again by its user."""

    def best(self) -> tuple[int, float] | None:
        objective = self.objectives[0]
        values = {
            number: (event.summary[objective.result],)
            for number, event in self.events.items()
            if event.state == "complete"
        }
        return next(((number, values[number][0]) for number in rank(values, self.objectives)), None)
