"""Checkpoints of a trial: the state after an epoch, from which another process can continue.

A checkpoint is one file, `checkpoints/FOLD-EPOCH.ckpt` in the trial directory. Its first line is a JSON
object with a checksum, which has the shape, the type and the CRC-32 of each array. The bytes of the arrays
follow. The file appears whole or not at all, and the two newest files are kept.
"""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zoo.checksums import checked_json, has_checksum, parse_json
from zoo.errors import one_line
from zoo.files import atomic_path, flush_to_disk

Arrays = Mapping[str, Sequence[npt.NDArray[Any]]]

_NUM_KEPT = 2
_MIN_INTERVAL_S = 2.0  # between two files, so that a short trial writes none
_COST = 0.01  # limit for the copies in memory, and for the files: each may take this fraction of the time


class State(NamedTuple):
    """The state of one training after an epoch, without the states of earlier folds.

    Args:
        epoch: the last epoch, from 1.
        facts: the part that JSON can express.
        arrays: lists of arrays by name.
    """

    epoch: int
    facts: Mapping[str, Any]
    arrays: Arrays

    @property
    def first(self) -> int:
        """The number of epochs before this phase of the training; 0 in the first phase."""
        return int(self.facts["first"])

    @property
    def last_epoch(self) -> int:
        """The last epoch of the phase; `epoch` if patience, time or a stop has ended the phase."""
        return int(self.epoch if self.facts["ends_phase"] else self.facts["last_epoch"])

    def stopped(self) -> State:
        """Return a copy which says that the supervisor has stopped the training after this epoch."""
        return self._replace(facts={**self.facts, "is_stopped": True, "ends_phase": True})


# Called after each epoch with a function that copies the state.
Keep = Callable[[Callable[[], State]], None]


@dataclass(frozen=True)
class Snapshot:
    """The state of a trial after an epoch.

    Args:
        fold, epoch: from 1.
        facts: the part that JSON can express.
        arrays: lists of arrays by name, such as the weights.
    """

    fold: int
    epoch: int
    facts: Mapping[str, Any]
    arrays: Arrays


class Checkpoints:
    """The checkpoints of one trial, in the folder `path`.

    `keep` is called after each epoch. It copies the state in memory and, less often, writes it to a file.
    Copies take at most 1 % of the time, as do files. `flush` writes the copy at once; any thread may call it.
    """

    def __init__(self, path: Path, min_interval_s: float = _MIN_INTERVAL_S) -> None:
        self._path = path
        self._copying = _Budget(0.0)
        self._writing = _Budget(min_interval_s)
        self._lock = threading.Lock()  # protects `_unwritten` and the folder
        self._unwritten: Snapshot | None = None

    def load(self) -> tuple[Snapshot | None, str]:
        """Return the newest usable checkpoint or None, and a line about newer, unusable ones or ""."""
        problems: list[str] = []
        for path in reversed(self._files()):
            try:
                snapshot = read_checkpoint(path)
                problem = _reason_against(snapshot)
            except (OSError, ValueError, LookupError, TypeError) as error:
                problem = f"is damaged: {one_line(error)}"
            if not problem:
                return snapshot, "; ".join(problems)
            problems.append(f"the checkpoint {path} {problem}")
        return None, "; ".join(problems)

    def keep(self, copy: Callable[[], Snapshot]) -> None:
        """Keep the state that `copy` returns, if there is time for it."""
        if self._copying.is_due():
            with self._copying:
                snapshot = copy()
            with self._lock:
                self._unwritten = snapshot
        if self._writing.is_due():
            with self._writing:
                self.flush()

    def flush(self) -> None:
        """Write the newest copy, unless that is done. With a full disk, the trial continues without it."""
        with self._lock:
            snapshot, self._unwritten = self._unwritten, None
            if snapshot is None:
                return
            try:
                self._path.mkdir(exist_ok=True)
                write_checkpoint(self._path / f"{snapshot.fold:02d}-{snapshot.epoch:05d}.ckpt", snapshot)
                for path in self._files()[:-_NUM_KEPT]:
                    path.unlink()
            except OSError as error:
                print(f"no checkpoint was written to {self._path}: {error.strerror or error}", flush=True)

    def _files(self) -> list[Path]:
        """Return the checkpoints, the newest one last."""
        return sorted(self._path.glob("*.ckpt"))


class _Budget:
    """A limit: a repeated action, in a `with` block, takes at most a fraction of the time."""

    def __init__(self, min_interval_s: float) -> None:
        self._interval_s = self._min_interval_s = min_interval_s
        self._last_end = self._start = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._last_end >= self._interval_s

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._last_end = time.monotonic()
        self._interval_s = max(self._min_interval_s, (self._last_end - self._start) / _COST)


def versions() -> dict[str, str]:
    """Return facts of a checkpoint that must be equal in the process that uses it."""
    import keras

    return {"keras": keras.__version__, "backend": keras.backend.backend()}


def _reason_against(snapshot: Snapshot) -> str:
    """Return why a checkpoint cannot be used, or ""."""
    found = {name: snapshot.facts[name] for name in versions()}
    return "" if found == versions() else f"is of Keras {found['keras']} with {found['backend']}"


def write_checkpoint(path: Path, snapshot: Snapshot) -> None:
    """Write a checkpoint; return when it is on the disk."""
    arrays = {name: [np.asarray(one, order="C") for one in each] for name, each in snapshot.arrays.items()}
    header = {
        "fold": snapshot.fold,
        "epoch": snapshot.epoch,
        "facts": snapshot.facts,
        "arrays": {name: [_description(one) for one in each] for name, each in arrays.items()},
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(checked_json(header).encode() + b"\n")
        for each in arrays.values():
            for array in each:
                file.write(_bytes_of(array).data)
    flush_to_disk(path.parent)  # writes the new name


def read_checkpoint(path: Path) -> Snapshot:
    """Return the checkpoint in a file; raise ValueError if the file is damaged."""
    with path.open("rb") as file:
        line = file.readline()
        if not has_checksum(line):  # `parse_json` accepts it, as from a version without checksums
            raise ValueError("its header has no checksum")
        header = parse_json(line)
        arrays = {
            name: [_read_array(file, *description) for description in each]
            for name, each in header["arrays"].items()
        }
        if file.read(1):
            raise ValueError("it is longer than its header says")
    return Snapshot(header["fold"], header["epoch"], header["facts"], arrays)


def _description(array: npt.NDArray[Any]) -> tuple[str, list[int], int]:
    return array.dtype.name, list(array.shape), zlib.crc32(_bytes_of(array).data)


def _bytes_of(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    # As integers, because NumPy has no buffer for types such as bfloat16.
    return array.reshape(-1).view(np.uint8)


def _read_array(file: Any, dtype: str, shape: Sequence[int], crc: int) -> npt.NDArray[Any]:
    content = file.read(np.dtype(dtype).itemsize * math.prod(shape))
    if zlib.crc32(content) != crc:
        raise ValueError("the checksum of an array does not match")
    return np.frombuffer(content, np.dtype(dtype)).reshape(shape)
