"""The learning curves of several trials in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.events import EpochEnd
from zoo.figures._curves import Values, epoch_ticks, series, set_vertical_scale
from zoo.figures._page import GREY, HEADER, INK, MARGIN, Page, plain_style, shorten, write_png

AT_MOST = 8  # trials in a colour of their own
WIDTH, HEIGHT = 1100, 400
_KEY = 190  # pixels for the trials' names
# Okabe & Ito's colours (2008), which the colour-blind tell apart too; the yellow is too pale for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#7F5A2B")
_FAINT = "#d4d4d4"
_MARKERS_UP_TO = 30  # epochs


@dataclass(frozen=True)
class Curve:
    """One trial's.

    Args:
        name: in the key, such as `trial 6: 0.9757`.
        epochs: its epoch events, as `learning_curves` takes them.
        best_epoch: marked by a ring; None marks none.
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
        curves: each in a colour of its own, named in the key in this order; what is beyond eight
            counts among the others.
        others: drawn in a faint grey behind them.
        path: where the PNG goes; its folder is made.

    Raises:
        ValueError: no trial has an epoch.
    """
    others = [curve for curve in [*others, *curves[AT_MOST:]] if curve.epochs]
    curves = [curve for curve in curves[:AT_MOST] if curve.epochs]
    if not curves:
        raise ValueError("There are no epochs to draw; a learning curve needs at least one.")
    drawn = [*others, *curves]
    first = min(event.epoch for curve in drawn for event in curve.epochs)
    last = max(event.epoch for curve in drawn for event in curve.epochs)
    with plain_style():
        page = Page(WIDTH, HEIGHT)
        told = f"{len(curves)} trial{'s' if len(curves) > 1 else ''}"
        if any(curve.best_epoch is not None for curve in curves):  # of folds each has one of its own
            told += "; a ring marks the best epoch"
        if others:
            told += f"; {len(others)} more in grey"
        page.header(title, told)
        _key(page, [curve.name for curve in curves], len(others))
        panel = (WIDTH - _KEY - MARGIN) // 2
        for place, name in enumerate(("val_loss", "val_accuracy")):
            axes = page.axes(70 + place * panel, HEADER + 26, panel - 80, HEIGHT - HEADER - 76)
            axes.set_title(f"validation {name.removeprefix('val_')}", color=INK)
            axes.set_xlabel("epoch")
            for curve in others:
                _draw(axes, curve, name, _FAINT)
            for curve, color in zip(curves, COLORS, strict=False):
                _draw(axes, curve, name, color, ring=True)
            axes.set_xlim(first - 0.5, last + 0.5)
            axes.set_xticks(epoch_ticks(int(first), int(last)))
            values = np.concatenate([series(curve.epochs, name) for curve in drawn])
            set_vertical_scale(axes, values, largest=1 if name == "val_accuracy" else None)
        pixels = page.pixels()
    return write_png(pixels, path)


def _key(page: Page, names: Sequence[str], others: int) -> None:
    """Name the colours in a column at the right edge."""
    x, y = WIDTH - _KEY - MARGIN + 12, HEADER + 36
    for name, color in zip(names, COLORS, strict=False):
        page.text(x, y, "●", color=color)
        page.text(x + 16, y, shorten(name, _KEY - 20, 9))
        y += 22
    if others:
        page.text(x, y, "●", color=_FAINT)
        page.text(x + 16, y, "others", color=GREY)


def _draw(axes: Any, curve: Curve, name: str, color: str, *, ring: bool = False) -> None:
    epochs = sorted(curve.epochs, key=lambda event: event.epoch)
    steps = [event.epoch for event in epochs]
    values: Values = series(epochs, name)
    marker = "o" if (ring and len(steps) <= _MARKERS_UP_TO) or len(steps) == 1 else None
    axes.plot(steps, values, color=color, linewidth=1.6 if ring else 1.2, marker=marker, markersize=3.5)
    if ring and curve.best_epoch in steps:
        best = steps.index(curve.best_epoch)
        axes.plot(steps[best], values[best], "o", markersize=9, markerfacecolor="none", color=color)
