"""Learning curves of a trial with cross-validation: those of every fold, and their mean."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.events import EpochEnd
from zoo.figures._curves import (
    HEIGHT,
    KEY,
    NO_EPOCHS,
    TRAINING,
    VALIDATION,
    WIDTH,
    Values,
    draw_ring,
    panels,
    set_epochs,
    set_vertical_scale,
)
from zoo.figures._page import Page, plain_style
from zoo.figures._png import write_png


def fold_curves(
    epochs: Sequence[EpochEnd],
    path: str | os.PathLike[str],
    *,
    best: tuple[int, int] | None,
    title: str,
) -> Path:
    """Draw loss and accuracy, training and validation, against the epoch: thin per fold, thick for the mean.

    The mean ends where the first fold ends.

    Args:
        epochs: the trial's epoch events, at least one, each with its `fold`.
        best: fold and epoch of the saved model, marked in both panels; None marks none.

    Raises:
        ValueError: there are no epochs.
    """
    if not epochs:
        raise ValueError(NO_EPOCHS)
    with plain_style():
        page = Page(WIDTH, HEIGHT)
        page.header(title, _subtitle(epochs, best))
        page.series_key(KEY)
        for name, axes in panels(page).items():
            training, validation = by_fold(epochs, name), by_fold(epochs, f"val_{name}")
            _draw(axes, training, TRAINING)
            _draw(axes, validation, VALIDATION)
            if best is not None and best[0] <= len(validation) and best[1] <= validation.shape[1]:
                draw_ring(axes, best[1], validation[best[0] - 1, best[1] - 1], VALIDATION)
            set_epochs(axes, 1, validation.shape[1])
            values = np.concatenate([training, validation]).ravel()
            set_vertical_scale(axes, values, largest=1 if name == "accuracy" else None)
        pixels = page.pixels()
    return write_png(pixels, path)


def _subtitle(epochs: Sequence[EpochEnd], best: tuple[int, int] | None) -> str:
    folds = max(event.fold or 1 for event in epochs)
    text = f"thin: {folds} folds; thick: their mean" if folds > 1 else "fold 1"
    return f"{text}; saved model: fold {best[0]}, epoch {best[1]}" if best else text


def by_fold(epochs: Sequence[EpochEnd], name: str) -> Values:
    """Return one metric, `(folds, epochs)`; NaN where a fold has no such epoch or no finite value."""
    folds = max(event.fold or 1 for event in epochs)
    last = max(event.epoch for event in epochs)
    values = np.full((folds, last), np.nan)
    for event in epochs:
        value = event.metrics.get(name)
        if value is not None and np.isfinite(value):
            values[(event.fold or 1) - 1, event.epoch - 1] = value
    return values


def _draw(axes: Any, values: Values, color: str) -> None:
    steps = np.arange(1, values.shape[1] + 1)
    marker = "o" if len(steps) == 1 else None  # a line of one point is invisible
    for fold in values:
        axes.plot(steps, fold, color=color, linewidth=0.8, alpha=0.5, marker=marker, markersize=3)
    if len(values) > 1:
        mean = values.mean(axis=0)  # NaN if one of them is NaN
        axes.plot(steps, mean, color=color, linewidth=2.2, marker=marker, markersize=6)
