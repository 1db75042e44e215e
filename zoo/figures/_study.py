"""The search of a study: its trials in order, and the importance of what was searched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.figures._page import GREY, HEADER, INK, Page, plain_style, set_scale
from zoo.figures._text import shorten
from zoo.study import Objective

BEST, COMPLETE, PRUNED = "#d1580a", "#2a78b8", "#c3c9ce"
_WIDTH, _HEIGHT = 800, 400
_ROW, _NAMES = 26, 300  # height of a bar with its gap, and width of the names, in pixels
_MAX_BARS = 30


@plain_style()
def study_history(
    values: Mapping[int, tuple[float, str]],
    objective: Objective,
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw the objective of every trial against its number, with the best value so far as a line.

    Args:
        values: value and state by trial number; at least one. Only complete trials can be the best.
    """
    complete = {number: value for number, (value, state) in sorted(values.items()) if state == "complete"}
    others = {number: value for number, (value, state) in values.items() if state != "complete"}
    subtitle = f"{objective.metric} by trial; {len(complete)} complete, {len(others)} pruned or failed"
    page = Page(_WIDTH, _HEIGHT, title, subtitle)
    page.series_key((("best so far", BEST), ("complete", COMPLETE), ("pruned", PRUNED)))
    axes = page.axes(80, HEADER + 14, _WIDTH - 110, _HEIGHT - HEADER - 70)
    axes.set(xlabel="trial", ylabel=objective.metric)
    every = np.array([value for value, _ in values.values()])
    set_scale(axes, "y", every[np.isfinite(every)], largest=1 if "accuracy" in objective.metric else None)
    axes.plot(list(others), list(others.values()), "o", color=PRUNED, markersize=5)
    axes.plot(list(complete), list(complete.values()), "o", color=COMPLETE, markersize=6)
    if complete:
        best = objective.best_so_far(complete.values())
        axes.plot([*complete, max(values)], [*best, best[-1]], color=BEST, drawstyle="steps-post")
    return page.save(path)


@plain_style()
def importances(values: Mapping[str, float], objective: Objective, path: Path, *, title: str) -> Path:
    """Draw a bar for each parameter: its share of the variation of the objective, most important first."""
    shown = dict(sorted(values.items(), key=lambda item: -item[1])[:_MAX_BARS])
    total = sum(values.values()) or 1.0
    height = HEADER + 24 + _ROW * len(shown)
    page = Page(_WIDTH, height, title, f"importance of the searched parameters for {objective.metric}")
    axes = page.axes(_NAMES, HEADER, _WIDTH - _NAMES - 90, _ROW * len(shown))
    rows = range(len(shown))
    axes.barh(rows, [value / total for value in shown.values()], height=0.65, color=COMPLETE)
    axes.set(ylim=(len(shown) - 0.5, -0.5), xlim=(0, max(shown.values()) / total or 1), yticks=[], xticks=[])
    axes.spines["bottom"].set_visible(False)
    for row, (name, value) in enumerate(shown.items()):
        y = HEADER + _ROW * (row + 0.5)
        page.text(_NAMES - 8, y, shorten(name, _NAMES - 30, 9), color=INK, ha="right")
        right = _NAMES + (_WIDTH - _NAMES - 90) * (value / (max(shown.values()) or 1))
        page.text(right + 6, y, f"{value / total:.0%}", color=GREY)
    return page.save(path)
