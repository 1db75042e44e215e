"""A study and trials to record, and the content of MLflow in a form that can be compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zoo.tracking
from zoo.events import EpochEnd, Event, Finished, Progress, Scored, Started
from zoo.record import trial_uid
from zoo.study import Objective
from zoo.tracking import StudyFacts, StudyTracker
from zoo.training.info import ModelInfo

START = 1_700_000_000.0
DIGEST = "0123456789abcdef" * 4

CONFIG = {
    "dataset": {"name": "digits", "parameters": {"subset": 100}},
    "digest": DIGEST,
    "validation": {"fraction": 0.1, "seed": 0},
    "architecture": {"name": "conv_net", "parameters": {"filters": [32, 64], "dropout": 0.25}},
    "augmentation": {"name": "affine", "parameters": {"rotation": 10}},
    "training": {"epochs": 3, "optimizer": "adam", "learning_rate": 0.001},
    "objective": "val_accuracy",
    "direction": "maximize",
    "seed": 7,
}
INFO = ModelInfo(
    class_names=tuple("0123456789"),
    image_height=8,
    image_width=8,
    channels=1,
    dataset="digits",
    source="scikit-learn",
    digest=DIGEST,
    licence="CC BY 4.0",
    architecture="conv_net",
    study="digits_cnn",
    trial=7,
    metrics={"best_val_accuracy": 0.9, "best_epoch": 2, "parameters": 650},
    keras_version="3.13.2",
    plugins={"keras-zoo": "0.1.0"},
)


def facts(name: str = "digits_cnn", uid: str = "abc123", **changes: Any) -> StudyFacts:
    from zoo.data.store import PreparedDataset  # imports NumPy

    dataset = PreparedDataset(
        DIGEST, tuple("0123456789"), (8, 8, 1), {}, source="scikit-learn", warning="only 1,797 images"
    )
    values: dict[str, Any] = {
        "name": name,
        "uid": uid,
        "objectives": [Objective("val_accuracy", "maximize")],
        "dataset": dataset,
        "plugins": {"keras-zoo": "0.1.0"},
        "definition": 'dataset = "digits"\n',
        "manifest": {"seed": 0},
    }
    return StudyFacts(**{**values, **changes})


def events(
    state: str = "complete", *, reason: str = "", epochs: int = 3, best: float = 0.9, start: float = START
) -> list[Event]:
    """Return the events of one trial; the second epoch is the best."""
    sent: list[Event] = [Started(start, device="cpu", backend="tensorflow", num_parameters=650)]
    for epoch in range(1, epochs + 1):
        sent.append(Progress(epoch, 0.5))
        metrics = {"loss": 1 / epoch, "val_accuracy": best - 0.1 * abs(epoch - 2), "epoch_seconds": 0.5}
        sent.append(EpochEnd(start + epoch + 0.125, epoch, metrics))
    return [*sent, end(state, reason=reason, best=best, time=start + epochs + 1)]


def end(state: str = "complete", *, reason: str = "", best: float = 0.9, time: float = START + 4) -> Finished:
    """Return the last event of a trial."""
    summary = {"best_val_accuracy": best, "best_epoch": 2, "parameters": 650, "train_seconds": 1.5}
    return Finished(time, state, reason, summary if state != "failed" else {})


def score(*, is_best: bool = False) -> Scored:
    return Scored(START + 99, {"test_accuracy": 0.88}, is_best)


def make_folder(folder: Path, model_file: Path | None = None) -> Path:
    """Make a trial directory; with a model if `model_file` is given."""
    (folder / "figures").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    (folder / "output.log").write_text("")
    if model_file is not None:
        (folder / "figures" / "learning_curves.png").write_bytes(b"\x89PNG")
        (folder / "summary.txt").write_text("Layer (type)\n")
        shutil.copyfile(model_file, folder / "model.keras")
    return folder


def record(tracker: StudyTracker, number: int, sent: Sequence[Event], folder: Path) -> None:
    """Record events one by one, as while the trial runs."""
    for event in sent:
        tracker.record(number, CONFIG, [event], folder)


def run_of(tracker: StudyTracker, number: int) -> Any:
    uid = trial_uid(tracker.facts.uid, number)
    return tracker.store.find_run(tracker.experiment_id, uid)


def all_runs(store: zoo.tracking.Store, experiment_id: str) -> list[Any]:
    return list(store.runs(experiment_id, ""))


def history(store: zoo.tracking.Store, run: Any, key: str) -> list[tuple[int, int, float]]:
    """Return `(step, timestamp in ms, value)` of each point, in the order of the epochs."""
    points = store.client.get_metric_history(run.info.run_id, key)
    return sorted((point.step, point.timestamp, point.value) for point in points)


def artifacts(store: zoo.tracking.Store, run: Any, folder: str | None = None) -> list[str]:
    found = []
    for entry in store.client.list_artifacts(run.info.run_id, folder):
        found += artifacts(store, run, entry.path) if entry.is_dir else [entry.path]
    return sorted(found)


def logged_models(store: zoo.tracking.Store, experiment_id: str) -> list[Any]:
    return list(store.client.search_logged_models([experiment_id]))


def content(tracker: StudyTracker) -> dict[str, Any]:
    """Return what MLflow has of a study, without the ids that MLflow generates."""
    store = tracker.store
    runs = all_runs(store, tracker.experiment_id)
    return {
        "runs": {run.info.run_name: _run_content(store, run, tracker.run_id) for run in runs},
        "number of runs": len(runs),
        "models": [
            {
                "status": str(model.status),
                "name": model.name,
                "tags": _own(model.tags),
                "params": model.params,
                "metrics": sorted((m.key, m.step, m.timestamp, m.value) for m in model.metrics),
            }
            for model in logged_models(store, tracker.experiment_id)
        ],
    }


def _run_content(store: zoo.tracking.Store, run: Any, study_run: str) -> dict[str, Any]:
    own = run.info.run_id == study_run
    return {
        "status": run.info.status,
        "times": None if own else (run.info.start_time, run.info.end_time),
        "tags": _own(run.data.tags),
        "params": run.data.params,
        "metrics": {key: history(store, run, key) for key in run.data.metrics},
        "datasets": [entry.dataset.digest for entry in run.inputs.dataset_inputs],
        "outputs": [output.step for output in run.outputs.model_outputs] if run.outputs else [],
        "artifacts": artifacts(store, run),
    }


def _own(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("zoo.")}
