"""Scores on the test split: of the best trial, and of predictions by the registered metrics of a study."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt

from zoo.disk_space import keep_trying
from zoo.errors import RecordError, ZooError
from zoo.events import Scored
from zoo.failpoints import failpoint
from zoo.files import temporary_folder
from zoo.record import read_predictions, trial_uid
from zoo.tracking import fetch_model
from zoo.training.measuring import measure_predictions
from zoo.training.saved import score_test_split
from zoo.training.worker import call_in_worker
from zoo.trial import TrialConfig, test_metric
from zoo.tuning.display import Display
from zoo.tuning.interrupts import Interrupted
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy
from zoo.tuning.search import OptunaSearch


def score_best(
    study: OpenStudy, search: OptunaSearch, record: MLflowRecord, *, only_recorded: bool = False
) -> Mapping[str, float]:
    """Return the scores of the best trial on the test split; {} if there is no trial, model or test split.

    A trial is scored once; its event log keeps the scores. After a signal, the study's next run scores it.
    With `only_recorded`, MLflow gets the scores of the event log, and no trial is scored.
    """
    best = search.best()
    if best is None or not has_test_split(study):
        return {}
    trial = study.directory.trial(best[0])
    event = trial.latest_score()
    if event is None and not only_recorded:
        event = _score_trial(study, best[0])
    if event is None:
        return {}
    # Logging the same scores again has no effect, and MLflow may not have answered the first time.
    record.put(best[0], trial.config() or {}, [replace(event, is_best=True)], trial.path)
    return event.metrics


def recorded_scores(study: OpenStudy, search: OptunaSearch) -> Mapping[str, float]:
    """Return the scores of the best trial in its event log; {} if there are none."""
    best = search.best()
    event = None if best is None else study.directory.trial(best[0]).latest_score()
    return {} if event is None or not has_test_split(study) else event.metrics


def has_test_split(study: OpenStudy) -> bool:
    return "test" in study.dataset.sizes


def _score_trial(study: OpenStudy, number: int) -> Scored | None:
    """Score a trial's model and log the event; return None after a reported error, or after a signal."""
    trial = study.directory.trial(number)
    data = study.directory.cache_dir, study.dataset.digest, trial.test_predictions_path
    study.display.phase("scoring the best model on the test split …")
    try:
        with study.interrupts.interruptible(), model_file(study, number) as path:
            study.verified.result()
            score = partial(call_in_worker, score_test_split, path, *data, log_path=trial.output_path)
            metrics = keep_trying(score, trial.test_predictions_path, study.display.problem)
            if (config := trial.trial_config()) is None:
                raise RecordError(f"{trial.config_path} is missing. Restore it from a backup.")
            predictions = read_predictions(trial.test_predictions_path)
            metrics |= score_registered(config, *predictions, trial.output_path, study.display)
    except Interrupted:
        return None
    except ZooError as error:
        study.display.problem(f"trial {number} was not scored on the test split: {error}")
        return None
    event = Scored(time.time(), metrics)
    trial.append(event)
    failpoint("study.scored")
    return event


@contextmanager
def model_file(study: OpenStudy, number: int) -> Iterator[Path]:
    """Yield the file of a trial's model: the local one, or else a copy from MLflow."""
    trial = study.directory.trial(number)
    if trial.model_path.exists():
        yield trial.model_path
        return
    # A trial that was not the best one when it was recorded has its model only in MLflow.
    uid = trial_uid(str(study.directory.uid()), number)
    with temporary_folder(trial.path) as folder:
        yield fetch_model(study.store.result(), study.definition.name, uid, folder)


def score_registered(
    config: TrialConfig,
    labels: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    log_path: Path,
    display: Display,
) -> dict[str, float]:
    """Return `test_NAME` of each registered metric that a trial measured; {} if it measured none.

    A metric without a value is reported and left out: the other scores are valid.

    Args:
        labels, probabilities: `(n,)` and `(n, num_classes)`, for the test split.
        log_path: for the output of the worker process in which the metrics run.
    """
    if not config.metrics:
        return {}
    names = list(config.metrics.values())
    values, problems = call_in_worker(measure_predictions, names, labels, probabilities, log_path=log_path)
    for problem in problems:
        display.problem(f"a score is missing: {problem}")
    return {test_metric(name): value for name, value in values.items()}
