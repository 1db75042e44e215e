"""The result of a study in a notebook: a summary with curves, importances, and a link to the report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import StudyError, count_text
from zoo.logs import library_logs
from zoo.report._plots import BEST_COLORS, FAINT, apply_style
from zoo.report._record import StudyRecord, read_record
from zoo.report._result import Result, result
from zoo.report._search_plots import curve, importances_figure
from zoo.report._trials import leaderboard
from zoo.tuning.recorded_search import MIN_TRIALS_FOR_IMPORTANCES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MAX_ROWS, _MAX_COLUMNS = 8, 8  # in the table of trials
_WIDTH, _HEIGHT = 320, 110  # pixels; a small figure


@dataclass(frozen=True)
class Report:
    """The HTML file of a report; a notebook displays a link to it."""

    path: Path

    def _repr_html_(self) -> str:
        path = escape(os.path.relpath(self.path))
        return f'<a href="{path}" target="_blank">{path}</a>'


def plot_importances(study: str, storage: str | None = None) -> Figure:
    """Return a figure of the importances of a study's parameters; raise StudyError if they are unknown."""
    with library_logs(None):
        figure = importances_figure(read_record(study, storage))
    if figure is None:
        raise StudyError(
            f"the importances of '{study}' are unknown: expected at least {MIN_TRIALS_FOR_IMPORTANCES} "
            "complete trials with different results, and a searched parameter."
        )
    return apply_style(figure).update_layout(title=study, margin_t=40)


def summary_html(study: str, storage: str | None = None) -> str:
    """Return the result of a study as HTML for a notebook: numbers, the best trials, and their curves."""
    with library_logs(None):
        record = read_record(study, storage)
        found = result(record)
        curves = _curves(record)
        table = _table(record)
    numbers = " · ".join(f"{escape(label)} <b>{escape(value)}</b>" for label, value, _ in found.cards)
    return (
        f'<div style="font-family:system-ui,sans-serif"><p style="margin:0"><b>{escape(record.name)}</b></p>'
        f'<p style="margin:0 0 6px">{numbers}{_interval(found)}</p>{curves}{table}</div>'
    )


def _interval(found: Result) -> str:
    if found.test is None:
        return ""
    low, high = (f"{100 * bound:.2f}" for bound in (found.test.low, found.test.high))
    return f"<br>95 % interval of the test accuracy: {low} – {high} %"


def _table(record: StudyRecord) -> str:
    board = leaderboard(record)
    heads = "".join(f"<th>{escape(name)}</th>" for name in board.columns[:_MAX_COLUMNS])
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[:_MAX_COLUMNS]) + "</tr>"
        for row in board.rows[:_MAX_ROWS]
    )
    more = len(board.rows) - _MAX_ROWS
    note = f"<p>{count_text(more, 'more trial')}: <code>result.trials</code></p>" if more > 0 else ""
    return f"<table style='font-size:13px'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{note}"


def _curves(record: StudyRecord) -> str:
    """Return two small figures: the best value so far by trial, and the curves of the best trials."""
    first, metric = record.objectives[0], record.runs[0].config.objective
    complete = sorted(record.ranked, key=lambda run: run.number or 0)
    values = [run.summary[first.result] for run in complete]
    history = first.best_so_far(values)
    best = record.ranked[: len(BEST_COLORS)]
    best_curves = [
        ([*curve(run, metric).values()], color) for run, color in zip(best, BEST_COLORS, strict=False)
    ]
    other_curves = [([*curve(run, metric).values()], FAINT) for run in record.runs if run not in best]
    # A later line is drawn over an earlier one, so the best trial comes last.
    return _svg(f"best {first.metric} so far, by trial", [(values, FAINT), (history, BEST_COLORS[0])]) + _svg(
        f"{metric} by epoch", [*other_curves, *reversed(best_curves)]
    )


def _svg(title: str, lines: Sequence[tuple[Sequence[float], str]]) -> str:
    """Return an SVG image of lines on common axes; its title has the smallest and the largest value."""
    points = [value for line, _ in lines for value in line]
    longest = max((len(line) for line, _ in lines), default=0)
    if longest < 2:
        return ""
    low, high = min(points), max(points)
    paths = []
    for line, color in lines:
        xs = (8 + (_WIDTH - 16) * index / (longest - 1) for index in range(len(line)))
        ys = (_HEIGHT - 10 - (_HEIGHT - 38) * (value - low) / ((high - low) or 1) for value in line)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        paths.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    text = f"{escape(title)}: {low:.4g} – {high:.4g}"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{text}" style="margin-right:16px">'
        f'<text x="8" y="14" font-size="11" fill="#4b5563">{text}</text>{"".join(paths)}</svg>'
    )
