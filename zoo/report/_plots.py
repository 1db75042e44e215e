"""Plotly figures in the plain style of the report; the confusion matrix and the calibration of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.metrics import Calibration, confusion_counts, wilson_interval

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, FAINT = "#08519c", "#c83700", "#c9ced6"
BEST_COLORS = (BLUE, ORANGE, "#1b7f5c", "#8250a8", "#b8860b", "#0f8b99")  # best trials, best first
HEIGHT = 340  # pixels
_MAX_NUMBERED = 20  # classes; larger confusion matrices have no numbers in their cells


@dataclass(frozen=True)
class Plot:
    """A figure with the text around it.

    Args:
        height, min_width: in pixels. A figure that is wider than the page gets a scroll bar.
        description: what the figure shows, for readers who cannot see it.
    """

    figure: Figure
    title: str
    description: str
    height: int = HEIGHT
    min_width: int = 0

    def as_json(self) -> str:
        """Return the figure as JSON that is safe inside a `<script>` element."""
        text = str(apply_style(self.figure).to_json())
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def apply_style(figure: Figure) -> Figure:
    """Apply the style of the report to `figure`, remove its title, and return it."""
    import plotly.graph_objects as go

    axis = {"gridcolor": "#eceff3", "linecolor": "#d5dae1", "zeroline": False, "automargin": True}
    layout = go.Layout(
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 12,
            "color": "#374151",
        },
        paper_bgcolor="#fff",
        plot_bgcolor="#fff",
        colorway=BEST_COLORS,
        xaxis=axis,
        yaxis=axis,
        hoverlabel={"bgcolor": "#fff", "bordercolor": "#d5dae1", "font": {"color": "#111827"}},
    )
    legend = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    margin = {"l": 8, "r": 12, "t": 28 if figure.layout.showlegend is not False else 8, "b": 8}
    figure.update_layout(
        template=go.layout.Template(layout=layout), title=None, margin=margin, legend=legend, autosize=True
    )
    return figure


def confusion(labels: npt.NDArray[Any], predicted: npt.NDArray[Any], class_names: Sequence[str]) -> Plot:
    """Return the confusion matrix; the color shows the share of a cell in its row."""
    import plotly.graph_objects as go

    counts = confusion_counts(labels, predicted, len(class_names))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_correct = np.eye(len(counts), dtype=bool)
    # The exponent makes small shares visible.
    signed = np.where(is_correct, share * 0.9, -(share**0.45) * 0.8)
    names = [escape(name) for name in class_names]
    is_numbered = len(names) <= _MAX_NUMBERED
    hover = "%{y} predicted as %{x}: %{customdata}<extra></extra>"
    figure = go.Figure(
        go.Heatmap(
            z=signed.round(3),
            x=names,
            y=names,
            customdata=counts,
            text=np.where(counts > 0, counts.astype(str), "") if is_numbered else None,
            texttemplate="%{text}" if is_numbered else None,
            hovertemplate=hover,
            colorscale=[[0, ORANGE], [0.5, "#ffffff"], [1, BLUE]],
            zmin=-1,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_xaxes(title="predicted", showgrid=False, type="category", ticks="")
    figure.update_yaxes(title="actual", showgrid=False, type="category", ticks="", autorange="reversed")
    figure.update_layout(showlegend=False)
    text = "Actual classes in rows, predicted classes in columns; correct is blue, wrong is orange"
    return Plot(figure, "Confusion matrix", text, 460)


def reliability(result: Calibration) -> Plot:
    """Return the reliability diagram: accuracy by confidence."""
    import plotly.graph_objects as go

    pairs = [*zip(result.accuracy, result.counts, strict=True)]
    bounds = [wilson_interval(accuracy, count) for accuracy, count in pairs]
    largest = max(result.counts)
    sizes = [6 + 16 * (count / largest) ** 0.5 for count in result.counts]
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": FAINT, "dash": "dot"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=list(result.confidence),
        y=list(result.accuracy),
        customdata=list(result.counts),
        mode="markers",
        marker={"size": sizes, "color": BLUE},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - accuracy for (accuracy, _), (_, high) in zip(pairs, bounds, strict=True)],
            "arrayminus": [accuracy - low for (accuracy, _), (low, _) in zip(pairs, bounds, strict=True)],
            "color": "#9cbfe0",
            "thickness": 1.5,
            "width": 0,
        },
        hovertemplate="confidence %{x:.2f}, accuracy %{y:.2f}, %{customdata} images<extra></extra>",
    )
    figure.update_xaxes(title="confidence", range=[-0.03, 1.05]).update_yaxes(
        title="accuracy", range=[-0.03, 1.05]
    )
    figure.update_layout(showlegend=False)
    text = "On the dotted line, confidence equals accuracy; larger points: more images; bars: 95 % intervals"
    return Plot(figure, "Calibration", text, 460)
