"""Stand-ins that several tests of tuning share."""

from __future__ import annotations

from zoo.tuning.display import NoDisplay


class Display(NoDisplay):
    """Keeps what it is asked to show."""

    def __init__(self):
        self.phases, self.problems = [], []

    def phase(self, text):
        self.phases.append(text)

    def problem(self, text):
        self.problems.append(text)
