"""The directories of trials and standalone runs; docs/design.md lists their files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.checksums import read_json, write_json
from zoo.errors import RecordError, one_line
from zoo.events import Event, EventLog, Finished, Scored
from zoo.trial import TrialConfig


class TrialDirectory:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "config.json"
        self.event_log = EventLog(path / "events.jsonl")
        self.output_path = path / "output.log"
        self.model_path = path / "model.keras"
        self.predictions_path = path / "predictions.npz"
        self.test_predictions_path = path / "test-predictions.npz"
        self.figures_dir = path / "figures"
        self.checkpoints_dir = path / "checkpoints"

    def create(self, config: Mapping[str, Any]) -> None:
        """Create the directory for a trial that is about to start; delete an older directory."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        write_json(self.config_path, config, indent=1)

    def config(self) -> dict[str, Any] | None:
        """Return the JSON of the trial's configuration; None if there is no such trial."""
        advice = "Restore it from a backup, or from the files of the trial's run in MLflow."
        document: dict[str, Any] | None = read_json(self.config_path, advice)
        if document is not None and not isinstance(document, dict):
            raise RecordError(f"{self.config_path} is damaged: it is no JSON object. {advice}")
        return document

    def trial_config(self) -> TrialConfig | None:
        """Return the trial's configuration; None if there is no such trial."""
        document = self.config()
        try:
            return None if document is None else TrialConfig.from_json(document)
        except (TypeError, LookupError, AttributeError) as error:
            raise RecordError(
                f"{self.config_path} is not the configuration of a trial: {one_line(error)}. "
                "Restore it from a backup, or from the files of the trial's run in MLflow."
            ) from None

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
        """True if the model or figures of the trial are in this directory."""
        return self.model_path.exists() or self.figures_dir.exists()

    def delete_checkpoints(self) -> None:
        """Delete the checkpoints of a trial that has a final state other than interrupted."""
        shutil.rmtree(self.checkpoints_dir, ignore_errors=True)

    def delete_results(self) -> None:
        """Delete the model, the predictions and the figures of a trial whose model is not kept."""
        self.delete_copies()
        if self.figures_dir.exists():
            shutil.rmtree(self.figures_dir)

    def delete_copies(self) -> None:
        """Delete the large files of a trial. MLflow must have copies of them."""
        for path in (self.model_path, self.predictions_path, self.test_predictions_path):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class MLflowRun:
    """The MLflow run of a standalone run."""

    uid: str  # `trial_uid(uid, number)` is the tag `zoo.uid` of the run
    name: str
    number: int
    is_complete: bool = False  # MLflow has every event and file
    repeat: int = 0  # only in `zoo confirm`: the number of the seed, from 1


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
        """Return the MLflow run; None if it was never recorded."""
        path, advice = self.path / "run.json", "It names the run in MLflow. Restore it from a backup."
        document = read_json(path, advice)
        try:
            return None if document is None else MLflowRun(**document)
        except TypeError:
            raise RecordError(f"{path} is damaged: it does not name a run. {advice}") from None

    def mark_complete_in_mlflow(self) -> None:
        """Record that MLflow has every event and file of the run."""
        if run := self.mlflow_run():
            self._write(replace(run, is_complete=True))

    def _write(self, run: MLflowRun) -> None:
        write_json(self.path / "run.json", asdict(run))
