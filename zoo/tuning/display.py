"""The progress display: what a user sees on stderr while a study runs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any, TextIO

from zoo.durations import duration_text
from zoo.errors import count_text
from zoo.events import EpochEnd, Progress
from zoo.redaction import redact
from zoo.study import Objective, objectives_text
from zoo.training import max_epochs
from zoo.trial import TrialConfig, format_value, parameter_text

Best = tuple[int, float] | None  # number of the best trial, and its value of the first objective

_SLOW_EPOCH_S = 2.0
_LISTED = 12  # finished trials in a notebook


class Display:
    """The interface of a display. Each method does nothing here; a subclass overrides those it shows.

    No method raises an exception: a closed terminal must not end a study.
    """

    def phase(self, text: str) -> None:
        """Show a step before or after the trials, such as `preparing the dataset …`."""

    def preparing(self, task: str, fraction: float | None) -> None:
        """Show a task of the dataset's preparation; `fraction` of the task is done, None if unknown."""

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        """Show that the trials start; `done` of `total` are finished already."""

    def time_limit(self, deadline: float) -> None:
        """Show the time left until `deadline`, of `time.monotonic`; infinite if there is no limit."""

    def started(self, number: int, config: TrialConfig) -> None: ...
    def progress(self, number: int, event: Progress) -> None: ...
    def epoch(self, number: int, event: EpochEnd) -> None: ...

    def finished(
        self, number: int, state: str, values: Mapping[str, float], reason: str, best: Best, done: int
    ) -> None:
        """Show a trial's final state and objectives by metric; `done` trials are finished so far."""

    def note(self, text: str) -> None:
        """Show a line that is no warning, such as that MLflow answers again."""

    def problem(self, text: str) -> None:
        """Show a warning. The study continues."""

    def end(self) -> None:
        """Restore the terminal. Allowed at any time, even twice."""


class NoDisplay(Display):
    """Shows nothing."""


class PlainDisplay(Display):
    """A line for every trial, and for slow epochs; for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._is_closed = False
        self._phase_start = self._last_line = time.monotonic()
        self._running: dict[int, tuple[TrialConfig, float]] = {}  # with the start time
        self._objective = ""
        self._total = 0
        self._deadline = math.inf

    def phase(self, text: str) -> None:
        self._phase_start = self._last_line = time.monotonic()
        self._print(text)

    def preparing(self, task: str, fraction: float | None) -> None:
        now = time.monotonic()
        # The first line comes after 2 s. The intervals then grow: about 25 lines in an hour.
        if now - self._last_line > max(2.0, (now - self._phase_start) / 4):
            self._last_line = now
            self._print(f"{task}{fraction_text(fraction)}")

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        self._objective, self._total = objectives[0].metric, total
        self._print(f"study {study}: {begin_text(objectives, done, total)}")

    def time_limit(self, deadline: float) -> None:
        self._deadline = deadline

    def started(self, number: int, config: TrialConfig) -> None:
        self._running[number] = config, time.monotonic()

    def epoch(self, number: int, event: EpochEnd) -> None:
        seconds = event.metrics["epoch_seconds"]
        if seconds > _SLOW_EPOCH_S and not event.is_repeated:
            config, _ = self._running[number]
            epoch = epoch_text(config, event.fold, event.epoch)
            result = value_text(config.objective, event.metrics[config.objective])
            self._print(f"trial {number}  {epoch}  {result}  {seconds:.1f} s")

    def finished(
        self, number: int, state: str, values: Mapping[str, float], reason: str, best: Best, done: int
    ) -> None:
        _, start_time = self._running.pop(number)
        parts = [
            f"trial {number}",
            state,
            values_text(values),
            f"{time.monotonic() - start_time:.1f} s",
            f"({reason.removesuffix('.')})" if reason not in ("", state) else "",
            f"[{done}/{self._total}]",
            best_text(self._objective, best),
            timeout_text(self._deadline),
        ]
        self._print("  ".join(filter(None, parts)))

    def note(self, text: str) -> None:
        self._print(text)

    def problem(self, text: str) -> None:
        self._print(f"warning: {text}")

    def _print(self, text: str) -> None:
        if self._is_closed:
            return
        try:
            print(redact(text), file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError):  # a pipe without a reader, a closed terminal or file
            self._is_closed = True


class NotebookDisplay(Display):
    """A bar for the study, the running trials and the finished ones, updated in place in a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._next_update = 0.0
        self._study = self._objective = self._phase = ""
        self._done = self._total = 0
        self._deadline = math.inf
        self._best: Best = None
        self._running: dict[int, str] = {}
        self._configs: dict[int, TrialConfig] = {}
        self._finished: list[str] = []
        self._notes: list[str] = []  # and warnings

    def phase(self, text: str) -> None:
        self._phase = text
        self._update()

    def preparing(self, task: str, fraction: float | None) -> None:
        self._phase = f"{task}{fraction_text(fraction)}"
        self._update(at_once=False)

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        self._study, self._objective = f"{study}: {begin_text(objectives, done, total)}", objectives[0].metric
        self._done, self._total, self._phase = done, total, ""
        self._update()

    def time_limit(self, deadline: float) -> None:
        self._deadline = deadline

    def started(self, number: int, config: TrialConfig) -> None:
        self._configs[number] = config
        self._running[number] = config_text(config)
        self._update()

    def progress(self, number: int, event: Progress) -> None:
        config = self._configs[number]
        epoch = f"{epoch_text(config, event.fold, event.epoch)}, {event.fraction:.0%}"
        self._running[number] = f"{epoch}  {config_text(config)}"
        self._update(at_once=False)

    def epoch(self, number: int, event: EpochEnd) -> None:
        config = self._configs[number]
        result = value_text(config.objective, event.metrics[config.objective])
        epoch = epoch_text(config, event.fold, event.epoch)
        self._running[number] = f"{epoch}  {result}  {config_text(config)}"
        self._update(at_once=False)

    def finished(
        self, number: int, state: str, values: Mapping[str, float], reason: str, best: Best, done: int
    ) -> None:
        self._running.pop(number, None)
        self._configs.pop(number, None)
        self._done, self._best = done, best
        parts = f"trial {number}", state, values_text(values), reason
        self._finished.append("  ".join(filter(None, parts)))
        self._update()

    def note(self, text: str) -> None:
        self._notes.append(redact(text))
        self._update()

    def problem(self, text: str) -> None:
        self.note(f"warning: {text}")

    def end(self) -> None:
        self._phase = ""
        self._running.clear()
        self._update()

    def _update(self, *, at_once: bool = True) -> None:
        """Show the present state, at most three times per second unless `at_once`."""
        now = time.monotonic()
        if not at_once and now < self._next_update:
            return
        self._next_update = now + 1 / 3
        with suppress(Exception):  # a kernel that is shutting down must not end a study
            from IPython.display import HTML, display

            if self._handle is None:
                self._handle = display(HTML(self._html()), display_id=True)
            else:
                self._handle.update(HTML(self._html()))

    def _html(self) -> str:
        head = ""
        if self._total:
            bar = f'<progress max="{self._total}" value="{self._done}"></progress>'
            best, limit = best_text(self._objective, self._best), timeout_text(self._deadline)
            texts = f"{bar} {self._done}/{self._total}", best, limit
            head = f"<b>{escape(self._study)}</b><br>{'  '.join(filter(None, texts))}"
        rows = [f"trial {number}  {text}" for number, text in list(self._running.items())]
        hidden = len(self._finished) - _LISTED
        lines = [
            *([f"… {hidden} more"] if hidden > 0 else []),
            *self._finished[-_LISTED:],
            *rows,
            *self._notes,
            *([self._phase] if self._phase else []),
        ]
        return f"<div>{head}<pre>{escape(chr(10).join(lines))}</pre></div>"


