"""Where trials run. `local.py`: worker processes of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from zoo.events import Event
from zoo.trial import TrialConfig


class Executor(Protocol):
    """Runs several trials at once and passes their events on."""

    @property
    def running(self) -> list[int]:
        """The numbers of the running trials."""

    @property
    def free_slots(self) -> int:
        """How many more trials can be started now."""

    def start(self, number: int, config: TrialConfig, cache_dir: Path, folder: Path) -> None:
        """Start a trial; its files go to `folder`."""

    def wait(self, timeout: float) -> list[int]:
        """Return the trials that have an event, after at most `timeout` seconds."""

    def read(self, number: int) -> Event:
        """Return the next event of a trial that `wait` returned.

        The last event of every trial is `Finished`, also of one whose process died.
        """

    def answer(self, number: int, should_continue: bool) -> None:
        """Answer the `EpochEnd` of a trial."""

    def stop_all(self) -> list[int]:
        """Kill every running trial and return their numbers."""
