"""The progress display on a terminal: a line for every running trial, a bar for the study."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from zoo.errors import count_text
from zoo.events import EpochEnd, Progress
from zoo.redaction import redact
from zoo.study import Objective
from zoo.training import max_epochs
from zoo.trial import TrialConfig
from zoo.tuning.display import (
    Best,
    Display,
    begin_text,
    best_text,
    config_text,
    epoch_text,
    fraction_text,
    timeout_text,
    values_text,
)

_STYLES = {"complete": "green", "pruned": "yellow", "rejected": "yellow"}  # other states are red


@dataclass
class _RunningTrial:
    config: TrialConfig
    start_time: float = field(default_factory=time.monotonic)
    fold: int = 1
    epoch: int = 0
    fraction: float = 0.0  # the completed fraction of the epoch
    curve: list[float] = field(default_factory=list)  # objective per epoch of the current fold

    @property
    def done(self) -> float:
        """The completed fraction of all epochs of all folds."""
        epochs_per_fold = max_epochs(self.config.training)
        epochs = (self.fold - 1) * epochs_per_fold + max(self.epoch - 1, 0) + self.fraction
        return epochs / (self.config.folds * epochs_per_fold)


class _ErrorIgnoringStream:
    """A stream that ignores errors, so that a study continues when its terminal is closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class LiveDisplay(Display):
    """Finished trials scroll up; the running trials and the study stay at the bottom."""

    def __init__(self) -> None:
        self._console = Console(file=cast(TextIO, _ErrorIgnoringStream(sys.stderr)))
        self._spinner = Spinner("dots")
        self._phase = ""
        self._preparation: tuple[str, float | None] | None = None
        self._running: dict[int, _RunningTrial] = {}
        self._study, self._objective = "", ""
        self._done = self._total = 0
        self._best: Best = None
        self._deadline = math.inf
        self._start_time = time.monotonic()
        self._num_finished = 0  # counted by this display; `_done` also counts trials of earlier commands
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def phase(self, text: str) -> None:
        self._phase = text
        self._live.start()

    def preparing(self, task: str, fraction: float | None) -> None:
        self._preparation = (task, fraction) if fraction != 1.0 else None

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        self._study, self._objective = study, objectives[0].metric
        self._done, self._total = done, total
        self._start_time = time.monotonic()
        self._phase = "starting Keras …" if done < total else ""
        self._preparation = None
        self._print(f"study [bold]{escape(study)}[/]: {begin_text(objectives, done, total)}")
        self._live.start()

    def time_limit(self, deadline: float) -> None:
        self._deadline = deadline

    def started(self, number: int, config: TrialConfig) -> None:
        self._running[number] = _RunningTrial(config)

    def progress(self, number: int, event: Progress) -> None:
        trial = self._running[number]
        trial.fold, trial.epoch, trial.fraction = event.fold or 1, event.epoch, event.fraction

    def epoch(self, number: int, event: EpochEnd) -> None:
        self._phase = ""
        trial = self._running[number]
        trial.fold, trial.epoch, trial.fraction = event.fold or 1, event.epoch, 1.0
        if event.epoch == 1:
            trial.curve.clear()
        trial.curve.append(event.metrics[trial.config.objective])

    def finished(
        self, number: int, state: str, values: Mapping[str, float], reason: str, best: Best, done: int
    ) -> None:
        trial = self._running.pop(number, None)
        self._done, self._best = done, best
        self._num_finished += 1
        seconds = time.monotonic() - trial.start_time if trial else 0.0
        star = " [bold]★[/]" if best is not None and best[0] == number else ""
        has_result = trial is not None and state in ("complete", "pruned")  # other trials show the reason
        details = escape(config_text(trial.config) if trial is not None and has_result else reason)
        if state == "complete" and reason:
            details += f"  ({escape(reason)})"
        result = f"[{_STYLES.get(state, 'red')}]{state:<8}[/]  {values_text(values)}{star}"
        self._print(f"trial {number:>3}  {result}  [dim]{seconds:.1f} s  {details}[/]")

    def note(self, text: str) -> None:
        self._print(escape(text))

    def problem(self, text: str) -> None:
        self._print(f"[bold yellow]warning:[/] {escape(text)}")

    def end(self) -> None:
        self._live.stop()

    def _print(self, text: str) -> None:
        self._console.print(redact(text), soft_wrap=True, highlight=False)

    def _render(self) -> RenderableType:
        rows = Table.grid(padding=(0, 2))
        for number, trial in list(self._running.items()):  # a copy, because rich draws in a thread
            latest = f"{trial.curve[-1]:.4f} {_sparkline(trial.curve)}" if trial.curve else "…"
            rows.add_row(
                Text(f"trial {number:>3}"),
                ProgressBar(total=1.0, completed=trial.done, width=16),
                Text(epoch_text(trial.config, trial.fold, max(trial.epoch, 1))),
                Text(latest, style="cyan"),
                Text(config_text(trial.config), style="dim", overflow="ellipsis", no_wrap=True),
            )
        preparation = self._preparation
        if preparation is not None:
            task, fraction = preparation
            rows.add_row(
                ProgressBar(total=1.0, completed=fraction or 0.0, width=24, pulse=fraction is None),
                Text(f"{task}{fraction_text(fraction)}"),
            )
        parts: list[RenderableType] = [rows] if rows.row_count else []
        if self._total:
            parts.append(self._study_row())
        if self._phase:
            self._spinner.update(text=self._phase)
            parts.append(self._spinner)
        return Group(*parts)

    def _study_row(self) -> RenderableType:
        row = Table.grid(padding=(0, 2))
        best = best_text(self._objective, self._best) or "no trial complete yet"
        row.add_row(
            Text(self._study, style="bold"),
            ProgressBar(total=self._total, completed=self._done, width=24),
            Text(f"{self._done}/{count_text(self._total, 'trial')}"),
            Text(best, style="green"),
            Text(self._time_text(), style="dim"),
        )
        return row

    def _time_text(self) -> str:
        limit = f", {text}" if (text := timeout_text(self._deadline)) else ""
        elapsed = timedelta(seconds=int(time.monotonic() - self._start_time))
        if not self._num_finished or self._done >= self._total:
            return f"{elapsed}{limit}"
        left = elapsed / self._num_finished * (self._total - self._done)
        return f"{elapsed}, about {timedelta(seconds=left // timedelta(seconds=1))} left{limit}"


def _sparkline(values: list[float]) -> str:
    """Return the last twelve values as bars: `▁▃▅█`."""
    values = values[-12:]
    low, high = min(values), max(values)
    return "".join("▁▂▃▄▅▆▇█"[int((value - low) / (high - low) * 7) if high > low else 3] for value in values)
