"""Pictures of a trial: its curves, what it predicted, what its network sees."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy.typing as npt

from zoo import figures
from zoo.data import Split
from zoo.errors import StudyError
from zoo.events import EpochEnd
from zoo.inspection import _network
from zoo.inspection._network import LayerTable
from zoo.inspection._picture import Picture, checked_output, image_of, written
from zoo.models.recorded import call_on_model, current_runs, find_run, validation_data
from zoo.record import STATE_DIR, Run, pick_runs, rank_runs, read_predictions
from zoo.training.worker import start_loading_keras
from zoo.tuning.display import Display, PlainDisplay

Output = str | os.PathLike[str] | None

_WHERE = "the validation split"


def curves(
    study: str | None = None,
    *trials: int,
    run: Output = None,
    top: int = figures.COMPARED_AT_MOST,
    output: Output = None,
) -> Picture:
    """Learning curves: of one trial, or of several in one picture.

    Args:
        study: a study's name.
        trials: numbers. One gives its training and validation curves; several are compared by their
            validation curves; none compares the best.
        run: a run's folder, instead of a study.
        top: with no trials named, so many of the best have a colour, at most 8; the others are grey.
        output: the PNG to write; by default one in `figures/` of the trial's record, or of the
            study's.

    Raises:
        ZooError: something a person can put right.
    """
    if run is not None or len(trials) == 1:
        return _curves_of_one(find_run(study, trials[0] if trials else None, run, PlainDisplay()), output)
    if study is None:
        raise StudyError("Name a study, or the folder of a run with --run FOLDER.")
    runs = current_runs(study, PlainDisplay())
    study = runs[0].study  # which may have been given by its file
    chosen = pick_runs(trials, runs) if trials else rank_runs(runs)[:top]
    others = [] if trials else [one for one in runs if one not in chosen]
    if not any(one.epochs for one in chosen):
        raise StudyError(f"No trial of '{study}' is complete, so there are no curves to compare yet.")
    name = f"curves-{'-'.join(map(str, trials))}.png" if trials else "curves.png"
    path = checked_output(output, STATE_DIR / study / "figures" / name)
    return written(
        lambda path: figures.compared_curves(
            [_curve(one) for one in chosen], path, title=study, others=[_curve(one) for one in others]
        ),
        path,
    )


def _curves_of_one(run: Run, output: Output) -> Picture:
    path = checked_output(output, run.directory.figures_dir / "learning_curves.png")
    if not run.epochs:
        raise StudyError(f"{run.description} has no epoch, so it has no curves.")
    return written(lambda path: figures.draw_curves(run.directory.path, path, title=run.title), path)


def _curve(run: Run) -> figures.Curve:
    """Return the curve of a trial for a comparison; with cross-validation the mean of the folds."""
    best = run.summary.get(f"best_{run.config.objective}")
    value = "" if best is None else f": {best:.4f}"
    name = f"{run.name}{value}" if run.is_complete else f"{run.name} ({run.state}){value}"
    if not any(event.fold for event in run.epochs):
        best_epoch = run.summary.get("best_epoch")
        return figures.Curve(name, run.epochs, None if best_epoch is None else int(best_epoch))
    return figures.Curve(name, _mean_of_folds(run.epochs))


def _mean_of_folds(epochs: Sequence[EpochEnd]) -> list[EpochEnd]:
    """Return the mean metrics of every epoch that all folds have reached."""
    by_epoch: dict[int, list[EpochEnd]] = defaultdict(list)
    for event in epochs:
        by_epoch[event.epoch].append(event)
    num_folds = len({event.fold for event in epochs})
    return [
        EpochEnd(
            events[-1].time,
            epoch,
            {name: fmean(event.metrics[name] for event in events) for name in events[0].metrics},
        )
        for epoch, events in by_epoch.items()
        if len(events) == num_folds
    ]


def confusion(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: Output = None,
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """Which class a trial's model takes for which, on the validation split.

    Args:
        study: a study's name.
        trial: a complete trial's number; the best one by default.
        run: a run's folder, instead of a study.
        output: the PNG to write; by default one in `figures/` of the trial's record.
        display: told of the progress; plain lines on stderr by default.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    path = checked_output(output, found.directory.figures_dir / "confusion_matrix.png")
    split, names, predicted = _predicted(found, display)
    return written(
        lambda path: figures.confusion_matrix(
            split.labels, predicted.argmax(axis=1), names, path, title=found.title
        ),
        path,
    )


