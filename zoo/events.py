"""The events of a trial, and the event log that keeps them.

The worker process of a trial sends events to the supervisor. The supervisor appends each event except
`Progress` to the trial's event log before Optuna, MLflow or the display see it, so that all three can
be rebuilt from the log. One event is one line of JSON:

    {"version": 3, "event": "started", "time": 1764460800.1, "device": "cpu", "backend": "tensorflow", …}
    {"version": 3, "event": "epoch_end", "time": …, "epoch": 1, "metrics": {"val_accuracy": 0.97, …}}
    {"version": 3, "event": "finished", "time": …, "state": "complete", "summary": {"best_epoch": 9, …}}
    {"version": 3, "event": "scored", "time": …, "metrics": {"test_accuracy": 0.99, …}}

Each line ends with its checksum (see `zoo.checksums`), except in logs of format versions 1 and 2. `time` is
in seconds since 1970; `epoch` and `fold` count from 1. `fold` is None without cross-validation.
Fields that are None, False or "" are not written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import ClassVar

from zoo.checksums import checked_json, has_checksum, parse_json

FORMAT_VERSION = 3
_UNCHECKED_VERSIONS = (1, 2)  # lines of these versions have no checksum


@dataclass(frozen=True)
class Started:
    """The worker process has built the network and begins to train.

    Args:
        device: the device, such as `cpu` or `gpu: NVIDIA H200`.
        backend: the Keras backend.
        num_parameters: weights of the network, trainable or not.
        continues: the interrupted trial that this one continues, `trial 3 after epoch 7`; "" for a new trial.
            The earlier epochs follow, with `is_repeated`.
        problem: the reason why a newer checkpoint was not used.
    """

    name: ClassVar[str] = "started"
    time: float
    device: str = ""
    backend: str = ""
    num_parameters: int | None = None
    continues: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Progress:
    """A fraction of an epoch, from 0 to 1, is done; or a `problem`. Only for the display; never logged."""

    name: ClassVar[str] = "progress"
    epoch: int
    fraction: float
    fold: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class EpochEnd:
    """An epoch is done. The supervisor gives an `Answer` to it.

    Args:
        epoch: counts from 1 in each fold.
        metrics: metrics of the epoch, such as `loss`, `val_accuracy`, `learning_rate`, `epoch_seconds`.
        is_last: the trial ends after this epoch; the answer does not matter.
        is_repeated: the epoch was trained in the interrupted trial that this one continues.
    """

    name: ClassVar[str] = "epoch_end"
    time: float
    epoch: int
    metrics: Mapping[str, float]
    fold: int | None = None
    is_last: bool = False
    is_repeated: bool = False


@dataclass(frozen=True)
class Finished:
    """The trial has its final state.

    Args:
        state: `complete`, `pruned` or `failed`.
        reason: the reason why the trial was pruned or failed; "" for a complete trial.
        summary: results of the trial, such as `best_val_accuracy`, `best_epoch`, `parameters`.
        is_interrupted: the trial failed because it or the study was stopped from outside; it is retried.
        is_killed: the process was killed from outside; by zoo only if it was stalled.
        is_plugin_error: the trial failed because of an exception in a plugin's code.
        stopped: the reason why a complete trial has fewer epochs than configured: `max_seconds`, or the
            `timeout` or `target` of the search; "" if it trained to its end.
    """

    name: ClassVar[str] = "finished"
    time: float
    state: str
    reason: str = ""
    summary: Mapping[str, float] = field(default_factory=dict)
    is_interrupted: bool = False
    is_plugin_error: bool = False
    is_killed: bool = False
    stopped: str = ""

    @property
    def shown_state(self) -> str:
        """The state that users see: also `interrupted`, and `rejected` for a trial that was not trained."""
        if self.is_interrupted:
            return "interrupted"
        return "rejected" if self.state == "pruned" and "best_epoch" not in self.summary else self.state


@dataclass(frozen=True)
class Scored:
    """The model of a trial was evaluated on the test split.

    Args:
        metrics: `test_accuracy`, `test_loss`, and `test_NAME` of registered metrics.
        is_best: the trial was the best of its study at that time. Not logged, because this can change.
    """

    name: ClassVar[str] = "scored"
    time: float
    metrics: Mapping[str, float]
    is_best: bool = False


# The answer to an `EpochEnd`: True to continue; False to stop as pruned; or the reason why the search ends,
# `timeout` or `target`, to stop as complete with the epochs so far.
Answer = bool | str

Event = Started | Progress | EpochEnd | Finished | Scored

_TYPES: Mapping[str, type[Event]] = {
    kind.name: kind for kind in (Started, Progress, EpochEnd, Finished, Scored)
}
# Logs of version 1 have no "version", and other names.
_NAMES_V1 = {"epoch": "epoch_end", "tested": "scored"}
_FIELDS_V1 = {"parameters": "num_parameters", "last": "is_last", "interrupted": "is_interrupted"}
_JSON_TYPES = {
    "metrics": dict,
    "summary": dict,
    "epoch": int,
    "time": int | float,
    "state": str,
    "stopped": str,
    "continues": str,
    "problem": str,
}


def to_json(event: Event) -> str:
    """Return `event` as one line of JSON, without the line break."""
    document = {"version": FORMAT_VERSION, "event": event.name}
    for name, value in asdict(event).items():
        if value not in (None, "") and value is not False and name != "is_best":
            document[name] = value
    return checked_json(document)


def from_json(line: str | bytes) -> Event:
    """Return the event that `to_json`, or an older version of zoo, wrote as `line`; else raise ValueError."""
    document = parse_json(line)
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, got {type(document).__name__}")
    version, name = document.pop("version", 1), str(document.pop("event", None))
    if version == 1:
        document = {_FIELDS_V1.get(key, key): value for key, value in document.items()}
        name = _NAMES_V1.get(name, name)
    if version not in (*_UNCHECKED_VERSIONS, FORMAT_VERSION) or name not in _TYPES:
        raise ValueError(f"no event {name!r} in format version {version!r}")
    if version not in _UNCHECKED_VERSIONS and not has_checksum(line):
        raise ValueError("it has no checksum")
    values = {item.name: document[item.name] for item in fields(_TYPES[name]) if item.name in document}
    for key, value in values.items():
        if not isinstance(value, _JSON_TYPES.get(key, object)):
            raise ValueError(f"{key}: {value!r} has the wrong type")
    try:
        return _TYPES[name](**values)
    except TypeError as error:  # a field is missing
        raise ValueError(str(error)) from None


class EventLog:
    """The file of a trial's events: one JSON line for each event; it can be read and appended to.

    If a process is killed or the disk is full, only the line that is being written is lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: Event) -> None:
        """Append `event`. When this returns, the event is on the disk and survives a power cut.

        If the disk is full, raise OSError and leave the log as it was.
        """
        line = to_json(event).encode() + b"\n"
        with self.path.open("ab+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # the last line is incomplete; begin a new one
                    line = b"\n" + line
            try:
                while line:  # the system may write only a part
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    def read(self) -> list[Event]:
        """Return all readable events; [] if there is no file."""
        return self.load()[0]

    def damaged_lines(self) -> list[int]:
        """Return the numbers (from 1) of the lines that cannot be read; their events are lost.

        An incomplete last line is not included, because a process that is killed while writing leaves one.
        """
        return self.load()[1]

    def load(self) -> tuple[list[Event], list[int]]:
        """Return the results of `read` and `damaged_lines`, but read the file only once."""
        events: list[Event] = []
        damaged: list[int] = []
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        for number, line in enumerate(lines, start=1):
            is_cut_off = number == len(lines) and line.startswith(b"{")
            try:
                events.append(from_json(line))
            except ValueError:
                if line.strip() and not is_cut_off:
                    damaged.append(number)
        return events, damaged
