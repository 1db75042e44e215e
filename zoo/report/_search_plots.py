"""The Plotly figures of a search; those of Optuna, where they exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.record import Run
from zoo.report._plots import BEST_COLORS, BLUE, FAINT, HEIGHT, ORANGE, Plot
from zoo.report._record import StudyRecord
from zoo.tuning.recorded_search import total_importances

if TYPE_CHECKING:
    import optuna
    from plotly.graph_objects import Figure

STATE_COLORS = {
    "complete": BLUE,
    "pruned": FAINT,
    "rejected": "#e3e6eb",
    "failed": ORANGE,
    "interrupted": "#f0b79f",
    "running": "#1b7f5c",
    "damaged": "#b8860b",
}
_MAX_TICKS = 12
_MAX_PARAMETERS = 8  # axes of the parallel coordinates
_MAX_SLICES = 12
_MAX_LINES = 200  # trials in the parallel coordinates


def search_plots(record: StudyRecord) -> list[Plot]:
    """Return the figures that can be drawn from the record; [] without Optuna's study."""
    study = record.optuna_study
    if study is None:
        return []
    plots: list[Plot | None] = []
    if record.ranked:
        plots += [_history(record, index) for index in range(len(record.objectives))]
        plots += [_pareto_front(record)]
    plots += [learning_curves(record), _importances(record), _timeline(record), _parallel_coordinates(record)]
    return [plot for plot in plots if plot is not None]


def _one_objective(record: StudyRecord, index: int, runs: Sequence[Run] | None = None) -> optuna.Study:
    """Return the complete trials, or only `runs`, as a study with one objective.

    The trials keep their numbers, except with `runs`. Optuna's argument `target` cannot replace this: with
    it, Optuna draws no best value, and assumes that lower values are better.
    """
    import optuna

    assert record.optuna_study is not None
    study = optuna.create_study(direction=record.objectives[index].direction)
    trials = record.optuna_study.get_trials(deepcopy=False)
    if runs is not None:
        trials = [trials[run.number] for run in runs if run.number is not None]
    hidden = optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING)
    for trial in trials:
        is_complete = trial.state == optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.values[index], params=trial.params, distributions=trial.distributions
            )
            if is_complete
            else hidden
        )
    return study


def _history(record: StudyRecord, index: int) -> Plot:
    from optuna.visualization import plot_optimization_history

    metric = record.objectives[index].metric
    figure = plot_optimization_history(_one_objective(record, index), target_name=metric)
    for trace in figure.data:
        if trace.mode == "lines":
            trace.update(line={"color": ORANGE, "shape": "hv"}, name="best so far")
        elif "Infeasible" in (trace.name or ""):
            trace.update(marker={"color": FAINT})
        else:
            trace.update(marker={"color": BLUE, "size": 7}, name="complete trial")
    figure.update_xaxes(title="trial", **_integer_ticks(len(record.runs)))
    _set_range(figure, record, index)
    return Plot(figure, f"History of {metric}", f"{metric} of every complete trial, and the best so far")


def _integer_ticks(count: int) -> dict[str, Any]:
    """Return settings with which an axis of `count` integers has ticks at integers only."""
    return {"dtick": 1} if count <= _MAX_TICKS else {"tickformat": "d"}


def _set_range(figure: Figure, record: StudyRecord, index: int) -> None:
    """Remove the worst tenth of the values from the axis if they would take most of the figure.

    If all values are equal, the axis covers ±10 %. Plotly's axis for 0.58 is -0.42 to 1.58.
    """
    values = np.array([run.summary[record.objectives[index].result] for run in record.ranked], float)
    low, high = np.quantile(
        values, [0.0, 0.9] if record.objectives[index].direction == "minimize" else [0.1, 1.0]
    )
    if len(values) >= 10 and np.ptp(values) > 3 * (high - low) > 0:
        margin = (high - low) * 0.1
        figure.update_yaxes(range=[low - margin, high + margin])
    elif np.ptp(values) == 0 and high != 0:
        margin = abs(high) * 0.1
        figure.update_yaxes(range=[high - margin, high + margin])


