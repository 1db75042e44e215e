"""The champion: the best complete trial, scored once on the test split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from zoo.errors import ZooError
from zoo.events import Scored
from zoo.record import StudyDirectory, TrialDirectory
from zoo.training.saved import score_test_split
from zoo.training.worker import call_in_worker
from zoo.tuning.display import Display
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.supervisor import Tracker, TrialSource


def score_champion(
    source: TrialSource,
    directory: StudyDirectory,
    tracker: Tracker,
    digest: str,
    display: Display,
    interrupts: Interrupts,
) -> Mapping[str, float]:
    """Return the scores of the best trial on the test split; {} if there is no best trial, or no model.

    It is scored once; later calls read the recorded scores.

    Args:
        digest: of the prepared dataset.

    Raises:
        Interrupted: a signal came; the next run of the study scores it.
    """
    best = source.best()
    if best is None:
        return {}
    number = best[0]
    trial = directory.trial(number)
    event = trial.scored() or _score(number, trial, directory, digest, display, interrupts)
    if event is None:
        return {}
    # Recording the same scores again in MLflow has no effect; it may not have answered the first time.
    tracker.put(number, trial.config() or {}, [replace(event, is_champion=True)], trial.path)
    return event.metrics


def _score(
    number: int,
    trial: TrialDirectory,
    directory: StudyDirectory,
    digest: str,
    display: Display,
    interrupts: Interrupts,
) -> Scored | None:
    """Score a trial's model and log the event; report a problem and return None if that fails."""
    if not trial.model_path.exists():
        display.problem(
            f"trial {number} was not scored on the test split: {trial.model_path} does not exist any more. "
            f"To train it again: zoo train {directory.study} --trial {number}"
        )
        return None
    display.phase("scoring the best model on the test split …")
    try:
        with interrupts.interruptible():
            metrics = call_in_worker(
                score_test_split,
                trial.model_path,
                directory.cache_dir,
                digest,
                log_path=trial.output_path,
            )
    except ZooError as error:
        display.problem(f"trial {number} was not scored on the test split: {error}")
        return None
    event = Scored(time.time(), metrics)
    trial.append(event)
    return event


def delete_copies(source: TrialSource, directory: StudyDirectory, recorded: list[int]) -> None:
    """Delete the local models of the trials that MLflow has, except the best trial's."""
    best = source.best()
    for number in recorded:
        if best is None or number != best[0]:
            directory.trial(number).delete_copies()
