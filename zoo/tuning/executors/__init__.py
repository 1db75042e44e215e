"""Executors, which run trials. `local.py`: worker processes of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from zoo.events import Answer, Event
from zoo.trial import TrialConfig


class Executor(Protocol):
    """The place where trials run, several at once; it passes their events to the supervisor."""

    @property
    def running(self) -> list[int]: ...  # numbers of the running trials
    @property
    def free_slots(self) -> int: ...  # number of trials that can be started now
    def start(self, number: int, config: TrialConfig, cache_dir: Path, folder: Path) -> None: ...
    def wait(self, timeout: float) -> list[int]: ...  # trials with an event, after at most `timeout` seconds
    def read(self, number: int) -> Event | None: ...  # its next event, if any; the last one is `Finished`
    def answer(self, number: int, answer: Answer) -> None: ...  # to `EpochEnd`
    def stop_all(self) -> list[int]: ...  # ends the running trials and returns their numbers