def _pareto_front(record: StudyRecord) -> Plot | None:
    from optuna.visualization import plot_pareto_front

    names = [objective.metric for objective in record.objectives]
    if len(names) not in (2, 3):
        return None
    figure = plot_pareto_front(record.optuna_study, target_names=names)
    for trace in figure.data:
        is_front = "Best" in trace.hovertemplate  # the traces have no names
        name = "on the Pareto front" if is_front else "dominated"
        trace.update(
            name=name,
            showlegend=True,
            marker={"color": BLUE if is_front else FAINT, "showscale": False, "line": None},
        )
    if len(names) == 2:
        figure.update_layout(showlegend=True)
    return Plot(figure, "Pareto front", "Trials by objective; no trial is better than those on the front")


def learning_curves(record: StudyRecord) -> Plot | None:
    """Return the validation curves of all trials: the best in color, others grey, pruned ones pale."""
    import plotly.graph_objects as go

    metric = record.runs[0].config.objective
    best = record.ranked[: len(BEST_COLORS)]
    others = [run for run in record.ranked if run not in best]
    incomplete = [run for run in record.runs if not run.is_complete]
    figure = go.Figure()
    for runs, name, color in (
        (incomplete, "not complete", "#d9dde3"),
        (others, "other complete", "#a3abb7"),
    ):
        xs, ys, names = _joined_curves(runs, metric)
        if xs:
            figure.add_scatter(
                x=xs, y=ys, text=names, name=name, mode="lines", line={"color": color, "width": 1}
            )
    for run, color in zip(best, BEST_COLORS, strict=False):
        xs, ys, names = _joined_curves([run], metric)
        line = {"color": color, "width": 2}
        figure.add_scatter(
            x=xs, y=ys, text=names, name=run.name, mode="lines+markers", line=line, marker_size=4
        )
    if not figure.data:
        return None
    figure.update_traces(hovertemplate="%{text}, epoch %{x}: %{y:.4f}<extra></extra>")
    epochs = max(event.epoch for run in record.runs for event in run.epochs)
    figure.update_xaxes(title="epoch", **_integer_ticks(epochs)).update_yaxes(title=metric)
    figure.update_layout(showlegend=True)
    return Plot(figure, "Learning curves", f"{metric} by epoch; best trials in color, pruned ones pale")


def _joined_curves(runs: Sequence[Run], metric: str) -> tuple[list[Any], list[Any], list[str]]:
    """Return epochs, values and trial names of all curves as one line with gaps: many traces are slow."""
    xs: list[Any] = []
    ys: list[Any] = []
    names: list[str] = []
    for run in runs:
        if values := curve(run, metric):
            xs += [*values, None]
            ys += [*(round(value, 5) for value in values.values()), None]
            names += [run.name] * (len(values) + 1)
    return xs, ys, names


def curve(run: Run, metric: str) -> dict[int, float]:
    """Return a metric by epoch; with folds, the mean over the folds that reached the epoch."""
    values: dict[int, list[float]] = {}
    for event in run.epochs:
        if metric in event.metrics:
            values.setdefault(event.epoch, []).append(event.metrics[metric])
    return {epoch: fmean(of_folds) for epoch, of_folds in values.items()}


def _importances(record: StudyRecord) -> Plot | None:
    figure = importances_figure(record)
    if figure is None:
        return None
    metric = record.objectives[0].metric
    text = (
        f"The share of the variation of {metric} that each parameter explains; rough if there are few trials"
    )
    return Plot(figure, "Importance of the parameters", text, max(HEIGHT, 60 + 22 * len(record.importances)))


def importances_figure(record: StudyRecord) -> Figure | None:
    """Return the importance of each parameter for the first objective; None if it is unknown."""
    from optuna.visualization import plot_param_importances

    if not record.importances:
        return None
    figure = plot_param_importances(_one_objective(record, 0), target_name=record.objectives[0].metric)
    figure.update_traces(marker_color=BLUE, textposition="auto", cliponaxis=False)
    figure.update_xaxes(title="importance").update_yaxes(title=None)
    return figure.update_layout(showlegend=False)


