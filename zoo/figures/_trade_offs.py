"""The trials of a study with several objectives, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import count_text
from zoo.figures._page import HEADER, INK, Page, plain_style, set_scale
from zoo.figures._text import text_width
from zoo.study import Objective, pareto_front

FRONT, DOMINATED = "#d1580a", "#9aa4ad"
_LEFT, _RIGHT, _ABOVE, _BELOW = 85, 35, 14, 55  # pixels around the plotting area of a panel
_LABEL_HEIGHT = 11  # pixels
_POINT = 5  # pixels from the centre of a point to its edge

Values = npt.NDArray[np.float64]


@plain_style()
def trade_offs(
    values: Mapping[int, Sequence[float]],
    objectives: Sequence[Objective],
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw every trial as a point: the first objective upwards, and a panel for each other objective.

    The trials on the Pareto front are colored, and numbered if there is room. With two objectives, a stepped
    line joins them. `values` has one finite value for each objective, by trial number.
    """
    numbers = sorted(values)
    points = np.array([values[number] for number in numbers], float)  # (trials, objectives)
    front = [numbers.index(number) for number in pareto_front(values, objectives)]
    dominated = np.setdiff1d(np.arange(len(numbers)), front)
    columns = min(len(objectives) - 1, 2)
    width, height = (640, 420) if columns == 1 else (500, 340)
    trials = count_text(len(numbers), "trial")
    page_height = HEADER + math.ceil((len(objectives) - 1) / columns) * height
    page = Page(columns * width, page_height, title, f"{len(front)} of {trials} on the Pareto front")
    page.series_key((("Pareto front", FRONT), ("dominated", DOMINATED)))
    for panel, objective in enumerate(objectives[1:]):
        x, y = points[:, panel + 1], points[:, 0]
        left, top = panel % columns * width + _LEFT, HEADER + panel // columns * height + _ABOVE
        axes = page.axes(left, top, width - _LEFT - _RIGHT, height - _ABOVE - _BELOW)
        axes.set(xlabel=_axis_label(objective), ylabel=_axis_label(objectives[0]))
        set_scale(axes, "x", x)
        set_scale(axes, "y", y)
        if len(objectives) == 2:
            by_x = sorted(front, key=lambda row: x[row])
            steps = "steps-post" if objective.direction == "minimize" else "steps-pre"
            axes.plot(x[by_x], y[by_x], color=FRONT, linewidth=1.2, alpha=0.6, drawstyle=steps)
        axes.plot(x[dominated], y[dominated], "o", color=DOMINATED, markersize=5)
        axes.plot(x[front], y[front], "o", color=FRONT, markersize=7)
        _number_points(axes, x, y, {row: str(numbers[row]) for row in front})
    return page.save(path)


def _axis_label(objective: Objective) -> str:
    better = "higher" if objective.direction == "maximize" else "lower"
    return f"{objective.metric} ({better} is better)"


def _number_points(axes: Any, x: Values, y: Values, labels: Mapping[int, str]) -> None:
    """Write the label of each row beside its point, if there is a position where it covers nothing."""
    from matplotlib.transforms import Bbox

    centres = axes.transData.transform(np.column_stack([x, y]))
    occupied = [Bbox([centre - _POINT, centre + _POINT]) for centre in centres]
    for row, text in labels.items():
        width = text_width(text, 8)
        for is_right, is_above in ((True, True), (False, True), (True, False), (False, False)):
            left = centres[row][0] + (_POINT if is_right else -_POINT - width)
            bottom = centres[row][1] + (_POINT if is_above else -_POINT - _LABEL_HEIGHT)
            box = Bbox.from_bounds(left, bottom, width, _LABEL_HEIGHT)
            if not box.count_overlaps(occupied):
                occupied.append(box)
                axes.annotate(text, (left, bottom), xycoords="figure pixels", size=8, color=INK)
                break