def default_display() -> Display:
    """Return what shows the progress of a Python call: HTML in a notebook, else plain lines on stderr."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookDisplay() if getattr(shell, "kernel", None) is not None else PlainDisplay()


def begin_text(objectives: Sequence[Objective], done: int, total: int) -> str:
    """Return the size of a study and its objectives: `8 trials, 3 of them done, maximize val_accuracy`."""
    resumed = f", {done} of them done" if 0 < done < total else ""
    complete = "; all done, add trials with --trials N" if done >= total else ""
    return f"{count_text(total, 'trial')}{resumed}, {objectives_text(objectives)}{complete}"


def timeout_text(deadline: float) -> str:
    """Return `timeout in 12m5s`, in whole seconds, for a time of `time.monotonic`; "" if it is infinite."""
    if math.isinf(deadline):
        return ""
    left = deadline - time.monotonic()
    return f"timeout in {duration_text(math.ceil(left))}" if left > 0 else "timeout reached"


def fraction_text(fraction: float | None) -> str:
    return " …" if fraction is None else f": {fraction:.0%}"


def value_text(metric: str, value: float) -> str:
    """Return `val_accuracy 0.9812`."""
    return f"{metric} {format_value(metric, value)}"


def values_text(values: Mapping[str, float]) -> str:
    """Return `val_accuracy 0.9812  parameters 12,345`."""
    return "  ".join(value_text(metric, value) for metric, value in values.items())


def best_text(objective: str, best: Best) -> str:
    """Return `best 0.9812 (trial 3)`; "" if no trial is complete."""
    return f"best {format_value(objective, best[1])} (trial {best[0]})" if best else ""


def epoch_text(config: TrialConfig, fold: int | None, epoch: int) -> str:
    """Return `epoch 3/12`, or `fold 2/5  epoch 3/12`."""
    folds = f"fold {fold or 1}/{config.folds}  " if config.folds > 1 else ""
    return f"{folds}epoch {epoch}/{max_epochs(config.training)}"


def config_text(config: TrialConfig) -> str:
    """Return the most important values of a trial: `conv_net  filters 8-16  lr 0.001  adam`."""
    values = {**config.architecture.parameters, "lr": config.training["learning_rate"]}
    texts = [
        f"{name} {parameter_text(values[name], '-')}"
        for name in ("filters", "dropout", "lr")
        if name in values
    ]
    return "  ".join([config.architecture.name, *texts, str(config.training["optimizer"])])
