"""What a person sees of a search while it runs. Everything here goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from zoo.study import Objective, objectives_text
from zoo.training import max_epochs
from zoo.trial import TrialConfig


class Display(Protocol):
    """Told of everything that happens; shows what it likes. It never raises: nobody may be there to see."""

    def phase(self, text: str) -> None:
        """What is being done before and after the trials."""

    def preparing(self, what: str, fraction: float | None) -> None:
        """How far the dataset is: what is being done, and which share of it is done, if anybody knows."""

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        """The search starts, with `done` of `total` trials there already."""

    def started(self, number: int, config: TrialConfig) -> None: ...

    def progress(self, number: int, epoch: int, fraction: float, fold: int = 1) -> None: ...

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float], fold: int = 1) -> None: ...

    def finished(
        self,
        number: int,
        state: str,
        values: Mapping[str, float],
        reason: str,
        best: tuple[int, float] | None,
        done: int,
    ) -> None:
        """A trial ended.

        Args:
            values: of the objectives by their metric, as far as it came to have them.
            best: number of the best trial so far and its value of the first objective.
            done: trials that came to an end so far.
        """

    def problem(self, text: str) -> None:
        """Something the person should know of, though the search goes on."""

    def end(self) -> None: ...


class NoDisplay:
    """Shows nothing."""

    def phase(self, text: str) -> None: ...

    def preparing(self, what: str, fraction: float | None) -> None: ...

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None: ...

    def started(self, number: int, config: TrialConfig) -> None: ...

    def progress(self, number: int, epoch: int, fraction: float, fold: int = 1) -> None: ...

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float], fold: int = 1) -> None: ...

    def finished(
        self,
        number: int,
        state: str,
        values: Mapping[str, float],
        reason: str,
        best: tuple[int, float] | None,
        done: int,
    ) -> None: ...

    def problem(self, text: str) -> None: ...

    def end(self) -> None: ...


class PlainDisplay(NoDisplay):
    """A line for every trial, and for what took long; for logs, pipes and notebooks."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._is_lost = False
        self._phase_began = self._told = time.monotonic()
        self._started: dict[int, float] = {}
        self._configs: dict[int, TrialConfig] = {}
        self._objective = ""
        self._total = 0

    def phase(self, text: str) -> None:
        self._phase_began = self._told = time.monotonic()
        self._line(text)

    def preparing(self, what: str, fraction: float | None) -> None:
        now = time.monotonic()
        # After two seconds, and then ever more rarely: some 25 lines in an hour.
        if now - self._told > max(2.0, (now - self._phase_began) / 4):
            self._told = now
            self._line(f"{what}{share_of(fraction)}")

    def begin(self, study: str, objectives: Sequence[Objective], done: int, total: int) -> None:
        self._objective, self._total = objectives[0].metric, total
        self._line(f"study {study}: {begin_text(objectives, done, total)}")

    def started(self, number: int, config: TrialConfig) -> None:
        self._started[number] = time.monotonic()
        self._configs[number] = config

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float], fold: int = 1) -> None:
        if metrics["epoch_seconds"] > 2:
            config = self._configs[number]
            reached = value_text(config.objective, metrics[config.objective])
            self._line(
                f"trial {number}  {place_text(config, fold, epoch)}  {reached}  "
                f"{metrics['epoch_seconds']:.1f} s"
            )

    def finished(
        self,
        number: int,
        state: str,
        values: Mapping[str, float],
        reason: str,
        best: tuple[int, float] | None,
        done: int,
    ) -> None:
        seconds = time.monotonic() - self._started.pop(number, time.monotonic())
        reached = "".join(f"  {value_text(metric, value)}" for metric, value in values.items())
        why = f"  ({reason})" if reason else ""
        leader = f"  best {figure(self._objective, best[1])} (trial {best[0]})" if best else ""
        self._line(f"trial {number}  {state}{reached}  {seconds:.1f} s{why}  [{done}/{self._total}]{leader}")

    def problem(self, text: str) -> None:
        self._line(f"warning: {text}")

    def _line(self, text: str) -> None:
        if not self._is_lost:
            self._is_lost = not told(text, self._stream)


def told(text: str, stream: TextIO | None = None) -> bool:
    """A line on stderr; False where whoever read it has gone, which ends nothing that is at work."""
    try:
        print(text, file=stream or sys.stderr, flush=True)
    except (OSError, ValueError):  # a pipe without a reader, a terminal that was closed; a closed file
        return False
    return True


def begin_text(objectives: Sequence[Objective], done: int, total: int) -> str:
    """`8 trials, 3 of them done, maximize val_accuracy`."""
    trials = f"{total} trial{'s' if total != 1 else ''}"
    resumed = f", {done} of them done" if 0 < done < total else ""
    complete = "; all done, --trials N asks for more" if done >= total else ""
    return f"{trials}{resumed}, {objectives_text(objectives)}{complete}"


def share_of(fraction: float | None) -> str:
    return " …" if fraction is None else f": {fraction:.0%}"


def figure(metric: str, value: float) -> str:
    """A value as a person reads it: `0.9812`, `12,345` parameters, `1.23` ms."""
    if metric == "parameters":
        return f"{value:,.0f}"
    return f"{value:.3g}" if metric == "latency_ms" else f"{value:.4f}"


def value_text(metric: str, value: float) -> str:
    """`val_accuracy 0.9812`."""
    return f"{metric} {figure(metric, value)}"


def place_text(config: TrialConfig, fold: int, epoch: int) -> str:
    """How far a trial is: `epoch 3/12`, or `fold 2/5  epoch 3/12`."""
    folds = f"fold {fold}/{config.folds}  " if config.folds > 1 else ""
    return f"{folds}epoch {epoch}/{max_epochs(config.training)}"


def facts_of(config: TrialConfig) -> str:
    """The few values of a trial that a line has room for."""
    chosen = config.architecture.parameters
    facts = {
        **{name: chosen[name] for name in ("filters", "dropout") if name in chosen},
        "lr": config.training["learning_rate"],
    }
    told = [f"{name} {_short(value)}" for name, value in facts.items()]
    return "  ".join([config.architecture.name, *told, str(config.training["optimizer"])])


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "-".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