def mistakes(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: Output = None,
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """Of every class the validation image that a trial's model most confidently takes for another.

    Args: as for `confusion`.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    path = checked_output(output, found.directory.figures_dir / "mistakes.png")
    split, names, predicted = _predicted(found, display)
    return written(
        lambda path: figures.mistakes(split.images, split.labels, predicted, names, path, title=found.title),
        path,
    )


def predictions(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: Output = None,
    images: Sequence[int] = (),
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """Validation images beside the probabilities that a trial's model gives their classes.

    Args:
        images: their numbers, the first is 0; by default six of all, and the six that the model is
            least certain of.
        study, trial, run, output, display: as for `confusion`.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    name = f"predictions-{'-'.join(map(str, images))}.png" if images else "predictions.png"
    path = checked_output(output, found.directory.figures_dir / name)
    split, names, predicted = _predicted(found, display)
    for number in images:
        image_of(split.images, number, _WHERE)
    return written(
        lambda path: figures.predictions(
            split.images, split.labels, predicted, names, path, title=found.title, picked=list(images) or None
        ),
        path,
    )


def features(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: Output = None,
    layer: str | None = None,
    image: int = 0,
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """What the layers of a trial's network make of one validation image.

    Args:
        layer: its name, as `layers` lists it, for up to 64 of its maps; None for a few maps of every
            convolution and pooling.
        image: its number, the first is 0.
        study, trial, run, output, display: as for `confusion`.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    of_layer = "" if layer is None else f"{layer.replace('/', '-')}-"
    path = checked_output(output, found.directory.figures_dir / f"features-{of_layer}{image}.png")
    found.check_complete()
    start_loading_keras()
    split, names = validation_data(found, display)
    pixels = image_of(split.images, image, _WHERE)
    at_most = figures.AT_MOST_MAPS if layer is not None else figures.MAPS_OF_EACH
    maps = _ask(_network.maps, found, display, pixels, layer, at_most)
    title, told = f"{found.title}, image {image}", f"the image is of class {names[int(split.labels[image])]}"
    if layer is not None:
        return written(
            lambda path: figures.feature_maps(pixels, maps[0], path, title=title, subtitle=told), path
        )
    return written(lambda path: figures.layer_maps(pixels, maps, path, title=title, subtitle=told), path)


def filters(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: Output = None,
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """The filters that the first convolution of a trial's network learned.

    Args: as for `confusion`.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    path = checked_output(output, found.directory.figures_dir / "filters.png")
    layer, kernel = _ask(_network.first_filters, found, display)
    return written(lambda path: figures.filters(kernel, path, title=found.title, layer=layer), path)


def layers(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: Output = None,
    display: Display | None = None,
) -> LayerTable:
    """The layers of a trial's network with their shapes and parameters; `str` is the table as text.

    Args: as for `confusion`.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    found = find_run(study, trial, run, display)
    found.check_complete()
    start_loading_keras()
    split, _ = validation_data(found, display)
    table: LayerTable = _ask(_network.layer_table, found, display, image_of(split.images, 0, _WHERE))
    return table


def _predicted(run: Run, display: Display) -> tuple[Split, tuple[str, ...], npt.NDArray[Any]]:
    """The validation images, the names of the classes, and what the run's model gives them."""
    run.check_complete()
    split, names = validation_data(run, display)  # first: predicting again needs the prepared dataset
    return split, names, predictions_of(run, display)


def predictions_of(run: Run, display: Display) -> npt.NDArray[Any]:
    """Class probabilities `(n, classes)` of the validation images, as recorded or predicted again.

    Predicting needs the prepared dataset: `validation_data` comes first.

    Raises:
        ZooError: they cannot be had.
    """
    run.check_complete()
    path = run.directory.predictions_path
    if path.exists():
        return read_predictions(path)[1]
    display.phase("predicting with its model …")
    answer: npt.NDArray[Any] = call_on_model(
        _network.probabilities, run, display, run.cache_dir, run.config.digest, run.config.validation
    )
    return answer


def _ask(question: Any, run: Run, display: Display, *arguments: Any) -> Any:
    """Ask a run's model; what is wrong is told with the run's name."""
    run.check_complete()
    start_loading_keras()
    display.phase("loading the model …")
    return call_on_model(question, run, display, *arguments)
