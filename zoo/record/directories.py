"""The directories of studies, `mlruns/zoo/<study>`; docs/design.md lists their files.

These files have no checksum: `lock`, `lock-owner`, `run-deleted`, the report, the copies of plugin files, the
logs and the results of a trial. Every other file has one (see `zoo.checksums`). Reading a damaged file raises
RecordError.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock, Timeout

from zoo.checksums import read_json, read_text, write_json, write_text
from zoo.errors import RecordError, StudyError, ZooError
from zoo.failpoints import failpoint
from zoo.files import STATE_DIR, remove_leftovers, write_atomically
from zoo.record.trial_directories import MLflowRun, StandaloneDirectory, TrialDirectory
from zoo.redaction import redact
from zoo.registry import IN_MEMORY
from zoo.study import Objective


class StudyDirectory:
    """The files of one study.

    Args:
        root: the working folder, which contains `mlruns`.
        study: the study's name, or the path of its file.
    """

    def __init__(self, root: Path, study: str) -> None:
        self.study = Path(study).stem if study.endswith(".toml") else study
        self.path = root / STATE_DIR / self.study
        self.trials_dir = self.path / "trials"
        self.run_deleted_path = self.path / "run-deleted"
        self.cache_dir = Path(os.environ.get("ZOO_CACHE_DIR") or root / STATE_DIR / ".cache")

    def trial(self, number: int) -> TrialDirectory:
        return TrialDirectory(self.trials_dir / f"{number:03d}")

    def numbers(self) -> list[int]:
        """Return the numbers of the trials that have a directory, in order."""
        return sorted(int(path.name) for path in self.trials_dir.glob("*") if path.name.isdigit())

    def configs(self) -> Iterator[dict[str, Any]]:
        """Yield the trials' configurations in order, without damaged ones, which are reported elsewhere."""
        for number in self.numbers():
            config = None
            with suppress(RecordError):
                config = self.trial(number).config()
            if config is not None:
                yield config

    def new_standalone_run(self, mlflow_run: MLflowRun) -> StandaloneDirectory:
        """Return a new directory for a standalone run, named by the time and the process."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        return StandaloneDirectory(self.path / "standalone" / name, mlflow_run)

    def confirming_run(self, mlflow_run: MLflowRun) -> StandaloneDirectory:
        """Return the directory of a run of `zoo confirm`; it exists if an earlier command started the run."""
        return StandaloneDirectory(self.path / "standalone" / mlflow_run.name, mlflow_run)

    def standalone_runs(self) -> list[StandaloneDirectory]:
        """Return the directories of standalone runs, oldest first."""
        return [StandaloneDirectory(path) for path in sorted((self.path / "standalone").glob("*"))]

    def digest_in_memory(self) -> str | None:
        """Return the digest of the dataset in memory that the study's trials use; None if they use none."""
        for config in self.configs():
            if config.get("dataset", {}).get("name") == IN_MEMORY:
                return str(config["digest"])
        return None

    def create(self) -> None:
        """Create the study's directory and the cache."""
        create_folder(self.path)
        create_folder(self.cache_dir)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory and hold its lock; raise StudyError if another supervisor holds it.

        The system releases the lock when the process ends.
        """
        self.create()
        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(timeout=1)  # `is_running` may hold the lock for a moment
        except Timeout:
            owner = "another process"
            with suppress(OSError, UnicodeDecodeError):
                owner = (self.path / "lock-owner").read_text(encoding="utf-8").strip() or owner
            raise StudyError(
                f"the study '{self.study}' is being run by {owner}. "
                "Wait until it ends, or stop it with Ctrl-C."
            ) from None
        try:
            for folder in self.path.glob("**/"):
                remove_leftovers(folder)  # left by a process that was killed
            write_atomically(self.path / "lock-owner", f"process {os.getpid()}\n")
            yield
        finally:
            lock.release()

    def is_running(self) -> bool:
        """Return True if a supervisor runs the study."""
        path = self.path / "lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except (Timeout, OSError):  # without write permission, the answer is unknown
            return True

    def id(self) -> str:
        """Return a random name that is unique to this directory. Moving the directory does not change it."""
        name = _read_line(
            self.path / "id",
            "It distinguishes this folder from others that run the study in the same storage. "
            "Delete the file if there is no other folder.",
        )
        name = name or uuid.uuid4().hex
        write_text(self.path / "id", name)
        return name

    def uid(self) -> str | None:
        """Return the study's unique name in Optuna and MLflow; None before the first trial."""
        return study_uid(self.path)

    def assign(
        self,
        uid: str,
        objectives: Sequence[Objective],
        storage: str | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> None:
        """Make this the directory of the study `uid`; raise StudyError if it has trials of another study."""
        failpoint("study.created")
        self.check_uid(uid)
        if self.uid() not in (None, uid):  # the directory belonged to a study without a trial in this folder
            for name in ("deleted.json", "commands"):
                (self.path / name).unlink(missing_ok=True)
        write_text(self.path / "uid", uid)
        write_json(self.path / "objectives.json", {"objectives": [asdict(one) for one in objectives]})
        write_text(self.path / "storage", redact(storage or ""))
        if manifest is not None:
            write_json(self.path / "manifest.json", manifest, indent=1)

    def check_uid(self, uid: str) -> None:
        """Raise StudyError if the directory has trials of another study than `uid`, or of an unknown one."""
        recorded = self.uid()
        if recorded == uid or not self.numbers():
            return
        what = "which is missing" if recorded is None else f"which says {recorded}"
        raise StudyError(
            f"the trials in {self.trials_dir} belong to the study that {self.path / 'uid'} names, {what}; "
            f"the study '{self.study}' in Optuna's storage is {uid}. Nothing was changed. If both are the "
            f"same, write {uid} into that file; otherwise use the storage of these trials, or add --name "
            f"{self.study}-2 to start a new study."
        )

    def describe(self, definition: str, command: str) -> None:
        """Record the text of the study file and a command that runs the study."""
        failpoint("study.assigned")
        write_text(self.path / "study.toml", definition)
        if command not in self.commands():
            write_text(self.path / "commands", "\n".join([*self.commands(), command]))

    def definition(self) -> str:
        """Return the text of the study file; "" if it was not recorded, or the record is damaged."""
        return self._text("study.toml")

    def commands(self) -> list[str]:
        """Return the commands that ran the study, oldest first, each once; [] if the file is damaged."""
        return self._text("commands").splitlines()

    def storage(self) -> str | None:
        """Return the URL of the Optuna storage, without its password; None for the default one."""
        advice = f"`zoo tune {self.study}` writes it again, with --storage URL if the study has one."
        return _read_line(self.path / "storage", advice, may_be_empty=True)

    def objectives(self) -> list[Objective]:
        """Return the objectives, the first one first; [] before the first trial."""
        path, advice = self.path / "objectives.json", f"`zoo tune {self.study}` writes it again."
        document = read_json(path, advice)
        if isinstance(document, dict):
            document = document.get("objectives")
        elif document is None:
            return []
        try:
            return [Objective(**one) for one in document]
        except TypeError:
            raise RecordError(f"{path} is damaged: it has no objectives. {advice}") from None

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest of the study; None if an earlier version of zoo recorded the study."""
        advice = (
            "It records the settings of all trials. Restore it from the files of the study's run in MLflow."
        )
        document: dict[str, Any] | None = read_json(self.path / "manifest.json", advice)
        return document

    def deleted_trials(self) -> set[int]:
        """Return the numbers of the trials that were deleted, in MLflow or by `zoo delete`."""
        path = self.path / "deleted.json"
        advice = (
            "It has the numbers of the deleted trials. Delete the file: zoo then asks MLflow which trials "
            f"are deleted, and `zoo delete {self.study} --trial N` deletes others again."
        )
        document = read_json(path, advice)
        if isinstance(document, dict):
            document = document.get("deleted")
        elif document is None:
            return set()
        if not isinstance(document, list) or not all(isinstance(number, int) for number in document):
            raise RecordError(f"{path} is damaged: it has no numbers of trials. {advice}")
        return set(document)

    def set_deleted_trials(self, numbers: Iterable[int]) -> None:
        """Record `numbers` as the deleted trials. Their directories stay, so that they can be restored."""
        write_json(self.path / "deleted.json", {"deleted": sorted(numbers)})

    def _text(self, name: str) -> str:
        """Return the text of a file that zoo only displays; "" if it is missing or damaged."""
        with suppress(RecordError):
            return read_text(self.path / name, "") or ""
        return ""


def study_uid(folder: Path) -> str | None:
    """Return the unique name of the study whose directory is `folder`; None before its first trial."""
    return _read_line(
        folder / "uid",
        "It names the study in Optuna and MLflow, so the study of the trials is unknown. "
        "Restore it from a backup, or write the name into it: the tag `zoo.uid` of the study's run in "
        "MLflow.",
    )


def create_folder(folder: Path) -> None:
    """Create `folder` if it is missing; raise ZooError if zoo cannot write to `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ZooError(
            f"cannot write to {folder} ({error.strerror}), where zoo keeps its record or prepared datasets. "
            "Run zoo in a folder that you may write to; for the datasets, you can set ZOO_CACHE_DIR to one."
        ) from None


def _read_line(path: Path, advice: str, *, may_be_empty: bool = False) -> str | None:
    """Return the one line of a file; None if there is no file, or if the file is empty and `may_be_empty`."""
    text = read_text(path, advice)
    if text is None or (may_be_empty and not text.strip()):
        return None
    if not text.strip() or "\n" in text.strip():
        raise RecordError(f"{path} is damaged: expected one line. {advice}")
    return text.strip()
