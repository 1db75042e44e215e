"""The directory of one trial, or of one standalone run.

007/
├── config.json           the TrialConfig
├── events.jsonl          the event log
├── output.log            output of the worker process
├── model.keras, summary.txt, predictions.npz, figures/
└── run.json              only of a standalone run: its run in MLflow
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.events import EpochEnd, Event, EventLog, Finished, Scored
from zoo.files import write_atomically

if TYPE_CHECKING:
    import numpy.typing as npt


class TrialDirectory:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.event_log = EventLog(path / "events.jsonl")
        self.output_path = path / "output.log"
        self.model_path = path / "model.keras"
        self.predictions_path = path / "predictions.npz"
        self.figures_dir = path / "figures"

    def create(self, config: Mapping[str, Any]) -> None:
        """Make the directory for a trial that is about to start; an older one is replaced."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        (self.path / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    def config(self) -> dict[str, Any] | None:
        """Return the JSON of the trial's configuration; None if there is no such trial."""
        document: dict[str, Any] | None = read_json(self.path / "config.json")
        return document

    def append(self, event: Event) -> None:
        """Append `event` to the event log."""
        self.event_log.append(event)

    def events(self) -> list[Event]:
        return self.event_log.read()

    def finished(self) -> Finished | None:
        """Return the event with the trial's final state; None if it has none."""
        return next((event for event in self.events() if isinstance(event, Finished)), None)

    def scored(self) -> Scored | None:
        """Return the latest scores of the trial's model on the test split; None if there are none."""
        return next((event for event in reversed(self.events()) if isinstance(event, Scored)), None)

    def delete_copies(self) -> None:
        """Delete the large files that MLflow also has."""
        for path in (self.model_path, self.predictions_path):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class MLflowRun:
    """The MLflow run of a standalone run.

    Args:
        uid: with `number`, the run's `zoo.uid`.
        is_complete: MLflow has every event and file.
    """

    uid: str
    name: str
    number: int
    is_complete: bool = False


class StandaloneDirectory(TrialDirectory):
    """The files of one standalone run.

    Args:
        mlflow_run: its run in MLflow, written to `run.json` by `create`.
    """

    def __init__(self, path: Path, mlflow_run: MLflowRun | None = None) -> None:
        super().__init__(path)
        self._mlflow_run = mlflow_run

    def create(self, config: Mapping[str, Any]) -> None:
        super().create(config)
        if self._mlflow_run is not None:
            self._write(self._mlflow_run)

    def mlflow_run(self) -> MLflowRun | None:
        """Return its run in MLflow; None if `run.json` is missing or damaged."""
        document = read_json(self.path / "run.json")
        try:
            return MLflowRun(**document)
        except TypeError:
            return None

    def mark_complete_in_mlflow(self) -> None:
        """Record that MLflow has every event and file of the run."""
        run = self.mlflow_run()
        if run is not None:
            self._write(replace(run, is_complete=True))

    def _write(self, run: MLflowRun) -> None:
        write_atomically(self.path / "run.json", json.dumps(asdict(run)) + "\n")


def epochs_of(events: Sequence[Event]) -> list[EpochEnd]:
    """Return the epochs among `events` in order; if one was logged twice, the later event."""
    epochs = {(event.fold, event.epoch): event for event in events if isinstance(event, EpochEnd)}
    return list(epochs.values())


def read_predictions(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return labels `(n,)` and probabilities `(n, classes)` of a trial's `predictions.npz`.

    Raises:
        DataError: the file cannot be read.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["labels"], arrays["probabilities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"Cannot read the predictions in {path}: {error}") from error


def read_json(path: Path) -> Any:
    """Return the JSON document in `path`; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
