"""The learning curves of several trials in one figure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.events import EpochEnd
from zoo.figures._curves import (
    MARKERS_UP_TO,
    NO_EPOCHS,
    draw_ring,
    series,
    set_epochs,
    set_vertical_scale,
)
from zoo.figures._page import GREY, HEADER, INK, MARGIN, Page, plain_style
from zoo.figures._png import write_png
from zoo.figures._text import shorten

AT_MOST = 8  # trials with a colour of their own
WIDTH, HEIGHT = 1100, 400
_KEY = 190  # pixels for the names of the trials
# Okabe and Ito's colours (2008), which the colour-blind can distinguish; their yellow is too pale for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#7F5A2B")
FAINT = "#d4d4d4"


@dataclass(frozen=True)
class Curve:
    """The learning curve of one trial.

    Args:
        name: in the key, such as `trial 6: 0.9757`.
        epochs: its epoch events, as for `learning_curves`.
        best_epoch: marked with a ring; None marks none.
    """

    name: str
    epochs: Sequence[EpochEnd]
    best_epoch: int | None = None


def compared_curves(
    curves: Sequence[Curve],
    path: str | os.PathLike[str],
    *,
    title: str,
    others: Sequence[Curve] = (),
) -> Path:
    """Draw the validation loss and accuracy of several trials against the epoch.

    Args:
        curves: each in its own colour, named in the key in this order; from the ninth on, they are drawn
            like `others`.
        others: drawn in pale grey in the background.

    Raises:
        ValueError: no trial has an epoch.
    """
    others = [curve for curve in [*others, *curves[AT_MOST:]] if curve.epochs]
    curves = [curve for curve in curves[:AT_MOST] if curve.epochs]
    if not curves:
        raise ValueError(NO_EPOCHS)
    drawn = [*others, *curves]
    first = min(event.epoch for curve in drawn for event in curve.epochs)
    last = max(event.epoch for curve in drawn for event in curve.epochs)
    with plain_style():
        page = Page(WIDTH, HEIGHT)
        page.header(title, _subtitle(curves, len(others)))
        _key(page, [curve.name for curve in curves], len(others))
        width = (WIDTH - _KEY - MARGIN) // 2
        for panel, name in enumerate(("val_loss", "val_accuracy")):
            axes = page.axes(70 + panel * width, HEADER + 26, width - 80, HEIGHT - HEADER - 76)
            axes.set_title(f"validation {name.removeprefix('val_')}", color=INK)
            axes.set_xlabel("epoch")
            for curve in others:
                _draw(axes, curve, name, FAINT)
            for curve, color in zip(curves, COLORS, strict=False):
                _draw(axes, curve, name, color)
            set_epochs(axes, int(first), int(last))
            values = np.concatenate([series(curve.epochs, name) for curve in drawn])
            set_vertical_scale(axes, values, largest=1 if name == "val_accuracy" else None)
        pixels = page.pixels()
    return write_png(pixels, path)


def _subtitle(curves: Sequence[Curve], others: int) -> str:
    text = f"{len(curves)} trial{'s' if len(curves) > 1 else ''}"
    if any(curve.best_epoch is not None for curve in curves):  # with folds, each has its own best epoch
        text += "; a ring marks the best epoch"
    return f"{text}; {others} more in grey" if others else text


def _key(page: Page, names: Sequence[str], others: int) -> None:
    """Name the colours in a column at the right edge."""
    x, y = WIDTH - _KEY - MARGIN + 12, HEADER + 36
    entries = [(name, color, INK) for name, color in zip(names, COLORS, strict=False)]
    for name, color, ink in [*entries, ("others", FAINT, GREY)] if others else entries:
        page.text(x, y, "●", color=color)
        page.text(x + 16, y, shorten(name, _KEY - 20, 9), color=ink)
        y += 22


def _draw(axes: Any, curve: Curve, name: str, color: str) -> None:
    epochs = sorted(curve.epochs, key=lambda event: event.epoch)
    steps = [event.epoch for event in epochs]
    values = series(epochs, name)
    is_other = color == FAINT
    marker = "o" if (not is_other and len(steps) <= MARKERS_UP_TO) or len(steps) == 1 else None
    width = 1.2 if is_other else 1.6
    axes.plot(steps, values, color=color, linewidth=width, marker=marker, markersize=3.5)
    if not is_other and curve.best_epoch in steps:
        best = steps.index(curve.best_epoch)
        draw_ring(axes, steps[best], values[best], color)
