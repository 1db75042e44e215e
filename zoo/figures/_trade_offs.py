"""The trials of a study with several objectives, with the Pareto front."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import GREY, HEADER, INK, Page, plain_style
from zoo.figures._png import write_png
from zoo.figures._text import text_width
from zoo.study import Objective, pareto_front

FRONT, DOMINATED = "#d1580a", "#9aa4ad"
_KEY = (("Pareto front", FRONT), ("dominated", DOMINATED))
_LOG_ABOVE = 30  # largest by smallest value; beyond, a linear axis crowds the small ones
_LEFT, _RIGHT, _ABOVE, _BELOW = 85, 35, 14, 55  # pixels around the plotting area of a panel
_LABEL_HEIGHT = 11  # pixels
_POINT = 5  # pixels from the centre of a point to its edge

Values = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels


def trade_offs(
    values: Mapping[int, Sequence[float]],
    objectives: Sequence[Objective],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draw every trial by its objectives: a panel for each but the first, which is the vertical axis.

    The trials on the Pareto front are coloured, and numbered if there is room. With two objectives, a stepped
    line joins them.

    Args:
        values: by trial number, one finite value for each objective; at least one trial.

    Raises:
        ValueError: there is no trial, or only one objective.
    """
    if not values or len(objectives) < 2:
        raise ValueError("Trade-offs need at least one trial and two objectives.")
    numbers = sorted(values)
    points = np.array([values[number] for number in numbers], float)  # (trials, objectives)
    front = [numbers.index(number) for number in pareto_front(values, objectives)]
    columns = min(len(objectives) - 1, 2)
    width, height = (640, 420) if columns == 1 else (500, 340)
    with plain_style():
        page = Page(columns * width, HEADER + math.ceil((len(objectives) - 1) / columns) * height)
        trials = f"{len(numbers)} trial{'s' if len(numbers) > 1 else ''}"
        page.header(title, f"{len(front)} of {trials} on the Pareto front")
        page.series_key(_KEY)
        for panel, objective in enumerate(objectives[1:]):
            x, y = points[:, panel + 1], points[:, 0]
            left, top = panel % columns * width + _LEFT, HEADER + panel // columns * height + _ABOVE
            axes = page.axes(left, top, width - _LEFT - _RIGHT, height - _ABOVE - _BELOW)
            _set_scale(axes.xaxis, objective, x)
            _set_scale(axes.yaxis, objectives[0], y)
            if len(objectives) == 2:
                _join(axes, x[front], y[front], objective)
            _draw_points(axes, x, y, front)
            _number(axes, x, y, {row: str(numbers[row]) for row in front})
        pixels = page.pixels()
    return write_png(pixels, path)


def _join(axes: Any, x: Values, y: Values, objective: Objective) -> None:
    order = np.argsort(x, kind="stable")
    steps = "steps-post" if objective.direction == "minimize" else "steps-pre"
    axes.plot(x[order], y[order], color=FRONT, linewidth=1.2, alpha=0.6, drawstyle=steps)


def _draw_points(axes: Any, x: Values, y: Values, front: list[int]) -> None:
    dominated = np.setdiff1d(np.arange(len(y)), front)
    axes.plot(x[dominated], y[dominated], "o", color=DOMINATED, markersize=5)
    axes.plot(x[front], y[front], "o", color=FRONT, markersize=7)


def _number(axes: Any, x: Values, y: Values, labels: Mapping[int, str]) -> None:
    """Write the label of a row beside its point, if it covers no point and no other label."""
    centres = axes.transData.transform(np.column_stack([x, y]))
    taken = [(left - _POINT, low - _POINT, left + _POINT, low + _POINT) for left, low in centres]
    for row, text in labels.items():
        width = text_width(text, 8)
        for is_right, is_above in ((True, True), (False, True), (True, False), (False, False)):
            left = centres[row][0] + (_POINT if is_right else -_POINT - width)
            low = centres[row][1] + (_POINT if is_above else -_POINT - _LABEL_HEIGHT)
            box = (left, low, left + width, low + _LABEL_HEIGHT)
            if not any(overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(text, (left, low), xycoords="figure pixels", size=8, color=INK)
                break


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _set_scale(axis: Any, objective: Objective, values: Values) -> None:
    """Label an axis and set its limits; logarithmic if the values span magnitudes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    better = "higher" if objective.direction == "maximize" else "lower"
    axis.set_label_text(f"{objective.metric} ({better} is better)", color=GREY)
    low, high = float(values.min()), float(values.max())
    axes = axis.axes
    is_x = axis.axis_name == "x"
    set_limits, set_scale = (axes.set_xlim, axes.set_xscale) if is_x else (axes.set_ylim, axes.set_yscale)
    if low > 0 and high > _LOG_ABOVE * low:
        set_scale("log")
        set_limits(low / 1.6, high * 1.6)
        axis.set_major_locator(LogLocator(numticks=6))
        axis.set_minor_locator(NullLocator())
    else:
        pad = 0.08 * (high - low) or 0.05 * abs(high) or 0.05
        set_limits(low - pad, high + pad)
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _as_text(value)))


def _as_text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
