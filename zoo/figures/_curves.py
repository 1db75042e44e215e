"""Learning curves: loss and accuracy of training and validation against the epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.events import EpochEnd
from zoo.figures._page import GREY, HEADER, INK, Page, plain_style
from zoo.figures._png import write_png

TRAINING, VALIDATION = "#2a78b8", "#d1580a"
KEY = (("training", TRAINING), ("validation", VALIDATION))
WIDTH, HEIGHT = 900, 380
NO_EPOCHS = "No epochs to draw: a learning curve needs at least one."
MARKERS_UP_TO = 30  # epochs; with more, the markers touch each other
_LOG_ABOVE = 50  # largest by smallest loss; beyond, a linear axis hides the small ones

Values = npt.NDArray[np.float64]


def learning_curves(
    epochs: Sequence[EpochEnd],
    path: str | os.PathLike[str],
    *,
    best_epoch: int | None,
    title: str,
) -> Path:
    """Draw loss and accuracy, training and validation, against the epoch.

    Args:
        epochs: the trial's epoch events, at least one. A metric (`loss`, `accuracy`, `val_loss`,
            `val_accuracy`) that is missing, null, infinite or not a number leaves a gap.
        best_epoch: marked in both panels; None, or an epoch without an event, marks none.

    Raises:
        ValueError: there are no epochs.
    """
    if not epochs:
        raise ValueError(NO_EPOCHS)
    epochs = sorted(epochs, key=lambda event: event.epoch)
    steps = np.array([event.epoch for event in epochs])
    best = int(np.flatnonzero(steps == best_epoch)[0]) if best_epoch in steps else None
    values = {name: series(epochs, name) for name in ("loss", "val_loss", "accuracy", "val_accuracy")}
    with plain_style():
        page = Page(WIDTH, HEIGHT)
        page.header(title, _subtitle(steps, best, values))
        page.series_key(KEY)
        for name, axes in panels(page).items():
            training, validation = values[name], values[f"val_{name}"]
            _draw(axes, steps, training, validation, best)
            set_vertical_scale(
                axes, np.concatenate([training, validation]), largest=1 if name == "accuracy" else None
            )
        pixels = page.pixels()
    return write_png(pixels, path)


def series(epochs: Sequence[EpochEnd], name: str) -> Values:
    """Return one metric of every epoch, `(epochs,)`; a missing, null or infinite value is NaN, a gap."""
    values = [event.metrics.get(name) for event in epochs]
    series = np.array([np.nan if value is None else value for value in values], float)
    series[~np.isfinite(series)] = np.nan
    return series


def panels(page: Page) -> dict[str, Any]:
    """Return the axes of a page with one panel for the loss and one for the accuracy."""
    axes = {}
    for name, left in (("loss", 70), ("accuracy", WIDTH // 2 + 65)):
        axes[name] = page.axes(left, HEADER + 30, WIDTH // 2 - 90, HEIGHT - HEADER - 80)
        axes[name].set_title(name, color=INK)
        axes[name].set_xlabel("epoch")
    return axes


def _subtitle(steps: npt.NDArray[np.int_], best: int | None, values: Mapping[str, Values]) -> str:
    if best is None:
        return f"{len(steps)} epochs" if len(steps) > 1 else "1 epoch"
    at_best = [
        f"{name} {values[f'val_{name}'][best]:{form}}"
        for name, form in (("accuracy", ".4f"), ("loss", ".4g"))
        if np.isfinite(values[f"val_{name}"][best])
    ]
    text = f"best epoch {steps[best]} of {steps[-1]}"
    return f"{text}: validation {', '.join(at_best)}" if at_best else text


def _draw(
    axes: Any, steps: npt.NDArray[np.int_], training: Values, validation: Values, best: int | None
) -> None:
    marker = "o" if len(steps) <= MARKERS_UP_TO else None
    for values, color in ((training, TRAINING), (validation, VALIDATION)):
        axes.plot(steps, values, color=color, linewidth=1.6, marker=marker, markersize=3.5)
    if best is not None:
        axes.axvline(steps[best], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        draw_ring(axes, steps[best], validation[best], VALIDATION)
    set_epochs(axes, int(steps[0]), int(steps[-1]))


def draw_ring(axes: Any, epoch: int, value: float, color: str) -> None:
    """Mark the value of the best epoch."""
    axes.plot(epoch, value, "o", markersize=9, markerfacecolor="none", color=color)


def set_epochs(axes: Any, first: int, last: int) -> None:
    """Set the horizontal axis to these epochs."""
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.set_xticks(epoch_ticks(first, last))


def epoch_ticks(first: int, last: int) -> list[int]:
    """Return between one and eight epochs to label: the multiples of 1, 2, 5, 10, 20, 50 …"""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            ticks = list(range(-(-first // step) * step, last + 1, step))
            if len(ticks) <= 8:
                return ticks or [first]
        power *= 10


def set_vertical_scale(axes: Any, values: Values, *, largest: float | None) -> None:
    """Set the vertical axis so that all values are visible, logarithmic if they span magnitudes.

    Args:
        largest: the largest possible value, such as 1 for an accuracy; None for a loss.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        axes.set_yticks([])
        middle = {"x": 0.5, "y": 0.5, "transform": axes.transAxes, "ha": "center"}
        axes.text(s="no finite values", color=GREY, backgroundcolor="white", **middle)
        return
    positive = values[values > 0]
    if largest is None and values.min() >= 0 and len(positive) and values.max() > _LOG_ABOVE * positive.min():
        _set_logarithmic(axes, positive)
    else:
        _set_linear(axes, float(values.min()), float(values.max()), largest)


def _set_logarithmic(axes: Any, positive: Values) -> None:
    """Set a logarithmic axis; a curve that reaches an exact zero leaves it at the lower edge."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(positive.min() / 1.5, positive.max() * 1.5)
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _set_linear(axes: Any, low: float, high: float, largest: float | None) -> None:
    """Set a linear axis without offsets, on which noise in the fourth digit looks like a flat line."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, ScalarFormatter

    smallest_range = 0.01 if largest is not None else 0.02 * max(abs(low), abs(high), 1e-6)
    missing = max(0.0, smallest_range - (high - low))
    low, high = low - missing / 2, high + missing / 2
    pad = 0.05 * (high - low)
    low, high = low - pad, high + pad
    if largest is not None:
        high = min(high, largest + pad / 2)
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    if 1e-3 < max(abs(low), abs(high)) < 1e5:
        plain = ScalarFormatter(useOffset=False)
        plain.set_scientific(False)
        axes.yaxis.set_major_formatter(plain)
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
