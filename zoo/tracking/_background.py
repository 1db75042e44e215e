"""The tracker in its own thread, so that a trial never waits for MLflow.

Events that MLflow refuses or cannot receive are kept. They are sent again later, and once more when the
tracker is closed. An error in the thread does not stop the study; `on_problem` reports each error once.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.disk_space import is_full
from zoo.events import Event, Finished
from zoo.record import TrialDirectory
from zoo.tracking._names import StudySummary
from zoo.tracking._store import StoreAway, reason
from zoo.tracking._writer import StudyTracker


@dataclass(eq=False)
class _Batch:
    """Events of one trial that are sent together, and MLflow's error if MLflow has refused them."""

    number: int
    config: Mapping[str, Any]
    events: Sequence[Event]
    folder: Path
    problem: str = ""

    @property
    def final_event(self) -> Finished | None:
        return next((event for event in self.events if isinstance(event, Finished)), None)


@dataclass(frozen=True)
class _Removal:
    """A trial whose model and figures will be removed."""

    number: int
    folder: Path


class BackgroundTracker:
    """A queue of events, and a thread that sends them to MLflow.

    Args:
        open_tracker: opens the tracker; called in the thread, because importing MLflow takes seconds.
        draw: called in the thread with the directory and the configuration of a complete trial.
        on_problem: called from the thread with one line, once for each different problem.
        on_note: called from the thread with one line when MLflow answers again.
        retry_s: seconds to wait before events are sent again.
    """

    def __init__(
        self,
        open_tracker: Callable[[], StudyTracker],
        *,
        draw: Callable[[Path, Mapping[str, Any]], None] | None = None,
        on_problem: Callable[[str], None] = lambda text: None,
        on_note: Callable[[str], None] = lambda text: None,
        retry_s: float = 10.0,
    ) -> None:
        self._draw = draw
        self._open_tracker = open_tracker
        self._on_problem = on_problem
        self._on_note = on_note
        self._retry_s = retry_s
        self._queue: queue.SimpleQueue[_Batch | _Removal | str] = queue.SimpleQueue()  # the status comes last
        self._opened: futures.Future[StudyTracker] = futures.Future()
        self._ended: set[int] = set()  # trials whose final event is recorded
        self._unsent: list[_Batch] = []
        self._removed: set[int] = set()  # trials whose models are not kept
        self._removals: list[int] = []  # trials whose models MLflow may still have
        self._is_offline = False
        self._retry_at = 0.0
        self._reported: set[str] = set()
        self._summary: StudySummary | None = None
        self._report_path: Path | None = None
        self._is_complete = self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="zoo-tracking", daemon=True)
        self._thread.start()

    def ready(self, timeout: float | None = None) -> bool:
        """Wait for the first call of `open_tracker`, and raise its error; False after `timeout` seconds."""
        opened, _ = futures.wait([self._opened], timeout)
        for future in opened:
            future.result()
        return bool(opened)

    def put(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None:
        """Queue events of a trial. The arguments are those of `StudyTracker.record`."""
        self._queue.put(_Batch(number, config, tuple(events), folder))

    def remove_model(self, number: int, folder: Path) -> None:
        """Queue the removal of a trial's model and figures, in MLflow and in the trial directory `folder`."""
        self._removed.add(number)
        self._queue.put(_Removal(number, folder))

    def record_summary(self, summary: StudySummary) -> None:
        """Record the results of the study, after all events are sent."""
        self._summary = summary

    def record_report(self, path: Path) -> None:
        """Upload the report of the study, after all events are sent."""
        self._report_path = path

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def recorded_trials(self) -> list[int]:
        """Return the numbers of the trials that MLflow has completely, with files and model."""
        incomplete = {batch.number for batch in self._unsent.copy()}
        return sorted(self._ended.copy() - incomplete)

    def close(self, status: str = "FINISHED", timeout: float | None = None) -> bool:
        """Send the rest, end the study's run with `status`, and stop; return True if MLflow has everything.

        After `timeout` seconds it returns, and the thread continues until the process ends. Another call
        waits again; its `status` has no effect.
        """
        if self._thread.is_alive():
            if not self._is_closing:
                self._queue.put(status)
            self._is_closing = True
            self._thread.join(timeout)
        return not self._thread.is_alive() and self._is_complete

    def _run(self) -> None:
        tracker = self._open()
        while not isinstance(item := self._next(), str):
            if isinstance(item, _Removal):
                with self._reporting(f"the model of trial {item.number} was not deleted"):
                    TrialDirectory(item.folder).delete_results()
                self._removals.append(item.number)
            elif item is not None:
                self._draw_figures(item)
            tracker = self._resend(tracker)
            if isinstance(item, _Batch) and (tracker is None or not self._send(tracker, item)):
                self._unsent.append(item)
        self._retry_at = 0.0
        tracker = self._resend(tracker)
        if tracker is not None:
            self._finish(tracker, item)

    def _open(self) -> StudyTracker | None:
        """Return the tracker; None if that fails. A later call tries again only if MLflow was away."""
        try:
            tracker = self._open_tracker()
        except Exception as error:
            self._is_offline = isinstance(error, StoreAway)
            if self._is_offline and is_full(error):  # other cases are reported at the start
                self._report(f"{error} The trials continue; MLflow gets their events then.", key="offline")
            self._retry_at = time.monotonic() + (self._retry_s if self._is_offline else math.inf)
            if not self._opened.done():
                self._opened.set_exception(error)  # `ready` raises the error
            return None
        if not self._opened.done():
            self._opened.set_result(tracker)
        return tracker

    def _next(self) -> _Batch | _Removal | str | None:
        """Return the next item of the queue; None if it is time to try MLflow again."""
        try:
            return self._queue.get(timeout=self._retry_s if self._is_offline else None)
        except queue.Empty:
            return None

    def _resend(self, tracker: StudyTracker | None) -> StudyTracker | None:
        """If MLflow answers, send the unsent batches, oldest first, then remove models.

        Do nothing before the time of the next attempt. Return the tracker, None if it cannot be opened.
        """
        if time.monotonic() < self._retry_at:
            return tracker
        if tracker is None:
            tracker = self._open()
            if tracker is None:
                return None
        if self._is_offline and self._check_connection(tracker):
            self._on_note("MLflow answers again; it gets what it lacks")
            self._reported.discard("offline")
        for batch in self._unsent.copy():
            if self._send(tracker, batch):
                self._unsent.remove(batch)
        for number in self._removals.copy():
            if self._is_offline:
                break
            try:
                tracker.remove_model(number)
                self._removals.remove(number)
            except Exception as error:
                text = f"MLflow refused to remove the model of trial {number}: {reason(error)}"
                self._report(f"{text}; it is removed later", key=reason(error))
                self._check_connection(tracker)
        return tracker

    def _send(self, tracker: StudyTracker, batch: _Batch) -> bool:
        """Record a batch; return False if MLflow refuses it, or if MLflow is known to be offline."""
        if self._is_offline:
            return False
        try:
            is_recorded = tracker.record(
                batch.number,
                batch.config,
                batch.events,
                batch.folder,
                keep_model=batch.number not in self._removed,
            )
        except Exception as error:
            batch.problem = reason(error)
            if self._check_connection(tracker):
                self._report(
                    f"MLflow refused an event of trial {batch.number}: {batch.problem}; "
                    "it is sent again later",
                    key=batch.problem,
                )
            else:
                self._report(
                    f"MLflow stopped answering ({batch.problem}); "
                    "the trials continue, and their events are sent later.",
                    key="offline",
                )
            return False
        if is_recorded and batch.final_event is not None:
            self._ended.add(batch.number)
        return True

    def _check_connection(self, tracker: StudyTracker) -> bool:
        """Return True if MLflow answers; also set the time of the next attempt."""
        self._is_offline = not tracker.store.answers()
        self._retry_at = time.monotonic() + self._retry_s
        return not self._is_offline

    def _finish(self, tracker: StudyTracker, status: str) -> None:
        if not self._is_offline:
            # MLflow may have the final event of a trial, but lack one of its epochs. Because of the tag on
            # the run, a later process sends the epoch.
            for number, batch in {one.number: one for one in self._unsent}.items():
                with self._reporting(f"MLflow refused to end the run of trial {number}"):
                    event = TrialDirectory(batch.folder).final_event()
                    if event is not None:
                        tracker.end_with_problem(number, batch.config, event, batch.problem)
            if self._summary is not None:
                with self._reporting("MLflow refused the results of the study"):
                    tracker.record_summary(self._summary)
            if self._report_path is not None:
                with self._reporting("MLflow refused the report of the study"):
                    tracker.record_report(self._report_path)
            with self._reporting("MLflow refused to end the study's run"):
                tracker.finish(status)
                self._is_complete = not self._unsent
        if self._removals:
            still = ", ".join(map(str, sorted(self._removals)))
            self._report(f"MLflow still has the model of trial {still}; the next `zoo tune` removes it.")
        if self._unsent:
            numbers = sorted({batch.number for batch in self._unsent})
            self._report(f"MLflow does not have all events of trial {', '.join(map(str, numbers))}.")

    def _draw_figures(self, batch: _Batch) -> None:
        is_complete = batch.final_event is not None and batch.final_event.state == "complete"
        if self._draw is not None and is_complete and batch.number not in self._removed:
            with self._reporting(f"the figures of trial {batch.number} were not drawn"):
                self._draw(batch.folder, batch.config)

    @contextmanager
    def _reporting(self, problem: str) -> Iterator[None]:
        """Report an error of the block; do not raise it."""
        try:
            yield
        except Exception as error:
            self._report(f"{problem}: {reason(error)}", key=reason(error))

    def _report(self, text: str, key: str = "") -> None:
        """Report a problem, unless a problem with the same `key` (by default its text) was reported."""
        key = key or text
        if key in self._reported:
            return
        self._reported.add(key)
        with suppress(Exception):  # such as a closed terminal, which must not stop the thread
            self._on_problem(text)
