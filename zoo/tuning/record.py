"""The record of a study: a folder, and in it one append-only file of events for every trial.

    mlruns/zoo/<study>/
    ├── lock                      held by the supervisor that is at work
    ├── home                      a random name, by which Optuna knows this folder wherever it is moved
    ├── uid                       of the study in Optuna and MLflow, in this life of it
    ├── objectives.json           what its trials are judged by
    ├── prepare.log               what the dataset plugin printed
    ├── trials/007/
    │   ├── config.json           the TrialConfig
    │   ├── events.jsonl          every event, before anyone else sees it
    │   ├── output.log            what the trial's process printed
    │   └── model.keras, summary.txt, predictions.npz, figures/
    └── training/20261121-204244-18148/
        ├── run.json              which run in MLflow it is; unrecorded.json until that has all of it
        └── the rest as of a trial

Optuna and MLflow are fed from the events, so what a killed process or a lost connection kept from
them can be made good from here.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.errors import StudyError, ZooError
from zoo.study import Objective

STATE = Path("mlruns") / "zoo"
# Of a trial that MLflow holds, these are only copies.
_COPIES = ("model.keras", "predictions.npz")


class TrialRecord:
    """The folder of one trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def events_path(self) -> Path:
        return self.folder / "events.jsonl"

    def begin(self, config: Mapping[str, Any]) -> None:
        """Make the folder anew for a trial that is about to start."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    def config(self) -> dict[str, Any] | None:
        """The trial's configuration, or None where there is no such trial."""
        document: dict[str, Any] | None = _read(self.folder / "config.json")
        return document

    def append(self, event: Mapping[str, Any]) -> None:
        """Add one event; when this returns, it survives this process."""
        line = json.dumps(event).encode() + b"\n"
        with self.events_path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # the last line was cut off: a disk was full, its writer killed
                    line = b"\n" + line
            file.write(line)

    def events(self) -> list[dict[str, Any]]:
        """Every whole event; a last line that was cut off is left out."""
        events: list[dict[str, Any]] = []
        with suppress(FileNotFoundError), self.events_path.open(encoding="utf-8") as file:
            for line in file:
                with suppress(ValueError):
                    events.append(json.loads(line))
        return events

    def finished(self) -> dict[str, Any] | None:
        """The event that ended the trial, if it came to an end."""
        return next((event for event in self.events() if event["event"] == "finished"), None)

    def tested(self) -> dict[str, Any] | None:
        """What its model was last found to reach on the test split, if somebody asked."""
        scored = [event for event in self.events() if event["event"] == "tested"]
        return scored[-1] if scored else None

    def add_tested(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """Keep what its model reaches on the test split."""
        event = {"event": "tested", "time": time.time(), "metrics": dict(metrics)}
        self.append(event)
        return event

    def drop_copies(self) -> None:
        """Remove what MLflow holds too."""
        for name in _COPIES:
            with suppress(FileNotFoundError):
                (self.folder / name).unlink()


class TrainingRecord(TrialRecord):
    """The folder of a training outside the search."""

    @property
    def _unrecorded(self) -> Path:
        return self.folder / "unrecorded.json"

    @property
    def _recorded(self) -> Path:
        return self.folder / "run.json"

    def is_run(self, run: Mapping[str, Any]) -> None:
        """Note which run in MLflow it is."""
        self._unrecorded.write_text(json.dumps(run) + "\n", encoding="utf-8")

    def run(self) -> dict[str, Any] | None:
        """Which run in MLflow it is; None where nobody noted it."""
        run: dict[str, Any] | None = _read(self._recorded) or _read(self._unrecorded)
        return run

    def unrecorded(self) -> dict[str, Any] | None:
        """The run of which MLflow does not have everything; None where it does."""
        run: dict[str, Any] | None = _read(self._unrecorded)
        return run

    def recorded(self) -> None:
        """MLflow has everything."""
        with suppress(FileNotFoundError):
            self._unrecorded.replace(self._recorded)


class StudyRecord:
    """The folder of one study; one supervisor at a time holds its lock."""

    def __init__(self, root: Path, study: str) -> None:
        self.folder = root / STATE / study
        self.cache = Path(os.environ.get("ZOO_CACHE_DIR") or root / STATE / ".cache")
        self._study = study
        self._lock: Any = None

    def trial(self, number: int) -> TrialRecord:
        return TrialRecord(self.folder / "trials" / f"{number:03d}")

    def training(self) -> TrainingRecord:
        """A new folder for a training outside the search, named by the time."""
        return TrainingRecord(self.folder / "training" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")

    def trainings(self) -> list[TrainingRecord]:
        """Those outside the search that have a folder, the oldest first."""
        return [TrainingRecord(path) for path in sorted((self.folder / "training").glob("*"))]

    def open(self) -> None:
        """Make the folders.

        Raises:
            ZooError: the working folder cannot be written.
        """
        for folder in (self.folder, self.cache):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".write-{os.getpid()}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise ZooError(
                    f"{folder} cannot be written ({error.strerror}); zoo keeps its record there. "
                    "Run it from a folder you may write to."
                ) from None

    def home(self) -> str:
        """A name that no other folder has; it stays when this one is moved, or its machine renamed."""
        path = self.folder / "home"
        with suppress(FileNotFoundError):
            if name := path.read_text(encoding="utf-8").strip():  # else its writer was killed over it
                return name
        name = uuid.uuid4().hex
        path.write_text(name + "\n", encoding="utf-8")
        return name

    def belong_to(self, uid: str, objectives: Sequence[Objective]) -> None:
        """Make this the folder of the study `uid`; trials of an earlier one of that name are put aside."""
        owner = self.folder / "uid"
        before = owner.read_text(encoding="utf-8").strip() if owner.exists() else uid
        trials = self.folder / "trials"
        if before != uid and trials.exists():
            trials.rename(self.folder / f"trials-{before[:8]}")
        owner.write_text(uid + "\n", encoding="utf-8")
        judged_by = json.dumps([asdict(objective) for objective in objectives])
        (self.folder / "objectives.json").write_text(judged_by + "\n", encoding="utf-8")

    def objectives(self) -> list[Objective]:
        """What its trials are judged by, the first first; nothing where no search has begun."""
        return [Objective(**one) for one in _read(self.folder / "objectives.json") or []]

    def numbers(self) -> list[int]:
        """The trials that have a folder, in order."""
        return sorted(int(path.name) for path in (self.folder / "trials").glob("*") if path.name.isdigit())

    def acquire(self) -> None:
        """Take the study's lock; it goes with this process, however that ends.

        Raises:
            StudyError: another supervisor is at work on the study.
        """
        self.open()
        self._lock = (self.folder / "lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "another process"
            self._lock.close()
            raise StudyError(
                f"The study '{self._study}' is being worked on by {owner}; wait for it, "
                "or stop it with Ctrl-C."
            ) from None
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()}")
        self._lock.flush()

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _read(path: Path) -> Any:
    """A JSON document, or None where there is none, or not all of it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
