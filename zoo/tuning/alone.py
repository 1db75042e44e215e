"""One training outside any search: `zoo train`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from zoo.errors import ZooError
from zoo.study import Objective
from zoo.trial import TrialConfig
from zoo.tuning.display import Display
from zoo.tuning.executor import Event, LocalExecutor, ended
from zoo.tuning.interrupts import Interrupted, Interrupts
from zoo.tuning.record import TrialRecord
from zoo.tuning.supervisor import Tracker


class TrialFailed(ZooError):
    """A training outside the search did not come to its end."""

    exit_status = 1


def run_alone(
    number: int,
    config: TrialConfig,
    cache: Path,
    record: TrialRecord,
    executor: LocalExecutor,
    tracker: Tracker,
    display: Display,
    interrupts: Interrupts,
) -> Event:
    """Train one configuration outside any search, nothing pruned; returns its last event.

    Raises:
        TrialFailed: it failed, was impossible, or was interrupted.
    """
    objective = Objective(config.objective, config.direction)
    display.begin(record.folder.parents[1].name, [objective], 0, 1)
    display.started(number, config)

    def hear(event: Event) -> None:
        """One event: to its file, back to the process, to MLflow."""
        if event["event"] == "progress":
            display.progress(number, event["epoch"], event["fraction"], event.get("fold", 1))
            return
        try:
            record.append(event)
        finally:  # a full disk is no reason to leave a run in MLflow as if it were at work
            tracker.put(number, config.as_json(), event, record.folder)
        if event["event"] == "epoch":
            executor.answer(number, True)
            display.epoch(number, event["epoch"], event["metrics"], event.get("fold", 1))

    def train() -> Event:
        with interrupts.welcome():
            executor.start(number, config, cache, record.folder)
        while True:
            with interrupts.welcome():
                ready = executor.wait(timeout=1.0)
            for one in ready:
                event = executor.read(one)
                hear(event)
                if event["event"] == "finished":
                    return event

    def stop(reason: str) -> Event | None:
        """The end that it had said already; None where it was stopped, for this reason."""
        with suppress(Exception):  # what stopped it may stand in the way of this too
            while executor.wait(timeout=0):
                event = executor.read(number)
                hear(event)
                if event["event"] == "finished":
                    return event
        executor.stop_all()
        hear(ended("failed", reason))
        return None

    try:
        finished = train()
    except Interrupted:
        end = stop("interrupted")
        if end is None:
            stopped = TrialFailed(f"stopped; what it reached is in {record.folder}")
            stopped.exit_status = interrupts.exit_status
            raise stopped from None
        finished = end
    except BaseException:
        stop("interrupted: the training was stopped")
        raise
    return _ended_well(finished, number, config, record, display)


def _ended_well(
    event: Event, number: int, config: TrialConfig, record: TrialRecord, display: Display
) -> Event:
    value = event["summary"].get(f"best_{config.objective}")
    best = None if value is None else (number, float(value))
    reached = {} if best is None else {config.objective: best[1]}
    display.finished(number, event["state"], reached, event["reason"], best, 1)
    if event["state"] != "complete":
        log = record.folder / "output.log"
        raise TrialFailed(
            f"the training was not completed ({event['state']}): {event['reason'].rstrip('.')}. "
            f"What it printed is in {log}"
        )
    return event
