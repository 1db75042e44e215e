"""Learning curves of one trial, with or without folds, and of several trials in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import count_text
from zoo.events import EpochEnd
from zoo.figures._page import GREY, HEADER, INK, MARGIN, Page, plain_style, set_scale
from zoo.figures._text import shorten

TRAINING, VALIDATION = "#2a78b8", "#d1580a"
WIDTH, HEIGHT = 900, 380
_MAX_PANELS = 7
_MARKERS_UP_TO = 30  # epochs; with more, the markers touch each other

MAX_COMPARED = 8  # trials with a color of their own
COMPARED_WIDTH, COMPARED_HEIGHT = 1100, 400
_KEY_WIDTH = 190  # pixels for the names of the trials
# Okabe and Ito's colors (2008), which the color-blind can distinguish; their yellow is too pale for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00", "#7F5A2B")
FAINT = "#d4d4d4"

Values = npt.NDArray[np.float64]


@plain_style()
def learning_curves(
    epochs: Sequence[EpochEnd],
    path: Path,
    *,
    best_epoch: int | None,
    best_fold: int | None = None,
    title: str,
) -> Path:
    """Draw loss and accuracy, training and validation, and other validation metrics against the epoch.

    With cross-validation, each fold has a thin curve, and the mean of the folds a thick one. The mean ends
    with the shortest fold.

    Args:
        epochs: the trial's epoch events, at least one. A value that is missing, null, infinite or not a
            number leaves a gap.
        best_epoch, best_fold: epoch and fold of the saved model, marked in all panels. Without an epoch, or
            if the epoch has no event, nothing is marked.
    """
    names = panel_metrics(epochs)
    values = {
        f"{part}{name}": metric_by_fold(epochs, f"{part}{name}") for name in names for part in ("", "val_")
    }
    num_folds, last = values["loss"].shape
    fold = best_fold or 1
    is_marked = best_epoch is not None and best_epoch <= last and fold <= num_folds
    best = (fold, best_epoch) if best_epoch is not None and is_marked else None
    page = Page(WIDTH // 2 * len(names), HEIGHT, title, _subtitle(values, best))
    page.series_key((("training", TRAINING), ("validation", VALIDATION)))
    for panel, name in enumerate(names):
        axes = page.axes(panel * WIDTH // 2 + 70, HEADER + 30, WIDTH // 2 - 90, HEIGHT - HEADER - 80)
        training, validation = values[name], values[f"val_{name}"]
        _draw_folds(axes, training, TRAINING)
        _draw_folds(axes, validation, VALIDATION)
        if best is not None:
            axes.axvline(best[1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            _draw_ring(axes, best[1], validation[best[0] - 1], VALIDATION)
        _finish_axes(axes, name, last, np.concatenate([training, validation]))
    return page.save(path)


def panel_metrics(epochs: Sequence[EpochEnd]) -> list[str]:
    """Return the metrics that have a panel: loss, accuracy, and those measured as `val_NAME` only."""
    measured = dict.fromkeys(name for event in epochs for name in event.metrics)
    others = [name.removeprefix("val_") for name in measured if name.startswith("val_")]
    return ["loss", "accuracy", *(name for name in others if name not in ("loss", "accuracy"))][:_MAX_PANELS]


def metric_by_fold(epochs: Sequence[EpochEnd], name: str) -> Values:
    """Return one metric, `(folds, epochs)`; NaN where a fold has no such epoch or no finite value.

    Without cross-validation, there is one fold.
    """
    num_folds = max(event.fold or 1 for event in epochs)
    values = np.full((num_folds, max(event.epoch for event in epochs)), np.nan)
    for event in epochs:
        value = event.metrics.get(name)
        if value is not None and np.isfinite(value):
            values[(event.fold or 1) - 1, event.epoch - 1] = value
    return values


def _subtitle(values: Mapping[str, Values], best: tuple[int, int] | None) -> str:
    num_folds, last = values["loss"].shape
    folds = f"thin: {num_folds} folds; thick: their mean; " if num_folds > 1 else ""
    if best is None:
        return f"{folds}{count_text(last, 'epoch')}"
    fold, epoch = best
    text = f"{folds}best: fold {fold}, epoch {epoch}" if folds else f"best epoch {epoch} of {last}"
    best_values = {name: values[f"val_{name}"][fold - 1, epoch - 1] for name in ("accuracy", "loss")}
    facts = [
        f"{name} {value:{'.4f' if name == 'accuracy' else '.4g'}}"
        for name, value in best_values.items()
        if np.isfinite(value)
    ]
    return f"{text}: validation {', '.join(facts)}" if facts else text


def _draw_folds(axes: Any, values: Values, color: str) -> None:
    if len(values) == 1:
        _draw_curve(axes, values[0], color, linewidth=1.6, marker=values.shape[1] <= _MARKERS_UP_TO)
        return
    for fold in values:
        _draw_curve(axes, fold, color, linewidth=0.8, alpha=0.5)
    _draw_curve(axes, values.mean(axis=0), color, linewidth=2.2)  # NaN where one fold is NaN


def _draw_curve(axes: Any, values: Values, color: str, *, marker: bool = False, **style: Any) -> None:
    """Draw one curve; a single point has a marker, since a line through it would be invisible."""
    kind = "o" if marker or len(values) == 1 else None
    axes.plot(np.arange(1, len(values) + 1), values, color=color, marker=kind, markersize=3.5, **style)


def _draw_ring(axes: Any, epoch: int, values: Values, color: str) -> None:
    axes.plot(epoch, values[epoch - 1], "o", markersize=9, markerfacecolor="none", color=color)


def _finish_axes(axes: Any, title: str, last: int, values: Values) -> None:
    """Set title and scales; `title` ends with the name of the metric."""
    from matplotlib.ticker import MaxNLocator

    axes.set(title=title, xlabel="epoch", xlim=(0.5, last + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    values = values[np.isfinite(values)]
    if len(values):
        set_scale(axes, "y", values, largest=1 if title.endswith("accuracy") else None)
        return
    axes.set_yticks([])
    middle = {"x": 0.5, "y": 0.5, "transform": axes.transAxes, "ha": "center"}
    axes.text(s="no finite values", color=GREY, backgroundcolor="white", **middle)


@dataclass(frozen=True)
class Curve:
    """The learning curve of one trial.

    Args:
        name: text in the key, such as `trial 6: 0.9757`.
        epochs: the trial's epoch events, as for `learning_curves`; with cross-validation, the mean is drawn.
        best_epoch: the epoch with a ring; None draws no ring.
    """

    name: str
    epochs: Sequence[EpochEnd]
    best_epoch: int | None = None


@plain_style()
def compared_curves(
    curves: Sequence[Curve],
    path: Path,
    *,
    title: str,
    others: Sequence[Curve] = (),
) -> Path:
    """Draw the validation loss, accuracy and other validation metrics of several trials against the epoch.

    Args:
        curves: trials with a color and a name in the key, in this order. From the ninth on, they are drawn
            like `others`. Trials without epochs are left out; at least one trial has an epoch.
        others: trials in pale grey, in the background.
    """
    others = [curve for curve in [*others, *curves[MAX_COMPARED:]] if curve.epochs]
    curves = [curve for curve in curves[:MAX_COMPARED] if curve.epochs]
    names = panel_metrics([event for curve in curves for event in curve.epochs])
    width = (COMPARED_WIDTH - _KEY_WIDTH - MARGIN) // 2
    page_width = COMPARED_WIDTH + width * (len(names) - 2)
    page = Page(page_width, COMPARED_HEIGHT, title, _compared_subtitle(curves, len(others)))
    _name_curves(page, page_width, curves, has_others=bool(others))
    for panel, name in enumerate(names):
        axes = page.axes(70 + panel * width, HEADER + 26, width - 80, COMPARED_HEIGHT - HEADER - 76)
        values = [metric_by_fold(curve.epochs, f"val_{name}").mean(axis=0) for curve in [*curves, *others]]
        for series in values[len(curves) :]:
            _draw_curve(axes, series, FAINT, linewidth=1.2)
        for curve, series, color in zip(curves, values, COLORS, strict=False):
            _draw_curve(axes, series, color, linewidth=1.6, marker=len(series) <= _MARKERS_UP_TO)
            if curve.best_epoch is not None and curve.best_epoch <= len(series):
                _draw_ring(axes, curve.best_epoch, series, color)
        _finish_axes(axes, f"validation {name}", max(map(len, values)), np.concatenate(values))
    return page.save(path)


def _compared_subtitle(curves: Sequence[Curve], num_others: int) -> str:
    text = count_text(len(curves), "trial")
    # With folds, best_epoch is None, since each fold has its own.
    if any(curve.best_epoch is not None for curve in curves):
        text += "; a ring marks the best epoch"
    return f"{text}; {num_others} more in grey" if num_others else text


def _name_curves(page: Page, width: int, curves: Sequence[Curve], *, has_others: bool) -> None:
    """Write the key in a column at the right edge: the name of each curve beside its color."""
    x, y = width - _KEY_WIDTH - MARGIN + 12, HEADER + 36
    rows = [(curve.name, color, INK) for curve, color in zip(curves, COLORS, strict=False)]
    for name, color, ink in [*rows, ("others", FAINT, GREY)] if has_others else rows:
        page.text(x, y, "●", color=color)
        page.text(x + 16, y, shorten(name, _KEY_WIDTH - 20, 9), color=ink)
        y += 22
