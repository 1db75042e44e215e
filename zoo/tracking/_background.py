"""The tracker in a thread of its own, so that a trial never waits for MLflow.

Events that MLflow refuses, or cannot receive, are kept. They are sent again when MLflow answers again,
and once more when the tracker is closed. No error in the thread ends a study; each is reported once
through `on_problem`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.events import Event, Finished
from zoo.tracking._store import reason
from zoo.tracking._writer import StudyTracker


@dataclass(eq=False)
class _Batch:
    """Events of one trial that go to MLflow together, and the problem if MLflow does not take them."""

    number: int
    config: Mapping[str, Any]
    events: Sequence[Event]
    folder: Path
    problem: str = ""

    @property
    def end(self) -> Finished | None:
        return next((event for event in self.events if isinstance(event, Finished)), None)


class BackgroundTracker:
    """A queue, and a thread that records what is in it.

    Args:
        open_writer: called in the thread, since importing MLflow takes seconds.
        draw: called with the directory and the configuration of a complete trial, before its figures
            are uploaded.
        on_problem: called from the thread with one line, once for each different problem.
        retry_seconds: time to wait before events that MLflow did not take are sent again.
    """

    def __init__(
        self,
        open_writer: Callable[[], StudyTracker],
        *,
        draw: Callable[[Path, Mapping[str, Any]], None] | None = None,
        on_problem: Callable[[str], None] = lambda text: None,
        retry_seconds: float = 10.0,
    ) -> None:
        self._draw = draw
        self._on_problem = on_problem
        self._retry_s = retry_seconds
        self._queue: queue.SimpleQueue[_Batch | str] = queue.SimpleQueue()  # last, the study's status
        self._opened: futures.Future[StudyTracker] = futures.Future()
        self._ended: dict[int, _Batch] = {}  # the batches with the end of a trial that MLflow has
        self._unsent: list[_Batch] = []
        self._is_offline = False
        self._retry_at = 0.0
        self._reported: set[str] = set()
        self._front: tuple[Sequence[int], Path | None] | None = None
        self._is_complete = False
        self._thread = threading.Thread(
            target=self._run, args=[open_writer], name="zoo-tracking", daemon=True
        )
        self._thread.start()

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until the writer is open; return False if that takes longer than `timeout` seconds.

        Raises:
            Exception: the error of `open_writer`, such as a TrackingError.
        """
        opened, _ = futures.wait([self._opened], timeout)
        for future in opened:
            future.result()
        return bool(opened)

    def put(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None:
        """Record events of a trial, in the thread. The arguments are those of `StudyTracker.record`."""
        self._queue.put(_Batch(number, config, tuple(events), folder))

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Mark the trials on the Pareto front, when everything else is recorded."""
        self._front = (numbers, figure)

    @property
    def is_running(self) -> bool:
        """True until the thread has ended."""
        return self._thread.is_alive()

    def recorded(self) -> list[int]:
        """Return the trials that MLflow has completely, with files and model."""
        incomplete = {batch.number for batch in self._unsent.copy()}
        return sorted(self._ended.copy().keys() - incomplete)

    def close(self, status: str = "FINISHED", timeout: float | None = None) -> bool:
        """Send the rest, end the study's run, and stop; return True if MLflow has everything.

        Args:
            status: `FINISHED`, `KILLED` (interrupted) or `FAILED`.
            timeout: seconds to wait; after that, the thread goes on until the process ends.
        """
        if self._thread.is_alive():
            self._queue.put(status)
            self._thread.join(timeout)
        return not self._thread.is_alive() and self._is_complete

    def _run(self, open_writer: Callable[[], StudyTracker]) -> None:
        writer: StudyTracker | None = None
        try:
            writer = open_writer()
            self._opened.set_result(writer)
        except Exception as error:
            self._opened.set_exception(error)  # raised by `ready`
        while isinstance(item := self._queue.get(), _Batch):
            self._draw_figures(item)
            if writer is None:
                continue
            if self._unsent and time.monotonic() >= self._retry_at:
                self._resend(writer)
            if not self._send(writer, item):
                self._unsent.append(item)
        if writer is not None:
            self._finish(writer, item)

    def _resend(self, writer: StudyTracker) -> None:
        """Send what is unsent, oldest first, if MLflow answers."""
        if self._is_offline:
            self._check_connection(writer)
        for batch in self._unsent.copy():
            if self._send(writer, batch):
                self._unsent.remove(batch)

    def _send(self, writer: StudyTracker, batch: _Batch) -> bool:
        """Record a batch; return False if MLflow refuses it, or is known to be offline."""
        if self._is_offline:
            return False
        try:
            is_recorded = writer.record(batch.number, batch.config, batch.events, batch.folder)
        except Exception as error:
            batch.problem = reason(error)
            if self._check_connection(writer):
                text = f"MLflow refused an event of trial {batch.number}: {batch.problem}"
                self._report(text, batch.problem)
            else:
                later = "the trials go on and are recorded in MLflow later"
                self._report(f"MLflow stopped answering ({batch.problem}); {later}.", "offline")
            return False
        if is_recorded and batch.end is not None:
            self._ended[batch.number] = batch
        return True

    def _check_connection(self, writer: StudyTracker) -> bool:
        self._is_offline = not writer.store.answers()
        self._retry_at = time.monotonic() + self._retry_s
        return not self._is_offline

    def _finish(self, writer: StudyTracker, status: str) -> None:
        self._resend(writer)
        if not self._is_offline:
            # MLflow may have the end of a trial but not one of its epochs: tag its run, so that a later
            # process sends it.
            problems = {batch.number: batch.problem for batch in self._unsent}
            for batch in [*self._ended.values(), *self._unsent]:
                if batch.end is not None and batch.number in problems:
                    with self._reporting(f"MLflow refused to end the run of trial {batch.number}"):
                        writer.give_up(batch.number, batch.config, batch.end, problems[batch.number])
            with self._reporting("MLflow refused to end the study's run"):
                if self._front is not None:
                    writer.show_front(*self._front)
                writer.finish(status)
                self._is_complete = not self._unsent
        if self._unsent:
            numbers = sorted({batch.number for batch in self._unsent})
            self._report(f"MLflow has an incomplete record of trial {', '.join(map(str, numbers))}.")

    def _draw_figures(self, batch: _Batch) -> None:
        if self._draw is not None and batch.end is not None and batch.end.state == "complete":
            with self._reporting(f"The figures of trial {batch.number} were not drawn"):
                self._draw(batch.folder, batch.config)

    @contextmanager
    def _reporting(self, problem: str) -> Iterator[None]:
        """Report an error in the block instead of raising it."""
        try:
            yield
        except Exception as error:
            self._report(f"{problem}: {reason(error)}", reason(error))

    def _report(self, text: str, problem: str = "") -> None:
        """Report a problem, once."""
        if (problem or text) in self._reported:
            return
        self._reported.add(problem or text)
        with suppress(Exception):  # such as a closed terminal, which must not stop the thread
            self._on_problem(text)
