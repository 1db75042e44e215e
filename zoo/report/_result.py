"""The result of a study, how certain it is, and the best model."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.errors import count_text
from zoo.metrics import calibration, confident_mistakes, wilson_interval
from zoo.record import Run
from zoo.report._images import image_address
from zoo.report._plots import Plot, confusion, reliability
from zoo.report._record import Predictions, StudyRecord
from zoo.report._search_plots import STATE_COLORS, by_importance
from zoo.report._trials import duration, flat_parameters, seconds_of
from zoo.trial import format_value, parameter_text, test_metric

_MAX_MISTAKES = 24


@dataclass(frozen=True)
class Interval:
    """A measured accuracy with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    images: int

    def position(self, accuracy: float, start: float) -> float:
        """Return the position of an accuracy, in percent, on an axis from `start` to 1."""
        return 100 * (accuracy - start) / max(1 - start, 1e-9)


def interval(accuracy: float, num_images: int) -> Interval:
    """Return an accuracy with its interval. An accuracy just outside 0 to 1, by rounding, is allowed."""
    return Interval(accuracy, *wilson_interval(min(max(accuracy, 0.0), 1.0), num_images), num_images)


@dataclass(frozen=True)
class Result:
    """The result of a study, and how certain it is.

    Args:
        cards: label, value and note of each number at the top.
        test, validation: accuracies of the best model; None if unknown.
        notes: sentences about the limits of these numbers.
    """

    cards: list[tuple[str, str, str]]
    test: Interval | None
    validation: Interval | None
    notes: list[str] = field(default_factory=list)

    @property
    def axis_start(self) -> float:
        """The left end of the axis, chosen so that both intervals fill about a third of it."""
        lows = [one.low for one in (self.test, self.validation) if one is not None]
        return max(0.0, 1 - 3 * (1 - min(lows, default=0.0)))


def result(record: StudyRecord) -> Result:
    """Return the numbers at the top of the page, with their intervals and notes."""
    best, notes = record.best, []
    cards = _cards(record)
    test = validation = None
    if best is None:
        notes.append("No trial is complete yet, so there is no best model.")
        return Result(cards, None, None, notes)
    scored, dataset = best.directory.latest_score(), record.dataset
    if scored is not None and dataset is not None and dataset.test is not None:
        test = interval(scored.metrics["test_accuracy"], len(dataset.test.labels))
    elif scored is None and dataset is not None:
        command = f"zoo evaluate {shlex.quote(record.name)}"
        notes.append(
            "The dataset has no test split, so no score is independent of the search."
            if dataset.test is None
            else f"The best model is not scored on the test split yet: `{command}`."
        )
    accuracy = best.summary.get("best_val_accuracy")
    if accuracy is not None and record.num_validated:
        validation = interval(accuracy, record.num_validated)
        notes += _ties_note(record, validation)
    return Result(cards, test, validation, notes)


def _ties_note(record: StudyRecord, validation: Interval) -> list[str]:
    """Return a note if the accuracies of other trials are within the interval of the best one."""
    others = [
        str(run.number)
        for run in record.ranked[1:]
        if run.summary.get("best_val_accuracy", 0.0) >= validation.low
    ]
    if not others or len(record.objectives) > 1:
        return []
    if len(others) == 1:
        subject = f"Trial {others[0]} is"
    elif len(others) <= 6:
        subject = f"Trials {', '.join(others[:-1])} and {others[-1]} are"
    else:
        subject = f"{len(others)} other trials are"
    return [f"{subject} within the validation interval of the best trial: their order may be due to chance."]


def _cards(record: StudyRecord) -> list[tuple[str, str, str]]:
    cards, best = [], record.best
    if best is not None:
        scored = best.directory.latest_score()
        if scored is not None:
            cards.append(("Test accuracy", f"{100 * scored.metrics['test_accuracy']:.2f} %", best.name))
            for objective in record.objectives:
                name = test_metric(objective.metric)
                if name in scored.metrics and name not in ("test_accuracy", "test_loss"):
                    cards.append((name, format_value(name, scored.metrics[name]), best.name))
        for objective in record.objectives:
            value = format_value(objective.metric, best.summary[objective.result])
            label = f"Best {objective.metric}" if len(record.objectives) == 1 else objective.metric
            cards.append((label, value, f"{best.name}, {objective.direction}"))
        if all(objective.metric != "parameters" for objective in record.objectives):
            cards.append(("Weights", f"{best.summary.get('parameters', 0):,.0f}", "of the best network"))
    counts = Counter(run.shown_state for run in record.runs)
    listed = ", ".join(f"{counts[state]} {state}" for state in STATE_COLORS if counts[state])
    cards.append(("Trials", f"{len(record.runs):,}", listed))
    cards.append(
        ("Training time", duration(sum(seconds_of(run) for run in record.runs)), "sum of all trials")
    )
    return cards


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction in the form that the page shows; `address` is the URL of the image."""

    address: str
    actual: str
    predicted: str
    probability: str


@dataclass(frozen=True)
class BestModel:
    """The best trial's parameters, and its predictions on the validation split.

    Args:
        parameters: name, value, and True if it was searched; searched parameters first.
        plots: confusion matrix and calibration; [] if the predictions are not in this folder.
        mistakes: the most confident wrong predictions.
        note: the number of wrong predictions, or the reason why no predictions are shown.
        error: the expected calibration error as text; "" without predictions.
    """

    run: Run
    parameters: list[tuple[str, str, bool]]
    plots: list[Plot]
    mistakes: list[Mistake]
    note: str
    error: str = ""


def best_model(record: StudyRecord) -> BestModel | None:
    """Return the best trial with its predictions; None if no trial is complete."""
    run = record.best
    if run is None:
        return None
    found = record.predictions(run)
    parameters = _parameters(record, run)
    if found is None or record.dataset is None:
        command = f"zoo inspect confusion {shlex.quote(record.name)} --trial {run.number}"
        note = (
            f"The predictions of {run.name} are not in this folder any more; `{command}` computes them again."
        )
        return BestModel(run, parameters, [], [], note)
    labels, names = np.asarray(found.split.labels), record.dataset.class_names
    predicted = found.probabilities.argmax(axis=1)
    fit = calibration(labels, found.probabilities)
    wrong = int((predicted != labels).sum())
    are = "is" if wrong == 1 else "are"
    return BestModel(
        run,
        parameters,
        [confusion(labels, predicted, names), reliability(fit)],
        _mistakes(found, names),
        f"{wrong:,} of {count_text(len(labels), 'image')} of the {record.validation_name} {are} wrong.",
        f"expected calibration error {fit.error:.3f}",
    )


def _mistakes(found: Predictions, names: Sequence[str]) -> list[Mistake]:
    labels, predicted = np.asarray(found.split.labels), found.probabilities.argmax(axis=1)
    confidence = found.probabilities.max(axis=1)
    order = confident_mistakes(labels, found.probabilities)[:_MAX_MISTAKES]
    return [
        Mistake(
            image_address(found.split.images[index]),
            names[int(labels[index])],
            names[int(predicted[index])],
            f"{100 * confidence[index]:.0f} %",
        )
        for index in map(int, order)
    ]


def _parameters(record: StudyRecord, run: Run) -> list[tuple[str, str, bool]]:
    """Return a trial's parameters: the searched ones by importance, then the others by name."""
    searched = record.searched.get(run.number, {})
    flat = flat_parameters(run)
    names = [
        *sorted(flat.keys() & searched.keys(), key=by_importance(record)),
        *sorted(flat.keys() - searched),
    ]
    return [(name, parameter_text(flat[name]), name in searched) for name in names]
