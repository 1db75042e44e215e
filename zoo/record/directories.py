"""The directories of studies, trials and standalone runs.

mlruns/zoo/<study>/
├── lock, lock-owner          held by the supervisor that is running
├── id                        a random name, which the Optuna study holds, too
├── uid                       the study's unique name in Optuna and MLflow
├── objectives.json           the objectives, which rank the trials
├── storage                   URL of the Optuna storage; empty if it is mlruns/optuna.db
├── study.toml, commands      the study file, and the commands that ran the study, for its report
├── report.html               the report that `zoo report` writes
├── deleted.json              numbers of the trials that were deleted
├── run-deleted               exists after a report that the study's run is deleted in MLflow
├── prepare.log               output of the dataset plugin
├── zoo.log                   messages that other libraries log while the study runs
├── trials/007/
│   ├── config.json           the TrialConfig
│   ├── events.jsonl          the event log
│   ├── output.log            output of the worker process
│   ├── model.keras, summary.txt, predictions.npz, figures/
│   └── test-predictions.npz  of the best trial
└── standalone/20261121-204244-18148/, standalone/confirm-006-1/
    └── as above, and run.json: its run in MLflow
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from zoo.errors import DataError, StudyError, ZooError, redact_password
from zoo.events import EpochEnd, Event, EventLog, Finished, Scored
from zoo.files import write_atomically
from zoo.study import Objective

if TYPE_CHECKING:
    import numpy.typing as npt

STATE_DIR = Path("mlruns") / "zoo"


class TrialDirectory:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.event_log = EventLog(path / "events.jsonl")
        self.output_path = path / "output.log"
        self.model_path = path / "model.keras"
        self.predictions_path = path / "predictions.npz"
        self.test_predictions_path = path / "test-predictions.npz"
        self.figures_dir = path / "figures"

    def create(self, config: Mapping[str, Any]) -> None:
        """Create the directory for a trial that is about to start; delete an older directory."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        (self.path / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    def config(self) -> dict[str, Any] | None:
        """Return the JSON of the trial's configuration; None if there is no such trial."""
        document: dict[str, Any] | None = _read_json(self.path / "config.json")
        return document

    def append(self, event: Event) -> None:
        self.event_log.append(event)

    def events(self) -> list[Event]:
        return self.event_log.read()

    def final_event(self) -> Finished | None:
        """Return the event with the trial's final state; None if the trial has none."""
        return next((event for event in self.events() if isinstance(event, Finished)), None)

    def latest_score(self) -> Scored | None:
        """Return the latest scores of the trial's model on the test split; None if there are none."""
        return next((event for event in reversed(self.events()) if isinstance(event, Scored)), None)

    @property
    def has_results(self) -> bool:
        """True if the model or figures of the trial are here."""
        return self.model_path.exists() or self.figures_dir.exists()

    def delete_results(self) -> None:
        """Delete the model, the predictions and the figures of a trial that is not among the best ones."""
        self.delete_copies()
        if self.figures_dir.exists():
            shutil.rmtree(self.figures_dir)

    def delete_copies(self) -> None:
        """Delete the large files. MLflow must have them."""
        for path in (self.model_path, self.predictions_path, self.test_predictions_path):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class MLflowRun:
    """The MLflow run of a standalone run."""

    uid: str  # `trial_uid(uid, number)` is the run's tag `zoo.uid`
    name: str
    number: int
    is_complete: bool = False  # MLflow has every event and file
    repeat: int = 0  # of a run of `zoo confirm`: the number of its seed, from 1


