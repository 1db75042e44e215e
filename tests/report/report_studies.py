"""Parts of a recorded study that was never trained: local record, predictions, Optuna study, dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from shared_tools import CONFIG

from zoo.data import Dataset, Split
from zoo.data.store import save_dataset
from zoo.data.validation import cut_validation, validation_split
from zoo.events import EpochEnd, Finished, Scored, Started
from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.training import training_space
from zoo.trial import PluginConfig

START = datetime(2026, 11, 30, 13).timestamp()
VALIDATION = {"fraction": 0.25, "seed": 0}
MANIFEST = {"plugins": {"keras-zoo": "0.1.0", "zoo-tiny": "1.2"}, "validation": VALIDATION}


@dataclass(frozen=True)
class Trial:
    """A trial to record: its state, its best value and its number of epochs."""

    state: str
    value: float = 0.0
    epochs: int = 3
    reason: str = ""
    is_interrupted: bool = False
    summary: Mapping[str, float] = field(default_factory=dict)


SEVERAL = [
    Trial("complete", 0.9),
    Trial("complete", 0.85),
    Trial("pruned", 0.3, epochs=2, reason="pruned after epoch 2"),
    Trial("pruned", epochs=0, reason="1,234 parameters, but max_parameters is 1,000"),
    Trial("failed", epochs=1, reason="ValueError: <img src=x>"),
    Trial("failed", epochs=1, reason="interrupted: the study was stopped", is_interrupted=True),
    Trial("running", 0.5, epochs=2),
]


def dataset(class_names: Sequence[str], *, has_test: bool = True, warning: str = "") -> Dataset:
    stream = np.random.default_rng(0)
    labels = np.arange(8 * len(class_names)) % len(class_names)
    images = stream.integers(0, 255, (len(labels), 6, 6, 1), dtype=np.uint8)
    split = Split(images, labels)
    return Dataset(split, None, split if has_test else None, tuple(class_names), "made up", warning)


def make_study(
    root: Path,
    trials: Sequence[Trial],
    *,
    class_names: Sequence[str] = ("cat", "dog", "cow"),
    objectives: Sequence[Objective] = (Objective("val_accuracy", "maximize"),),
    has_test: bool = True,
    in_optuna: bool = True,
    warning: str = "",
) -> StudyDirectory:
    """Make the record of a study `made` in the folder `root`; the first complete trial has predictions."""
    directory = StudyDirectory(root, "made")
    directory.create()
    made = dataset(class_names, has_test=has_test, warning=warning)
    digest = save_dataset(directory.cache_dir, made)
    cut_validation(directory.cache_dir, digest, made, VALIDATION)
    directory.assign("5f0c", objectives)
    directory.describe('dataset = "tiny" # <study>', "zoo tune made --trials 9")
    for number, trial in enumerate(trials):
        record(directory, number, trial, digest, objectives)
    best = next((number for number, trial in enumerate(trials) if trial.state == "complete"), None)
    if best is not None:
        split = validation_split(directory.cache_dir, digest, made, VALIDATION)
        predict(directory, best, np.asarray(split.labels), len(class_names))
    if in_optuna:
        search(directory, trials, objectives)
    return directory


def record(
    directory: StudyDirectory, number: int, trial: Trial, digest: str, objectives: Sequence[Objective]
) -> None:
    config = replace(
        CONFIG,
        dataset=PluginConfig("tiny"),
        digest=digest,
        validation=VALIDATION,
        architecture=PluginConfig("net", {"units": (8, 16), "act": "relu"}),
        training=training_space().check({"epochs": 5, "learning_rate": 0.001 * (number + 1)}),
        seed=number,
    )
    made, time = directory.trial(number), START + 60 * number
    made.create(config.as_json())
    made.append(Started(time, "cpu", "tensorflow", 1234))
    for epoch in range(1, trial.epochs + 1):
        value = trial.value * epoch / trial.epochs
        made.append(EpochEnd(time + epoch, epoch, {"val_accuracy": value, "epoch_seconds": 2.0}))
    if trial.state != "running":
        summary = {"best_val_accuracy": trial.value, "best_epoch": 3, "parameters": 1234, **trial.summary}
        end = {"reason": trial.reason, "is_interrupted": trial.is_interrupted}
        is_rejected = trial.epochs == 0
        made.append(Finished(time + 40, trial.state, summary={} if is_rejected else summary, **end))


def predict(directory: StudyDirectory, number: int, labels: Any, num_classes: int) -> None:
    """Record predictions of a trial, the first of them wrong, and test scores."""
    probabilities = np.full((len(labels), num_classes), 0.1 / max(1, num_classes - 1))
    predicted = labels.copy()
    predicted[0] = (predicted[0] + 1) % num_classes
    probabilities[np.arange(len(labels)), predicted] = 0.9
    np.savez(directory.trial(number).predictions_path, probabilities=probabilities, labels=labels)
    directory.trial(number).append(Scored(START, {"test_accuracy": 0.875, "test_loss": 0.3}))


def search(directory: StudyDirectory, trials: Sequence[Trial], objectives: Sequence[Objective]) -> None:
    import optuna
    import sqlalchemy
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    path = directory.path.parents[1] / "optuna.db"
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    # Without waiting for the disk, a thousand trials take seconds.
    sqlalchemy.event.listen(
        storage.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF")
    )
    storage.engine.dispose()
    study = optuna.create_study(
        study_name="made", storage=storage, directions=[one.direction for one in objectives]
    )
    study.set_user_attr("zoo.manifest", json.dumps(MANIFEST))
    domains = {
        "training.learning_rate": FloatDistribution(1e-4, 100, log=True),
        "net.act": CategoricalDistribution(["relu", "<b>tanh</b>"]),
        "net.units.length": IntDistribution(1, 2),
        "net.units.0": IntDistribution(4, 64),
    }
    states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "running": "RUNNING"}
    for number, trial in enumerate(trials):
        start = datetime.fromtimestamp(START) + timedelta(minutes=number)
        values = [
            trial.value if one.metric == "val_accuracy" else trial.summary[one.metric] for one in objectives
        ]
        frozen = optuna.trial.create_trial(
            state=optuna.trial.TrialState[states[trial.state]],
            values=values if trial.state == "complete" else None,
            params={
                "training.learning_rate": 0.001 * (number + 1),
                "net.act": ["relu", "<b>tanh</b>"][number % 2],
                "net.units.length": 1,
                "net.units.0": 4 + number % 60,
            },
            distributions=domains,
        )
        frozen.datetime_start = start
        frozen.datetime_complete = None if trial.state == "running" else start + timedelta(seconds=40)
        study.add_trial(frozen)
