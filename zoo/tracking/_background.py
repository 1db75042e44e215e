"""The tracker in a thread of its own, so that a trial never waits for MLflow.

    tracker = BackgroundTracker(lambda: StudyTracker(connect(), facts), draw=draw, on_problem=print)
    tracker.ready()                               # MLflow answers, the study's run is open
    tracker.put(7, config, [event], folder)       # returns at once, never raises
    is_complete = tracker.close("FINISHED", timeout=60)

Events that MLflow refuses, or cannot receive, are kept. They are sent again when MLflow answers again,
and once more when the tracker is closed. No error in the thread ends a study; each is reported once
through `on_problem`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.events import Event, Finished
from zoo.tracking._store import reason
from zoo.tracking._writer import StudyTracker

Draw = Callable[[Path, Mapping[str, Any]], None]


@dataclass(frozen=True)
class _Batch:
    """Events of one trial that go to MLflow together."""

    number: int
    config: Mapping[str, Any]
    events: Sequence[Event]
    folder: Path

    @property
    def end(self) -> Finished | None:
        return next((event for event in self.events if isinstance(event, Finished)), None)


@dataclass(frozen=True)
class _Close:
    status: str


class BackgroundTracker:
    """A queue, and a thread that records what is in it.

    Args:
        open_writer: called in the thread, since importing MLflow takes seconds.
        draw: called with the directory and the configuration of a complete trial, before its figures
            are uploaded.
        on_problem: called from the thread with one line, once for each different problem.
        retry_seconds: time to wait before a store that stopped answering is tried again.
    """

    def __init__(
        self,
        open_writer: Callable[[], StudyTracker],
        *,
        draw: Draw | None = None,
        on_problem: Callable[[str], None] = lambda text: None,
        retry_seconds: float = 10.0,
    ) -> None:
        self._open_writer = open_writer
        self._draw = draw
        self._on_problem = on_problem
        self._retry_s = retry_seconds
        self._queue: queue.SimpleQueue[_Batch | _Close] = queue.SimpleQueue()
        self._is_open = threading.Event()
        self._writer: StudyTracker | None = None
        self._opening_error: Exception | None = None
        self._unsent: list[tuple[_Batch, str]] = []  # with the reason
        self._is_offline = False
        self._retry_at = 0.0
        self._reported: set[str] = set()
        # Configuration and last event of each trial whose end is recorded.
        self._ended: dict[int, tuple[Mapping[str, Any], Finished]] = {}
        self._is_study_ended = False
        self._front: tuple[Sequence[int], Path | None] | None = None
        self._thread = threading.Thread(target=self._run, name="zoo-tracking", daemon=True)
        self._thread.start()

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until the writer is open; return False if that takes longer than `timeout` seconds.

        Raises:
            Exception: the error of `open_writer`, such as a TrackingError.
        """
        in_time = self._is_open.wait(timeout)
        if self._opening_error is not None:
            raise self._opening_error
        return in_time

    def put(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None:
        """Record events of a trial, in the thread. The arguments are those of `StudyTracker.record`."""
        self._queue.put(_Batch(number, config, tuple(events), folder))

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Mark the trials on the Pareto front, when everything else is recorded."""
        self._front = (numbers, figure)

    @property
    def working(self) -> bool:
        """True until the thread has ended."""
        return self._thread.is_alive()

    def recorded(self) -> list[int]:
        """Return the trials that MLflow has completely, with files and model."""
        incomplete = {batch.number for batch, _ in self._unsent.copy()}
        return sorted(self._ended.copy().keys() - incomplete)

    def close(self, status: str = "FINISHED", timeout: float | None = None) -> bool:
        """Send the rest, end the study's run, and stop; return True if MLflow has everything.

        Args:
            status: `FINISHED`, `KILLED` (interrupted) or `FAILED`.
            timeout: seconds to wait; after that, the thread goes on until the process ends.
        """
        if self._thread.is_alive():
            self._queue.put(_Close(status))
            self._thread.join(timeout)
        return not self._thread.is_alive() and self._is_study_ended and not self._unsent

    def _run(self) -> None:
        try:
            self._writer = self._open_writer()
        except Exception as error:
            self._opening_error = error  # raised by `ready`
        finally:
            self._is_open.set()
        while isinstance(item := self._queue.get(), _Batch):
            self._process(item)
        self._finish(item.status)

    def _process(self, batch: _Batch) -> None:
        self._draw_figures(batch)
        if self._writer is None:
            return
        if self._is_offline:
            if time.monotonic() < self._retry_at or not self._resend():
                self._unsent.append((batch, ""))
                return
        elif any(unsent.number == batch.number for unsent, _ in self._unsent):
            self._resend()
        self._send(batch)

    def _send(self, batch: _Batch) -> None:
        """Record a batch; if that fails, keep it."""
        assert self._writer is not None
        try:
            is_recorded = self._writer.record(batch.number, batch.config, batch.events, batch.folder)
        except Exception as error:
            self._unsent.append((batch, reason(error)))
            self._report_failure(batch, error)
            return
        if is_recorded and batch.end is not None:
            self._ended[batch.number] = batch.config, batch.end

    def _report_failure(self, batch: _Batch, error: Exception) -> None:
        assert self._writer is not None
        if self._writer.answers():
            text = f"MLflow refused an event of trial {batch.number}: {reason(error)}"
            self._report(text, reason(error))
            return
        self._go_offline()
        text = (
            f"MLflow stopped answering ({reason(error)}); the trials go on and are recorded in MLflow later."
        )
        self._report(text, "offline")

    def _go_offline(self) -> None:
        self._is_offline = True
        self._retry_at = time.monotonic() + self._retry_s

    def _resend(self) -> bool:
        """Send what is unsent, oldest first; return False if MLflow does not answer."""
        if self._writer is None:
            return False
        if self._is_offline and not self._writer.answers():
            self._go_offline()
            return False
        self._is_offline = False
        unsent, self._unsent = self._unsent, []
        while unsent:
            self._send(unsent.pop(0)[0])
            if self._is_offline:
                self._unsent += unsent
                return False
        return True

    def _finish(self, status: str) -> None:
        if self._resend():
            self._end_incomplete_runs()
            self._end_study(status)
        if self._unsent:
            numbers = sorted({batch.number for batch, _ in self._unsent})
            self._report(f"MLflow has an incomplete record of trial {', '.join(map(str, numbers))}.")

    def _end_incomplete_runs(self) -> None:
        """End the runs of trials that have ended, and tag what is missing, so that a later process sends it.

        MLflow may have recorded a trial's end but refused one of its epochs.
        """
        assert self._writer is not None
        ended = self._ended | {
            batch.number: (batch.config, batch.end) for batch, _ in self._unsent if batch.end
        }
        problems = {batch.number: problem for batch, problem in self._unsent}
        for number in sorted(problems.keys() & ended.keys()):
            config, end = ended[number]
            try:
                self._writer.give_up(number, config, end, problems[number])
            except Exception as error:
                self._report(f"MLflow refused to end the run of trial {number}: {reason(error)}")

    def _end_study(self, status: str) -> None:
        assert self._writer is not None
        try:
            if self._front is not None:
                self._writer.show_front(*self._front)
            self._writer.finish(status)
            self._is_study_ended = True
        except Exception as error:
            self._report(f"MLflow refused to end the study's run: {reason(error)}")

    def _draw_figures(self, batch: _Batch) -> None:
        if self._draw is None or batch.end is None or batch.end.state != "complete":
            return
        try:
            self._draw(batch.folder, batch.config)
        except Exception as error:
            text = f"The figures of trial {batch.number} were not drawn: {reason(error)}"
            self._report(text, reason(error))

    def _report(self, text: str, problem: str = "") -> None:
        """Report a problem, once. An error in `on_problem` must not stop the thread."""
        problem = problem or text
        if problem in self._reported:
            return
        self._reported.add(problem)
        try:
            self._on_problem(text)
        except Exception:
            self._on_problem = lambda text: None
