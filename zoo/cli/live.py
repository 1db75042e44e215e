"""The progress display on a terminal: a line for every running trial, a bar for the study."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from zoo.study import Objective
from zoo.training import max_epochs
from zoo.trial import TrialConfig
from zoo.tuning.display import begin_text, facts_of, figure, place_text, share_of, value_text

_STYLES = {"complete": "green", "pruned": "yellow", "failed": "red"}


@dataclass
class _Running:
    config: TrialConfig
    facts: str
    began: float = field(default_factory=time.monotonic)
    fold: int = 1
    epoch: int = 0
    fraction: float = 0.0  # of the epoch
    curve: list[float] = field(default_factory=list)  # of the fold that trains

    @property
    def done(self) -> float:
        """The share of all epochs of all folds."""
        in_a_fold = max_epochs(self.config.training)
        epochs = (self.fold - 1) * in_a_fold + max(self.epoch - 1, 0) + self.fraction
        return epochs / (self.config.folds * in_a_fold)


class _Terminal:
    """A stream that takes everything, also when the terminal behind it was closed: the search goes on."""

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


class LiveDisplay:
    """Finished trials scroll by; those that run, and the study as a whole, stay at the bottom."""

    def __init__(self) -> None:
        self._console = Console(file=cast(TextIO, _Terminal(sys.stderr)))
        self._spinner = Spinner("dots")
        self._phase = ""
        self._preparing: tuple[str, float | None] | None = None
        self._running: dict[int, _Running] = {}
        self._study, self._objective = "", ""
        self._done = self._total = 0
        self._best: tuple[int, float] | None = None
        self._began = time.monotonic()
        self._session = 0  # trials that ended since this display began
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True
        )

    def phase(self, text: str) -> None:
        self._phase = text
        self._live.start()

    def preparing(self, what: str, fraction: float | None) -> None:
        self._preparing = (what, fraction) if fraction != 1.0 else None

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        self._study, self._objective = study, objectives[0].metric
        self._done, self._total = done, total
        self._began = time.monotonic()
        self._phase = "starting Keras …" if done < total else ""
        self._preparing = None
        self._print(f"study [bold]{escape(study)}[/]: {begin_text(objectives, done, total)}")
        self._live.start()

    def started(self, number: int, config: TrialConfig) -> None:
        self._running[number] = _Running(config, facts_of(config))

    def progress(self, number: int, epoch: int, fraction: float, fold: int = 1) -> None:
        trial = self._running[number]
        trial.fold, trial.epoch, trial.fraction = fold, epoch, fraction

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float], fold: int = 1) -> None:
        self._phase = ""
        self.progress(number, epoch, 1.0, fold)
        trial = self._running[number]
        if epoch == 1:
            trial.curve.clear()
        trial.curve.append(metrics[trial.config.objective])

    def finished(
        self,
        number: int,
        state: str,
        values: Mapping[str, float],
        reason: str,
        best: tuple[int, float] | None,
        done: int,
    ) -> None:
        trial = self._running.pop(number, None)
        self._done, self._best = done, best
        self._session += 1
        seconds = time.monotonic() - trial.began if trial else 0.0
        reached = "  ".join(value_text(metric, value) for metric, value in values.items())
        star = " [bold]★[/]" if best is not None and best[0] == number else ""
        # One that never trained an epoch says why: it failed, is impossible, or too large.
        has_trained = state != "failed" and trial is not None and trial.epoch > 0
        facts = escape(trial.facts if trial is not None and has_trained else reason)
        told = f"[{_STYLES[state]}]{state:<8}[/]  {reached}{star}  [dim]{seconds:.1f} s  {facts}[/]"
        self._print(f"trial {number:>3}  {told}")

    def problem(self, text: str) -> None:
        self._print(f"[bold yellow]warning:[/] {escape(text)}")

    def end(self) -> None:
        self._live.stop()

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _render(self) -> RenderableType:
        rows = Table.grid(padding=(0, 2))
        for number, trial in list(self._running.items()):  # drawn in a thread of its own
            latest = f"{trial.curve[-1]:.4f} {_sparkline(trial.curve)}" if trial.curve else "…"
            rows.add_row(
                Text(f"trial {number:>3}"),
                ProgressBar(total=1.0, completed=trial.done, width=16),
                Text(place_text(trial.config, trial.fold, max(trial.epoch, 1))),
                Text(latest, style="cyan"),
                Text(trial.facts, style="dim", overflow="ellipsis", no_wrap=True),
            )
        preparing = self._preparing
        if preparing is not None:
            what, fraction = preparing
            rows.add_row(
                ProgressBar(total=1.0, completed=fraction or 0.0, width=24, pulse=fraction is None),
                Text(f"{what}{share_of(fraction)}"),
            )
        parts: list[RenderableType] = [rows] if rows.row_count else []
        if self._total:
            parts.append(self._overall())
        if self._phase:
            self._spinner.update(text=self._phase)
            parts.append(self._spinner)
        return Group(*parts)

    def _overall(self) -> RenderableType:
        row = Table.grid(padding=(0, 2))
        best = "no trial complete yet"
        if self._best is not None:
            best = f"best {figure(self._objective, self._best[1])} (trial {self._best[0]})"
        row.add_row(
            Text(self._study, style="bold"),
            ProgressBar(total=self._total, completed=self._done, width=24),
            Text(f"{self._done}/{self._total} trials"),
            Text(best, style="green"),
            Text(self._remaining(), style="dim"),
        )
        return row

    def _remaining(self) -> str:
        elapsed = time.monotonic() - self._began
        if not self._session or self._done >= self._total:
            return _clock(elapsed)
        return f"{_clock(elapsed)}, about {_clock(elapsed / self._session * (self._total - self._done))} left"


def _sparkline(values: list[float]) -> str:
    """The last dozen values as little bars."""
    shown = values[-12:]
    low, high = min(shown), max(shown)
    return "".join("▁▂▃▄▅▆▇█"[int((value - low) / (high - low) * 7) if high > low else 3] for value in shown)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
