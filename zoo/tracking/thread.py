"""The tracker in a thread of its own, so that a trial never waits for MLflow.

    tracker = BackgroundTracker(lambda: StudyTracker(connect(), facts), draw=draw, on_problem=print)
    tracker.ready()                               # MLflow answers, the study's run is open
    tracker.put(7, config, event, folder)         # returns at once, never raises
    complete = tracker.close("FINISHED", timeout=60)

What MLflow does not take stays in line: it is tried again when MLflow answers again, and once more at
the end. Nothing that goes wrong in here ends a study; it is said once through `on_problem`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zoo.tracking.store import reason

Event = Mapping[str, Any]
Draw = Callable[[Path, Mapping[str, Any]], None]


class Writer(Protocol):
    """What runs in the thread: a `StudyTracker`, or a test's stand-in."""

    def handle(self, number: int, config: Mapping[str, Any], event: Event, folder: Path) -> None: ...

    def replay(
        self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path
    ) -> None: ...

    def give_up(self, number: int, config: Mapping[str, Any], event: Event, problem: str) -> None: ...

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None: ...

    def finish(self, status: str) -> None: ...

    def answers(self) -> bool: ...


@dataclass(frozen=True)
class _Work:
    """Events of one trial that go to MLflow together: one as it comes, or all at a replay."""

    number: int
    config: Mapping[str, Any]
    events: tuple[Event, ...]
    folder: Path

    @property
    def end(self) -> Event | None:
        return next((event for event in self.events if event["event"] == "finished"), None)


@dataclass(frozen=True)
class _Close:
    status: str


