"""The champion: the best complete trial, scored once on the test split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.errors import ZooError
from zoo.training.scoring import score_test_split
from zoo.training.worker import call_in_worker
from zoo.tuning.display import Display
from zoo.tuning.interrupts import Interrupts
from zoo.tuning.record import StudyRecord, TrialRecord
from zoo.tuning.search import OptunaSearch
from zoo.tuning.supervisor import Tracker


def score_champion(
    search: OptunaSearch,
    record: StudyRecord,
    tracker: Tracker,
    digest: str,
    display: Display,
    interrupts: Interrupts,
) -> Mapping[str, float]:
    """Score the champion's model on the test split, once; what is recorded already is read back.

    Raises:
        Interrupted: it was told to stop; the next run of the study scores it.
    """
    best = search.best()
    if best is None:
        return {}
    number = best[0]
    trial = record.trial(number)
    known = trial.tested()
    if known is not None:  # MLflow may have been away then, and what it has it knows when it hears it again
        _crown(number, trial, known, tracker)
        recorded: Mapping[str, float] = known["metrics"]
        return recorded
    model = trial.folder / "model.keras"
    if not model.exists():
        display.problem(
            f"trial {number} was not scored on the test split: its model is not in {trial.folder} any more; "
            f"to have it again: zoo train --study {record.folder.name} --trial {number}"
        )
        return {}
    display.phase("scoring the best model on the test split …")
    try:
        with interrupts.welcome():
            metrics = call_in_worker(
                score_test_split, model, record.cache, digest, log_path=trial.folder / "output.log"
            )
    except ZooError as error:
        display.problem(f"trial {number} was not scored on the test split: {error}")
        return {}
    _crown(number, trial, trial.add_tested(metrics), tracker)
    return dict(metrics)


def _crown(number: int, trial: TrialRecord, event: Mapping[str, Any], tracker: Tracker) -> None:
    """Tell of the champion's figures as such: `zoo evaluate` leaves the same event with any trial."""
    tracker.put(number, trial.config() or {}, {**event, "champion": True}, trial.folder)


def drop_copies(record: StudyRecord, search: OptunaSearch, recorded: list[int]) -> None:
    """Of the trials that MLflow holds, keep only the champion's model here."""
    best = search.best()
    for number in recorded:
        if best is None or number != best[0]:
            record.trial(number).drop_copies()
