"""Learning curves of a trial with folds: those of every fold, and their mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.events import EpochEnd
from zoo.figures._curves import (
    HEIGHT,
    TRAINING,
    VALIDATION,
    WIDTH,
    Values,
    epoch_ticks,
    set_vertical_scale,
    write_key,
)
from zoo.figures._page import HEADER, INK, Page, plain_style, write_png


def fold_curves(
    epochs: Sequence[EpochEnd],
    path: str | os.PathLike[str],
    *,
    best: tuple[int, int] | None,
    title: str,
) -> Path:
    """Draw loss and accuracy, training and validation, against the epoch: thin of a fold, thick their mean.

    The mean is drawn as far as every fold came.

    Args:
        epochs: the trial's epoch events, at least one, each with its `fold`.
        path: where the PNG goes; its folder is made.
        best: fold and epoch of the model that is kept, marked in both panels; None marks none.

    Raises:
        ValueError: there are no epochs.
    """
    if not epochs:
        raise ValueError("There are no epochs to draw; a learning curve needs at least one.")
    with plain_style():
        page = Page(WIDTH, HEIGHT)
        page.header(title, _subtitle(epochs, best))
        write_key(page)
        for left, name in ((70, "loss"), (WIDTH // 2 + 65, "accuracy")):
            axes = page.axes(left, HEADER + 30, WIDTH // 2 - 90, HEIGHT - HEADER - 80)
            axes.set_title(name, color=INK)
            axes.set_xlabel("epoch")
            drawn = [
                _draw(axes, _by_fold(epochs, metric), color)
                for metric, color in ((name, TRAINING), (f"val_{name}", VALIDATION))
            ]
            _mark(axes, drawn[1], best)
            last = drawn[1].shape[1]
            axes.set_xlim(0.5, last + 0.5)
            axes.set_xticks(epoch_ticks(1, last))
            set_vertical_scale(axes, np.concatenate(drawn).ravel(), largest=1 if name == "accuracy" else None)
        pixels = page.pixels()
    return write_png(pixels, path)


def _subtitle(epochs: Sequence[EpochEnd], best: tuple[int, int] | None) -> str:
    folds = max(event.fold or 1 for event in epochs)
    text = f"{folds} folds, thin; their mean, thick" if folds > 1 else "fold 1"
    return f"{text}. The model that is kept: fold {best[0]}, epoch {best[1]}" if best else text


def _by_fold(epochs: Sequence[EpochEnd], name: str) -> Values:
    """Shape `(folds, epochs)`; not a number where a fold had no such epoch, or no finite value there."""
    folds = max(event.fold or 1 for event in epochs)
    last = max(event.epoch for event in epochs)
    values = np.full((folds, last), np.nan)
    for event in epochs:
        value = event.metrics.get(name)
        if value is not None and np.isfinite(value):
            values[(event.fold or 1) - 1, event.epoch - 1] = value
    return values


def _draw(axes: Any, values: Values, color: str) -> Values:
    steps = np.arange(1, values.shape[1] + 1)
    marker = "o" if len(steps) == 1 else None  # a line of one point is not seen
    for fold in values:
        axes.plot(steps, fold, color=color, linewidth=0.8, alpha=0.5, marker=marker, markersize=3)
    if len(values) > 1:
        mean = values.sum(axis=0) / len(values)  # not a number where one of them is none
        axes.plot(steps, mean, color=color, linewidth=2.2, marker=marker, markersize=6)
    return values


def _mark(axes: Any, validation: Values, best: tuple[int, int] | None) -> None:
    """A ring round the validation figure of the model that is kept."""
    if best is None:
        return
    fold, epoch = best
    folds, last = validation.shape
    if 1 <= fold <= folds and 1 <= epoch <= last:
        value = validation[fold - 1, epoch - 1]
        axes.plot(epoch, value, "o", markersize=9, markerfacecolor="none", color=VALIDATION)
