"""The directory of one study.

mlruns/zoo/<study>/
├── lock, lock-owner          held by the supervisor that is running
├── id                        a random name, by which the Optuna study knows this directory
├── uid                       the study's name in Optuna and MLflow; a new study of the name has another
├── objectives.json           what the trials are ranked by
├── deleted.json              trials that were deleted, in MLflow or by `zoo delete`
├── prepare.log               output of the dataset plugin
├── trials/007/               see trial_directory.py
└── standalone/20261121-204244-18148/
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.errors import StudyError, ZooError, redact_password
from zoo.files import write_atomically
from zoo.record.trial_directory import MLflowRun, StandaloneDirectory, TrialDirectory, read_json
from zoo.study import Objective

STATE_DIR = Path("mlruns") / "zoo"


class StudyDirectory:
    """The files of one study.

    Args:
        root: the working folder, which contains `mlruns`.
        study: the study's name.
    """

    def __init__(self, root: Path, study: str) -> None:
        self.study = study
        self.path = root / STATE_DIR / study
        self.trials_dir = self.path / "trials"
        self.cache_dir = Path(os.environ.get("ZOO_CACHE_DIR") or root / STATE_DIR / ".cache")

    def trial(self, number: int) -> TrialDirectory:
        return TrialDirectory(self.trials_dir / f"{number:03d}")

    def numbers(self) -> list[int]:
        """Return the numbers of the trials that have a directory, in order."""
        return sorted(int(path.name) for path in self.trials_dir.glob("*") if path.name.isdigit())

    def new_standalone_run(self, mlflow_run: MLflowRun) -> StandaloneDirectory:
        """Return a new directory for a standalone run, named by the time and the process."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        return StandaloneDirectory(self.path / "standalone" / name, mlflow_run)

    def standalone_runs(self) -> list[StandaloneDirectory]:
        """Return the directories of standalone runs, oldest first."""
        return [StandaloneDirectory(path) for path in sorted((self.path / "standalone").glob("*"))]

    def create(self) -> None:
        """Make the study's directory and the cache.

        Raises:
            ZooError: they cannot be written.
        """
        for folder in (self.path, self.cache_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".write-{os.getpid()}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise ZooError(
                    f"Cannot write to {folder} ({error.strerror}), where zoo keeps its record. "
                    "Run zoo in a folder that you may write to."
                ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the directory and hold its lock; the system releases the lock when the process ends.

        Raises:
            StudyError: another supervisor holds it.
        """
        self.create()
        owner_path = self.path / "lock-owner"
        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            owner = "another process"
            with suppress(OSError):
                owner = owner_path.read_text(encoding="utf-8").strip() or owner
            raise StudyError(
                f"The study '{self.study}' is being run by {owner}. "
                "Wait until it ends, or stop it with Ctrl-C."
            ) from None
        try:
            write_atomically(owner_path, f"process {os.getpid()}")
            yield
        finally:
            lock.release()

    def id(self) -> str:
        """Return a random name of this directory; it stays the same when the directory is moved."""
        path = self.path / "id"
        with suppress(OSError):
            if name := path.read_text(encoding="utf-8").strip():
                return name
        name = uuid.uuid4().hex
        write_atomically(path, name + "\n")
        return name

    def uid(self) -> str | None:
        """Return the study's name in Optuna and MLflow; None before its first trial."""
        with suppress(OSError):
            return (self.path / "uid").read_text(encoding="utf-8").strip() or None
        return None

    def assign(self, uid: str, objectives: Sequence[Objective], storage: str | None = None) -> None:
        """Make this the directory of the study `uid`; trials of an earlier study are moved aside.

        Args:
            storage: URL of the Optuna storage, if it is not the default one. A password is not kept.
        """
        before = self.uid()
        if before not in (None, uid):
            if self.trials_dir.exists():
                self.trials_dir.rename(self.path / f"trials-{before[:8]}")
            (self.path / "deleted.json").unlink(missing_ok=True)
        write_atomically(self.path / "uid", uid + "\n")
        document = json.dumps([asdict(objective) for objective in objectives])
        write_atomically(self.path / "objectives.json", document + "\n")
        if storage is None:
            (self.path / "storage").unlink(missing_ok=True)
        else:
            write_atomically(self.path / "storage", redact_password(storage) + "\n")

    def storage(self) -> str | None:
        """Return the URL of the Optuna storage, without its password; None for the default one."""
        with suppress(OSError):
            return (self.path / "storage").read_text(encoding="utf-8").strip() or None
        return None

    def objectives(self) -> list[Objective]:
        """Return what the trials are ranked by, the first objective first; [] before the first trial."""
        return [Objective(**one) for one in read_json(self.path / "objectives.json") or []]

    def deleted(self) -> set[int]:
        """Return the numbers of the trials that were deleted, in MLflow or by `zoo delete`."""
        return set(read_json(self.path / "deleted.json") or [])

    def set_deleted(self, numbers: Iterable[int]) -> None:
        """Record `numbers` as the deleted trials. Their directories stay, so that they can be restored."""
        write_atomically(self.path / "deleted.json", json.dumps(sorted(numbers)) + "\n")


def study_name(study: str) -> str:
    """Return the name of a study that was given by its name or the path of its file."""
    return Path(study).stem if study.endswith(".toml") else study
