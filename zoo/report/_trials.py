"""The trials in the report: a table, reasons for missing results, and what pruning saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from zoo.errors import count_text
from zoo.record import Run
from zoo.report._record import StudyRecord
from zoo.report._search_plots import by_importance
from zoo.study import pareto_front
from zoo.training import max_epochs
from zoo.trial import format_value, parameter_prefix, parameter_text

_MAX_NAMED = 8  # trials that are listed beside a reason


def seconds_of(run: Run) -> float:
    """Return the training time of a trial in seconds, even if the trial is not complete."""
    total = sum(event.metrics.get("epoch_seconds", 0.0) for event in run.epochs)
    return float(run.summary.get("train_seconds", total))


def duration(seconds: float) -> str:
    """Return `12 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@dataclass(frozen=True)
class Leaderboard:
    columns: list[str]  # first `trial` and `state`
    rows: list[list[str]]


def leaderboard(record: StudyRecord) -> Leaderboard:
    """Return the trials, best first, with the parameters that were searched, the most important first."""
    searched = _searched(record)
    names = sorted({name for values in searched.values() for name in values}, key=by_importance(record))
    metrics = [objective.metric for objective in record.objectives]
    front = _front(record)
    rows = []
    for run in [*record.ranked, *(run for run in record.runs if run not in record.ranked)]:
        row = {"trial": str(run.number), "state": run.shown_state}
        if len(metrics) > 1:
            row["front"] = "★" if run.number in front else ""
        row |= {one.metric: _result_text(run, one.result, one.metric) for one in record.objectives}
        row["best_epoch"] = _result_text(run, "best_epoch")
        if "parameters" not in metrics:
            row["weights"] = _result_text(run, "parameters")
        row["time"] = duration(seconds_of(run))
        configured = flat_parameters(run)  # Optuna stores some values in another form
        own = {**searched.get(run.number, {})}
        own |= {name: configured[name] for name in own.keys() & configured.keys()}
        row |= {name: parameter_text(own[name]) if name in own else "" for name in names}
        rows.append(row)
    return Leaderboard(list(rows[0]), [list(row.values()) for row in rows])


def _result_text(run: Run, key: str, metric: str = "") -> str:
    """Return a result of a trial as text, in the format of `metric` (default `key`); "" if it has none."""
    return format_value(metric or key, run.summary[key]) if key in run.summary else ""


def _front(record: StudyRecord) -> list[int]:
    """Return the numbers of the trials on the Pareto front."""
    results = [objective.result for objective in record.objectives]
    values = {
        run.number: [run.summary[key] for key in results] for run in record.ranked if run.number is not None
    }
    return pareto_front(values, record.objectives)


def _searched(record: StudyRecord) -> Mapping[int | None, Mapping[str, Any]]:
    """Return the searched parameters of each trial; without Optuna, parameters whose values differ."""
    if record.searched:
        return record.searched
    flat = {run.number: flat_parameters(run) for run in record.runs}
    seen: dict[str, set[str]] = {}
    for values in flat.values():
        for name, value in values.items():
            seen.setdefault(name, set()).add(parameter_text(value))
    varied = {name for name, texts in seen.items() if len(texts) > 1}
    return {
        number: {name: values[name] for name in values.keys() & varied} for number, values in flat.items()
    }


def flat_parameters(run: Run) -> dict[str, Any]:
    """Return the parameters of a trial by name, `conv_net.filters`, `training.epochs`."""
    config = run.config
    flat: dict[str, Any] = {
        "architecture": config.architecture.name,
        "augmentation": config.augmentation.name,
    }
    for kind, component in (("architecture", config.architecture), ("augmentation", config.augmentation)):
        prefix = parameter_prefix(kind, component.name, config.architecture.name)
        flat |= {f"{prefix}.{key}": value for key, value in component.parameters.items()}
    return flat | {f"training.{key}": value for key, value in config.training.items()}


def reasons(record: StudyRecord) -> list[tuple[str, str]]:
    """Return groups of trials without a result: the trials as text, and the reason."""
    numbers: dict[tuple[str, str], list[str]] = {}
    for run in record.runs:
        state = run.shown_state
        if run.final_event is not None and state in ("failed", "rejected", "interrupted"):
            numbers.setdefault((state, run.final_event.reason), []).append(str(run.number))
    return [
        (f"{state}: trial{'s' if len(trials) > 1 else ''} {_listed(trials)}", reason)
        for (state, reason), trials in numbers.items()
    ]


def _listed(numbers: Sequence[str]) -> str:
    shown = ", ".join(numbers[:_MAX_NAMED])
    return shown if len(numbers) <= _MAX_NAMED else f"{shown} … ({len(numbers):,} in all)"


def pruning(record: StudyRecord) -> list[str]:
    """Return sentences about the epochs and time that pruning saved at most; [] if no trial was pruned.

    Rejected trials and trials whose event log is lost do not count. The time of an epoch that was not trained
    is the mean time of the trained epochs of its trial.
    """
    pruned = [run for run in record.runs if run.shown_state == "pruned" and run.epochs]
    if not pruned:
        return []
    trained, saved, seconds = 0, 0, 0.0
    for run in pruned:
        not_trained = max(0, run.config.folds * max_epochs(run.config.training) - len(run.epochs))
        trained += len(run.epochs)
        saved += not_trained
        seconds += not_trained * fmean(epoch.metrics.get("epoch_seconds", 0) for epoch in run.epochs)
    trials, were = count_text(len(pruned), "trial"), "was" if len(pruned) == 1 else "were"
    share = f"{100 * saved / (trained + saved):.0f} % of their epochs"
    return [
        f"{trials} {were} pruned after {count_text(trained, 'epoch')} in total.",
        f"That saved at most {count_text(saved, 'epoch')} ({share}), about {duration(seconds)} at the speed "
        "of each trial. Pruning saved less if patience would have stopped some of these trials early.",
    ]


def period(runs: Sequence[Run]) -> str:
    """Return the dates of the first and the last event: `2026-11-30 13:05 – 13:06`."""
    times = [event.time for run in runs for event in run.epochs]
    times += [run.final_event.time for run in runs if run.final_event is not None]
    if not times:
        return ""
    first, last = (datetime.fromtimestamp(time).astimezone() for time in (min(times), max(times)))
    end = last.strftime("%H:%M" if first.date() == last.date() else "%Y-%m-%d %H:%M")
    return f"{first:%Y-%m-%d %H:%M} – {end}"
