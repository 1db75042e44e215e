"""The champion: the best complete trial, scored once on the test split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from zoo.errors import ZooError
from zoo.events import Scored
from zoo.training.saved import score_test_split
from zoo.training.worker import call_in_worker
from zoo.tuning.interrupts import Interrupted
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy
from zoo.tuning.supervisor import TrialSource


def score_champion(study: OpenStudy, source: TrialSource, record: MLflowRecord) -> Mapping[str, float]:
    """Return the scores of the best trial on the test split; {} if there is none, no model, or no test split.

    It is scored once; later calls read the recorded scores. After a signal, the next run of the study
    scores it.
    """
    best = source.best()
    if best is None or "test" not in study.dataset.sizes:
        return {}
    trial = study.directory.trial(best[0])
    event = trial.scored() or _score(study, best[0])
    if event is None:
        return {}
    # Recording the same scores again in MLflow has no effect; it may not have answered the first time.
    record.put(best[0], trial.config() or {}, [replace(event, is_champion=True)], trial.path)
    return event.metrics


def _score(study: OpenStudy, number: int) -> Scored | None:
    """Score a trial's model and log the event; return None if that fails (reported), or after a signal."""
    trial = study.directory.trial(number)
    if not trial.model_path.exists():
        study.display.problem(
            f"trial {number} was not scored on the test split: {trial.model_path} does not exist any more. "
            f"To train it again: zoo train {study.directory.study} --trial {number}"
        )
        return None
    study.display.phase("scoring the best model on the test split …")
    arguments = (trial.model_path, study.directory.cache_dir, study.dataset.digest)
    try:
        with study.interrupts.interruptible():
            metrics = call_in_worker(score_test_split, *arguments, log_path=trial.output_path)
    except Interrupted:
        return None
    except ZooError as error:
        study.display.problem(f"trial {number} was not scored on the test split: {error}")
        return None
    event = Scored(time.time(), metrics)
    trial.append(event)
    return event


def delete_copies(study: OpenStudy, source: TrialSource, record: MLflowRecord) -> None:
    """Delete the local models of the trials that MLflow has, except the best trial's."""
    best = source.best()
    for number in record.recorded():
        if best is None or number != best[0]:
            study.directory.trial(number).delete_copies()