def _parallel_coordinates(record: StudyRecord) -> Plot | None:
    from optuna.visualization import plot_parallel_coordinate

    names = sorted(record.plotted_parameters[:_MAX_PARAMETERS])  # in the order of Optuna
    if not names:
        return None
    shown, metric = record.ranked[:_MAX_LINES], record.objectives[0].metric
    figure = plot_parallel_coordinate(_one_objective(record, 0, shown), params=names, target_name=metric)
    labels = [metric, *names]  # Optuna shortens long labels
    figure.update_xaxes(ticktext=[escape(label).replace(".", "<br>", 1) for label in labels], tickangle=0)
    figure.update_traces(marker_colorbar_title=None, selector={"mode": "markers"})
    figure.update_xaxes(range=[-0.5, len(labels) - 0.8])  # this leaves room for the numbers of the first axis
    title = "Parallel coordinates"
    if len(shown) < len(record.ranked):
        title += f" of the best {len(shown)} trials"
    return Plot(
        figure,
        title,
        "One line for each complete trial, through its parameters",
        400,
        min_width=110 * len(labels),
    )


def slices(record: StudyRecord) -> list[Plot]:
    """Return the objective against each of the most important parameters, or of the first by name."""
    from optuna.visualization import plot_slice

    plots, metric = [], record.objectives[0].metric
    target = None if len(record.objectives) == 1 else lambda trial: trial.values[0]
    for name in record.plotted_parameters[:_MAX_SLICES]:
        figure = plot_slice(record.optuna_study, params=[name], target=target, target_name=metric)
        figure.update_traces(
            marker={"showscale": False, "size": 7, "line": {"width": 0.5, "color": "#9aa3af"}}
        )
        figure.update_layout(showlegend=False, width=None)
        figure.update_xaxes(title=None, tickangle=0, **_few_ticks(figure)).update_yaxes(title=None)
        if figure.layout.xaxis.type == "category":  # Optuna writes 'adam' in quotes
            order = [_unquoted(option) for option in figure.layout.xaxis.categoryarray or ()]
            figure.update_xaxes(tickangle=None, categoryarray=order, range=[-0.5, len(order) - 0.5])
            figure.for_each_trace(lambda trace: trace.update(x=[_unquoted(option) for option in trace.x]))
        _set_range(figure, record, 0)
        plots.append(
            Plot(figure, name, f"{metric} of each complete trial by {name}; later trials are darker", 190)
        )
    return plots


def _few_ticks(figure: Figure) -> dict[str, Any]:
    """Return settings with which the ticks of a parameter's axis fit below a small figure."""
    values = {value for trace in figure.data for value in trace.x}
    if figure.layout.xaxis.type == "log":
        ticks = np.geomspace(min(values), max(values), 4)
        return {
            "tickvals": ticks,
            "ticktext": [f"{tick:.2g}" if tick < 100 else f"{tick:,.0f}" for tick in ticks],
        }
    is_whole = all(isinstance(value, int) for value in values)
    is_short = is_whole and max(values) - min(values) <= _MAX_TICKS / 2
    return {"dtick": 1} if is_short else {"nticks": 6}


def _unquoted(option: Any) -> str:
    return escape(str(option).strip("'"))


def _timeline(record: StudyRecord) -> Plot | None:
    import plotly.graph_objects as go

    assert record.optuna_study is not None
    trials = record.optuna_study.get_trials(deepcopy=False)
    figure = go.Figure()
    for state, color in STATE_COLORS.items():
        numbers = {run.number for run in record.runs if run.shown_state == state}
        shown = [trial for trial in trials if trial.number in numbers and trial.datetime_start is not None]
        ends = [trial.datetime_complete or datetime.now() for trial in shown]
        starts = [trial.datetime_start or end for trial, end in zip(shown, ends, strict=True)]
        if shown:
            figure.add_bar(
                y=[trial.number for trial in shown],
                width=0.85,  # by default, a state with trials far apart gets wider bars
                base=starts,
                x=[1000 * (end - start).total_seconds() for start, end in zip(starts, ends, strict=True)],
                orientation="h",
                name=state,
                marker_color=color,
                hovertemplate="trial %{y}<extra>%{fullData.name}</extra>",
            )
    if not figure.data:
        return None
    figure.update_layout(barmode="overlay", yaxis_title="trial", showlegend=True)
    figure.update_xaxes(type="date")
    rows = [max(max(trace.y) for trace in figure.data) + 0.5, -0.5]  # the first trial is at the top
    figure.update_yaxes(range=rows, **_integer_ticks(len(record.runs)))
    return Plot(figure, "Timeline", "When each trial ran")


def by_importance(record: StudyRecord) -> Callable[[str], tuple[float, str]]:
    """Return a sort key for parameters: the most important first, then by name."""
    totals = total_importances(record.importances)
    return lambda name: (-totals.get(name, 0.0), name)
