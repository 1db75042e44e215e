"""Learning curves: loss and accuracy of training and validation against the epoch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.events import EpochEnd
from zoo.figures._page import GREY, HEADER, INK, MARGIN, Page, plain_style, text_width, write_png

TRAINING, VALIDATION = "#2a78b8", "#d1580a"
WIDTH, HEIGHT = 900, 380
_LOG_ABOVE = 50  # the largest loss is this many times the smallest: a linear axis hides the small ones
_MARKERS_UP_TO = 30  # epochs; beyond, dots run into each other

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
        epochs: the trial's epoch events, at least one: `{"epoch": 1, "metrics": {"loss": …,
            "accuracy": …, "val_loss": …, "val_accuracy": …}}`. A metric that is missing, null,
            infinite or not a number leaves a gap.
        path: where the PNG goes; its folder is made.
        best_epoch: marked in both panels; None, or an epoch that is not there, marks none.

    Raises:
        ValueError: there are no epochs.
    """
    if not epochs:
        raise ValueError("There are no epochs to draw; a learning curve needs at least one.")
    epochs = sorted(epochs, key=lambda event: event.epoch)
    steps = np.array([event.epoch for event in epochs])
    best = int(np.flatnonzero(steps == best_epoch)[0]) if best_epoch in steps else None
    loss, val_loss, accuracy, val_accuracy = (
        series(epochs, name) for name in ("loss", "val_loss", "accuracy", "val_accuracy")
    )
    with plain_style():
        page = Page(WIDTH, HEIGHT)
        page.header(title, _subtitle(steps, best, val_loss, val_accuracy))
        write_key(page)
        for left, name, training, validation in (
            (70, "loss", loss, val_loss),
            (WIDTH // 2 + 65, "accuracy", accuracy, val_accuracy),
        ):
            axes = page.axes(left, HEADER + 30, WIDTH // 2 - 90, HEIGHT - HEADER - 80)
            axes.set_title(name, color=INK)
            axes.set_xlabel("epoch")
            _draw(axes, steps, training, validation, best)
            set_vertical_scale(
                axes, np.concatenate([training, validation]), largest=1 if name == "accuracy" else None
            )
        pixels = page.pixels()
    return write_png(pixels, path)


def series(epochs: Sequence[EpochEnd], name: str) -> Values:
    """One metric of every epoch, `(epochs,)`; what is missing, null or infinite is NaN: a gap."""
    values = [event.metrics.get(name) for event in epochs]
    series = np.array([np.nan if value is None else value for value in values], float)
    series[~np.isfinite(series)] = np.nan
    return series


def _subtitle(steps: npt.NDArray[np.int_], best: int | None, val_loss: Values, val_accuracy: Values) -> str:
    if best is None:
        return f"{len(steps)} epochs" if len(steps) > 1 else "1 epoch"
    there = [
        f"{name} {values[best]:{form}}"
        for name, values, form in (("accuracy", val_accuracy, ".4f"), ("loss", val_loss, ".4g"))
        if np.isfinite(values[best])
    ]
    text = f"best epoch {steps[best]} of {steps[-1]}"
    return f"{text}: validation {', '.join(there)}" if there else text


def write_key(page: Page) -> None:
    """Name the two colours at the right end of the subtitle's line, where no curve can run into them."""
    x = WIDTH - MARGIN
    for color, name in ((VALIDATION, "validation"), (TRAINING, "training")):
        text = f"● {name}"
        page.text(x, 44, text, color=color, ha="right")
        x -= round(text_width(text, 9)) + 15


def _draw(
    axes: Any, steps: npt.NDArray[np.int_], training: Values, validation: Values, best: int | None
) -> None:
    marker = "o" if len(steps) <= _MARKERS_UP_TO else None
    for values, color in ((training, TRAINING), (validation, VALIDATION)):
        axes.plot(steps, values, color=color, linewidth=1.6, marker=marker, markersize=3.5)
    if best is not None:
        axes.axvline(steps[best], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.plot(steps[best], validation[best], "o", markersize=9, markerfacecolor="none", color=VALIDATION)
    axes.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
    axes.set_xticks(epoch_ticks(int(steps[0]), int(steps[-1])))


def epoch_ticks(first: int, last: int) -> list[int]:
    """Between one and eight whole epochs to label: the multiples of 1, 2, 5, 10, 20, 50 …"""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            ticks = list(range(-(-first // step) * step, last + 1, step))
            if len(ticks) <= 8:
                return ticks or [first]
        power *= 10


def set_vertical_scale(axes: Any, values: Values, *, largest: float | None) -> None:
    """Set the vertical axis: everything visible, no offsets, nearly equal values not blown up."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    values = values[np.isfinite(values)]
    if not len(values):
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            "no finite values",
            transform=axes.transAxes,
            ha="center",
            color=GREY,
            backgroundcolor="white",
        )
        return
    low, high = float(values.min()), float(values.max())
    positive = values[values > 0]
    if largest is None and low >= 0 and len(positive) and high > _LOG_ABOVE * positive.min():
        # An exact zero has no place on this axis; it is drawn to run out of its lower edge.
        axes.set_yscale("log")
        axes.set_ylim(positive.min() / 1.5, high * 1.5)
        axes.yaxis.set_major_locator(LogLocator(numticks=7))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    # A network that learns nothing wobbles in the fourth digit; do not make mountains of that.
    least = 0.01 if largest is not None else 0.02 * max(abs(low), abs(high), 1e-6)
    missing = max(0.0, least - (high - low))
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
