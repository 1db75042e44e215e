"""Description, figures and best trials on MLflow's page of a study, written when the search ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.data.split_facts import splits_text
from zoo.errors import ZooError, count_text, one_line
from zoo.figures import MAX_COMPARED, compared_curves, curve_of, importances, study_history, trade_offs
from zoo.record import Run, load_runs, rank_runs
from zoo.study import objectives_text
from zoo.tracking import StudySummary
from zoo.trial import format_value
from zoo.tuning.mlflow_record import MLflowRecord
from zoo.tuning.opening import OpenStudy
from zoo.tuning.search import OptunaSearch


def record_summary(study: OpenStudy, search: OptunaSearch, record: MLflowRecord) -> None:
    """Describe the study, draw its figures, and pass both to MLflow. An error is reported, not raised."""
    try:
        runs = load_runs(study.definition.name)
    except ZooError:  # there is no trial, or every trial was deleted
        return
    try:
        record.record_summary(_summary(study, search, runs))
    except Exception as error:  # this also runs after an error of the study, which must not be hidden
        study.display.problem(f"the study was not described in MLflow: {one_line(error)}")


def _summary(study: OpenStudy, search: OptunaSearch, runs: Sequence[Run]) -> StudySummary:
    important = search.importances()
    best = search.best()
    searched = study.definition.searched()
    text = _text(study, search, runs)
    search.describe(text)
    return StudySummary(
        text=text,
        best=None if best is None else best[0],
        front=list(search.front()) if len(study.definition.objectives) > 1 else [],
        searched=sorted(searched, key=lambda name: -important.get(name, 0.0)),
        figures=_draw(study, search, runs, important),
    )


def _text(study: OpenStudy, search: OptunaSearch, runs: Sequence[Run]) -> str:
    """`maximize val_accuracy, dataset digits: 12 trials (9 complete, 3 pruned), best: trial 3, …`."""
    definition, states = study.definition, Counter(run.shown_state for run in runs)
    counts = ", ".join(f"{number} {state}" for state, number in states.items())
    text = f"{objectives_text(definition.objectives)}, dataset {definition.dataset.name}: "
    text += f"{count_text(len(runs), 'trial')} ({counts})"
    if splits := splits_text(study.dataset.splits):
        text += f"; splits: {splits}"
    best = search.best()
    if best is None:
        return text
    values = zip(definition.objectives, search.front()[best[0]], strict=True)
    return f"{text}; best: trial {best[0]}, " + ", ".join(
        f"{one.metric} {format_value(one.metric, value)}" for one, value in values
    )


def _draw(
    study: OpenStudy, search: OptunaSearch, runs: Sequence[Run], important: Mapping[str, float]
) -> list[Path]:
    """Return the files of the figures that could be drawn."""
    definition, folder = study.definition, study.directory.path / "figures"
    first, ranked = definition.objectives[0], rank_runs(runs)
    best = ranked[:MAX_COMPARED]
    others = [curve_of(run) for run in runs if run not in best]
    curves = [curve_of(run) for run in best]
    values = {
        number: (run.summary[first.result], run.state)
        for run in runs
        if (number := run.number) is not None and first.result in run.summary
    }
    drawings: dict[str, Callable[[Path], Any]] = {}
    if values:
        drawings["history"] = lambda path: study_history(values, first, path, title=definition.name)
    if important:
        drawings["importances"] = lambda path: importances(important, first, path, title=definition.name)
    if any(curve.epochs for curve in curves):
        drawings["curves"] = lambda path: compared_curves(curves, path, title=definition.name, others=others)
    if len(definition.objectives) > 1 and search.values():
        drawings["pareto_front"] = lambda path: trade_offs(
            search.values(), definition.objectives, path, title=definition.name
        )
    paths = []
    for name, draw in drawings.items():
        path = folder / f"{name}.png"
        try:
            draw(path)
            paths.append(path)
        except Exception as error:  # the study must not fail because of a figure
            study.display.problem(f"the figure {path} was not drawn: {one_line(error)}")
    return paths
