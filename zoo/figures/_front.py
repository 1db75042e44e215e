"""The trials of a study with several objectives, and those among them that no other beats."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import GREY, HEADER, INK, MARGIN, Page, plain_style, text_width, write_png
from zoo.study import Objective, pareto_front

ON_IT, BEATEN = "#d1580a", "#9aa4ad"
_LOG_ABOVE = 30  # the largest value is this many times the smallest: a linear axis crowds the small ones
_LEFT, _RIGHT, _ABOVE, _BELOW = 85, 35, 14, 55  # pixels round the plotting area of a panel
_LABEL_HEIGHT = 11  # pixels
_POINT = 5  # pixels from the middle of a point to its edge

Values = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels


def trade_offs(
    values: Mapping[int, Sequence[float]],
    objectives: Sequence[Objective],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draw every trial by its objectives: the first upwards, each of the others to the right in a panel.

    The trials that no other beats are marked, and numbered where there is room; of two objectives a
    line of steps joins them, beyond which no trial came.

    Args:
        values: by the trial's number, one finite value for each objective; at least one trial.
        path: where the PNG goes; its folder is made.

    Raises:
        ValueError: there is no trial, or only one objective.
    """
    if not values or len(objectives) < 2:
        raise ValueError("Trade-offs need at least one trial and two objectives.")
    numbers = sorted(values)
    points = np.array([values[number] for number in numbers], float)  # (trials, objectives)
    front = [numbers.index(number) for number in pareto_front(values, objectives)]
    others = range(1, len(objectives))
    columns = min(len(others), 2)
    wide, high = (640, 420) if len(others) == 1 else (500, 340)
    with plain_style():
        page = Page(columns * wide, HEADER + -(-len(others) // columns) * high)
        trials = f"{len(numbers)} trial{'s' if len(numbers) > 1 else ''}"
        page.header(title, f"{len(front)} of {trials} not beaten by any other")
        _key(page)
        for panel, other in enumerate(others):
            left, top = panel % columns * wide + _LEFT, HEADER + panel // columns * high + _ABOVE
            axes = page.axes(left, top, wide - _LEFT - _RIGHT, high - _ABOVE - _BELOW)
            _scale(axes.xaxis, objectives[other], points[:, other])
            _scale(axes.yaxis, objectives[0], points[:, 0])
            across, up = points[:, other], points[:, 0]
            if len(objectives) == 2:
                _join(axes, across[front], up[front], objectives[1])
            _draw(axes, across, up, front)
            _number(axes, across, up, {row: str(numbers[row]) for row in front})
        pixels = page.pixels()
    return write_png(pixels, path)


def _key(page: Page) -> None:
    x: float = page.width - MARGIN
    for color, name in ((BEATEN, "beaten"), (ON_IT, "not beaten")):
        text = f"● {name}"
        page.text(x, 44, text, color=color, ha="right")
        x -= round(text_width(text, 9)) + 15


def _join(axes: Any, across: Values, up: Values, objective: Objective) -> None:
    order = np.argsort(across, kind="stable")
    steps = "steps-post" if objective.direction == "minimize" else "steps-pre"
    axes.plot(across[order], up[order], color=ON_IT, linewidth=1.2, alpha=0.6, drawstyle=steps)


def _draw(axes: Any, across: Values, up: Values, front: list[int]) -> None:
    beaten = np.setdiff1d(np.arange(len(up)), front)
    axes.plot(across[beaten], up[beaten], "o", color=BEATEN, markersize=5)
    axes.plot(across[front], up[front], "o", color=ON_IT, markersize=7)


def _number(axes: Any, across: Values, up: Values, labels: Mapping[int, str]) -> None:
    """Write beside the points what `labels` says by row, where it covers neither point nor label."""
    middles = axes.transData.transform(np.column_stack([across, up]))
    taken = [(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in middles]
    for row, text in labels.items():
        width = text_width(text, 8)
        for right, above in ((True, True), (False, True), (True, False), (False, False)):
            x = middles[row][0] + (_POINT if right else -_POINT - width)
            y = middles[row][1] + (_POINT if above else -_POINT - _LABEL_HEIGHT)
            box = (x, y, x + width, y + _LABEL_HEIGHT)
            if not any(_overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(text, (x, y), xycoords="figure pixels", size=8, color=INK)
                break


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _scale(axis: Any, objective: Objective, values: Values) -> None:
    """Name an axis, and give it room at either end; logarithmic where the values span magnitudes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    better = "higher" if objective.direction == "maximize" else "lower"
    axis.set_label_text(f"{objective.metric} ({better} is better)", color=GREY)
    low, high = float(values.min()), float(values.max())
    axes, across = axis.axes, axis.axis_name == "x"
    set_limits, set_scale = (axes.set_xlim, axes.set_xscale) if across else (axes.set_ylim, axes.set_yscale)
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