class BackgroundTracker:
    """Feeds a writer from a queue.

    Args:
        open_writer: makes the writer, in the thread: importing MLflow takes seconds.
        draw: called with a complete trial's folder and configuration before its figures are sent.
        on_problem: called from the thread with one line, once for every different problem.
        retry_seconds: how long a store that stopped answering is left alone.
    """

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        *,
        draw: Draw | None = None,
        on_problem: Callable[[str], None] = lambda text: None,
        retry_seconds: float = 10.0,
    ) -> None:
        self._open_writer = open_writer
        self._draw = draw
        self._on_problem = on_problem
        self._retry_seconds = retry_seconds
        self._queue: queue.SimpleQueue[_Work | _Close] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._writer: Writer | None = None
        self._failure: Exception | None = None
        self._late: list[tuple[_Work, str]] = []  # with why it was not taken
        self._away = False
        self._try_again_at = 0.0
        self._said: set[str] = set()
        # Configuration and `finished` event of every trial whose end was taken.
        self._ends: dict[int, tuple[Mapping[str, Any], Event]] = {}
        self._study_ended = False
        self._front: tuple[Sequence[int], Path | None] | None = None
        self._thread = threading.Thread(target=self._run, name="zoo-tracking", daemon=True)
        self._thread.start()

    def ready(self, timeout: float | None = None) -> bool:
        """Wait until the writer is open; False when that took longer than `timeout` seconds.

        Raises:
            Exception: what opening it raised, a `ZooError` where a person can put it right.
        """
        in_time = self._opened.wait(timeout)
        if self._failure is not None:
            raise self._failure
        return in_time

    def put(self, number: int, config: Mapping[str, Any], event: Event, folder: Path) -> None:
        """Have one event recorded; returns at once."""
        self._queue.put(_Work(number, config, (event,), folder))

    def replay(self, number: int, config: Mapping[str, Any], events: Sequence[Event], folder: Path) -> None:
        """Have all events of a trial recorded, those that MLflow holds already too; returns at once."""
        self._queue.put(_Work(number, config, tuple(events), folder))

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Have the trials that no other beats marked, when everything else is in; returns at once."""
        self._front = (numbers, figure)

    @property
    def working(self) -> bool:
        """Whether the thread is still at it."""
        return self._thread.is_alive()

    def recorded(self) -> list[int]:
        """The trials that MLflow holds to their end, files and model included."""
        late = {work.number for work, _ in self._late.copy()}
        return sorted(self._ends.copy().keys() - late)

    def close(self, status: str = "FINISHED", timeout: float | None = None) -> bool:
        """Send what is left, end the study's run, stop; True when MLflow has everything.

        Args:
            status: `FINISHED`, `KILLED` (interrupted) or `FAILED`.
            timeout: seconds to wait at most; the thread dies with the process.
        """
        if self._thread.is_alive():
            self._queue.put(_Close(status))
            self._thread.join(timeout)
        return not self._thread.is_alive() and self._study_ended and not self._late

    def _run(self) -> None:
        try:
            self._writer = self._open_writer()
        except Exception as error:
            self._failure = error  # `ready` raises it
        finally:
            self._opened.set()
        while True:
            item = self._queue.get()
            if isinstance(item, _Close):
                self._close(item.status)
                return
            self._work(item)

    def _work(self, work: _Work) -> None:
        self._draw_figures(work)
        if self._writer is None:
            return
        if self._away:
            if time.monotonic() < self._try_again_at or not self._retry():
                self._late.append((work, ""))
                return
        elif any(late.number == work.number for late, _ in self._late):
            self._retry()
        self._send(work)

    def _send(self, work: _Work) -> bool:
        """Whether MLflow took it; if not, it is in line for another time."""
        assert self._writer is not None
        try:
            if len(work.events) == 1:
                self._writer.handle(work.number, work.config, work.events[0], work.folder)
            else:
                self._writer.replay(work.number, work.config, work.events, work.folder)
        except Exception as error:
            self._late.append((work, reason(error)))
            self._not_taken(work, error)
            return False
        if work.end is not None:
            self._ends[work.number] = work.config, work.end
        return True

    def _not_taken(self, work: _Work, error: Exception) -> None:
        assert self._writer is not None
        if self._writer.answers():
            self._say(f"MLflow did not take an event of trial {work.number}: {reason(error)}", reason(error))
            return
        self._leave_alone()
        text = f"MLflow stopped answering ({reason(error)}); the trials go on and are added later."
        self._say(text, "away")

    def _leave_alone(self) -> None:
        self._away = True
        self._try_again_at = time.monotonic() + self._retry_seconds

    def _retry(self) -> bool:
        """Send what is late, oldest first; whether MLflow answers."""
        if self._writer is None:
            return False
        if self._away and not self._writer.answers():
            self._leave_alone()
            return False
        self._away = False
        late, self._late = self._late, []
        while late:
            self._send(late.pop(0)[0])
            if self._away:  # gone again
                self._late += late
                return False
        return True

    def _close(self, status: str) -> None:
        if self._retry():
            self._give_up_late()
            self._end_study(status)
        if self._late:
            trials = sorted({work.number for work, _ in self._late})
            self._say(f"MLflow does not have everything of trials {', '.join(map(str, trials))}.")

    def _give_up_late(self) -> None:
        """No run is left as if it were still at work, nor as if it were whole.

        A trial's end may have been taken where an epoch before it was not; only a run that says so
        is told again.
        """
        assert self._writer is not None
        ends = self._ends | {work.number: (work.config, work.end) for work, _ in self._late if work.end}
        problems = {work.number: why for work, why in self._late}
        for number in sorted(problems.keys() & ends.keys()):
            config, end = ends[number]
            try:
                self._writer.give_up(number, config, end, problems[number])
            except Exception as error:
                self._say(f"MLflow did not take the end of trial {number}: {reason(error)}")

    def _end_study(self, status: str) -> None:
        assert self._writer is not None
        try:
            if self._front is not None:
                self._writer.show_front(*self._front)
            self._writer.finish(status)
            self._study_ended = True
        except Exception as error:
            self._say(f"MLflow did not take the end of the study: {reason(error)}")

    def _draw_figures(self, work: _Work) -> None:
        end = work.end
        if self._draw is None or end is None or end["state"] != "complete":
            return
        try:
            self._draw(work.folder, work.config)
        except Exception as error:
            self._say(f"The figures of trial {work.number} were not drawn: {reason(error)}", reason(error))

    def _say(self, text: str, problem: str = "") -> None:
        """Once for every different problem; a broken listener is no reason to stop."""
        problem = problem or text
        if problem in self._said:
            return
        self._said.add(problem)
        try:
            self._on_problem(text)
        except Exception:
            self._on_problem = lambda text: None