class StandaloneDirectory(TrialDirectory):
    """The files of one standalone run; `create` writes `mlflow_run` to `run.json`."""

    def __init__(self, path: Path, mlflow_run: MLflowRun | None = None) -> None:
        super().__init__(path)
        self._mlflow_run = mlflow_run

    def create(self, config: Mapping[str, Any]) -> None:
        super().create(config)
        if self._mlflow_run is not None:
            self._write(self._mlflow_run)

    def mlflow_run(self) -> MLflowRun | None:
        """Return the MLflow run; None if `run.json` is missing or damaged."""
        try:
            return MLflowRun(**_read_json(self.path / "run.json"))
        except TypeError:
            return None

    def mark_complete_in_mlflow(self) -> None:
        """Record that MLflow has every event and file of the run."""
        if run := self.mlflow_run():
            self._write(replace(run, is_complete=True))

    def _write(self, run: MLflowRun) -> None:
        write_atomically(self.path / "run.json", json.dumps(asdict(run)) + "\n")


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

    def new_standalone_run(self, mlflow_run: MLflowRun) -> StandaloneDirectory:
        """Return a new directory for a standalone run, named by the time and the process."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        return StandaloneDirectory(self.path / "standalone" / name, mlflow_run)

    def confirming_run(self, mlflow_run: MLflowRun) -> StandaloneDirectory:
        """Return the directory of a run of `zoo confirm`, which exists if the run was started before."""
        return StandaloneDirectory(self.path / "standalone" / mlflow_run.name, mlflow_run)

    def standalone_runs(self) -> list[StandaloneDirectory]:
        """Return the directories of standalone runs, oldest first."""
        return [StandaloneDirectory(path) for path in sorted((self.path / "standalone").glob("*"))]

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
            lock.acquire(blocking=False)
        except Timeout:
            owner = self._read("lock-owner") or "another process"
            raise StudyError(
                f"the study '{self.study}' is being run by {owner}. "
                "Wait until it ends, or stop it with Ctrl-C."
            ) from None
        try:
            self._write("lock-owner", f"process {os.getpid()}")
            yield
        finally:
            lock.release()

    def id(self) -> str:
        """Return a random name that is unique to this directory. It stays when the directory is moved."""
        name = self._read("id") or uuid.uuid4().hex
        self._write("id", name)
        return name

    def uid(self) -> str | None:
        """Return the study's unique name in Optuna and MLflow; None before the first trial."""
        return self._read("uid")

    def assign(self, uid: str, objectives: Sequence[Objective], storage: str | None = None) -> None:
        """Make this the directory of the study `uid`; trials of an earlier study are moved to `trials-…`."""
        before = self.uid()
        if before not in (None, uid):
            if self.trials_dir.exists():
                self.trials_dir.rename(self.path / f"trials-{before[:8]}")
            for name in ("deleted.json", "commands"):
                (self.path / name).unlink(missing_ok=True)
        self._write("uid", uid)
        self._write("objectives.json", json.dumps([asdict(objective) for objective in objectives]))
        self._write("storage", redact_password(storage or ""))

    def describe(self, definition: str, command: str) -> None:
        """Record the text of the study file and a command that runs the study."""
        self._write("study.toml", definition)
        if command not in self.commands():
            self._write("commands", "\n".join([*self.commands(), command]))

    def definition(self) -> str:
        """Return the text of the study file; "" if the study was run before zoo recorded it."""
        return self._read("study.toml") or ""

    def commands(self) -> list[str]:
        """Return the commands that ran the study, oldest first, each once."""
        return (self._read("commands") or "").splitlines()

    def storage(self) -> str | None:
        """Return the URL of the Optuna storage, without its password; None for the default one."""
        return self._read("storage")

    def objectives(self) -> list[Objective]:
        """Return the objectives, the first one first; [] before the first trial."""
        return [Objective(**one) for one in _read_json(self.path / "objectives.json") or []]

    def deleted_trials(self) -> set[int]:
        """Return the numbers of the trials that were deleted, in MLflow or by `zoo delete`."""
        return set(_read_json(self.path / "deleted.json") or [])

    def set_deleted_trials(self, numbers: Iterable[int]) -> None:
        """Record `numbers` as the deleted trials. Their directories stay, so that they can be restored."""
        self._write("deleted.json", json.dumps(sorted(numbers)))

    def _read(self, name: str) -> str | None:
        """Return the text of a file; None if it is missing or empty."""
        with suppress(OSError):
            return (self.path / name).read_text(encoding="utf-8").strip() or None
        return None

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.rstrip("\n") + "\n")


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


def epochs_of(events: Sequence[Event]) -> list[EpochEnd]:
    """Return the epochs among `events` in order; if one was logged twice, the later event."""
    epochs = {(event.fold, event.epoch): event for event in events if isinstance(event, EpochEnd)}
    return list(epochs.values())


def read_predictions(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return labels `(n,)` and probabilities `(n, classes)` of a trial; raise DataError if there are none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["labels"], arrays["probabilities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"cannot read the predictions in {path}: {error}. Expected the file that zoo wrote."
        ) from error


def _read_json(path: Path) -> Any:
    """Return the JSON document in `path`; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
