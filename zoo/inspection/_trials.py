"""Figures of a trial: curves, predictions, and the feature maps and filters of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from zoo import figures
from zoo.data import Split
from zoo.errors import StudyError, count_text
from zoo.inspection import _network
from zoo.inspection._figure import Figure, OptionalPath, image_at, output_path
from zoo.inspection._network import LayerTable
from zoo.models.recorded import call_on_model, current_runs, find_run, validation_data
from zoo.record import STATE_DIR, pick_runs, rank_runs, read_predictions
from zoo.registry import takes_plugins
from zoo.tuning.display import Display, PlainDisplay


def curves(
    study: str | None = None,
    *trials: int,
    run: OptionalPath = None,
    top: int = figures.MAX_COMPARED,
    output: OptionalPath = None,
) -> Figure:
    """Draw the learning curves of one trial, or compare those of several.

    Args:
        study: a study's name.
        trials: numbers of trials. One trial is drawn with its training and validation curves; several trials
            (all by default) are compared by their validation curves.
        run: the folder of a run, instead of a study.
        top: number of the best trials to draw in color, at most 8; used only without `trials`.
        output: the PNG file to write; by default in the folder `figures` of the trial or the study.
    """
    if run is not None or study is None or len(trials) == 1:  # this raises an error if neither names a run
        found = find_run(study, trials[0] if trials else None, run, PlainDisplay())
        path = output_path(output, found.directory.figures_dir / "learning_curves.png")
        if figures.draw_curves(found.directory.path, path, title=found.title) is None:
            raise StudyError(f"{found.description} has not finished an epoch, so it has no curves.")
        return Figure(path)
    runs = current_runs(study, PlainDisplay())
    study = runs[0].study  # the argument may be the path of the study file
    selected = pick_runs(trials, runs) if trials else rank_runs(runs)[:top]
    if not any(one.epochs for one in selected):
        raise StudyError(f"no trial of '{study}' is complete, so there are no curves to compare yet.")
    others = [] if trials else [figures.curve_of(one) for one in runs if one not in selected]
    name = "-".join(["curves", *map(str, trials)])
    path = output_path(output, STATE_DIR / study / "figures" / f"{name}.png")
    drawn = [figures.curve_of(one) for one in selected]
    return Figure(figures.compared_curves(drawn, path, title=study, others=others))


@takes_plugins
def confusion(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: OptionalPath = None,
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw the confusion matrix of a trial's model on the validation split.

    Args:
        study: a study's name.
        trial: the number of a complete trial; the best one by default.
        run: the folder of a run, instead of a study.
        output: the PNG file to write; by default in the folder `figures` of the trial.
        plugins: plugin files that the model or the dataset needs: paths, or imported modules.
        display: shows the progress; plain lines on stderr by default.
    """
    found = _CompleteRun(study, trial, run, display)
    path = found.output_path(output, "confusion_matrix.png")
    split, names, probabilities = found.predictions()
    found.print_images(count_text(len(split.labels), "image"))
    predicted = probabilities.argmax(axis=1)
    return Figure(figures.confusion_matrix(split.labels, predicted, names, path, title=found.title))


@takes_plugins
def mistakes(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: OptionalPath = None,
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw, for every class, the validation image that a trial's model most confidently misclassifies.

    Args:
        study, trial, run, output, plugins, display: as for `confusion`.
    """
    found = _CompleteRun(study, trial, run, display)
    path = found.output_path(output, "mistakes.png")
    split, names, probabilities = found.predictions()
    found.print_images(count_text(len(split.labels), "image"))
    return Figure(figures.mistakes(split.images, split.labels, probabilities, names, path, title=found.title))


@takes_plugins
def predictions(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: OptionalPath = None,
    images: Sequence[int] = (),
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw validation images next to the class probabilities that a trial's model predicts.

    Args:
        images: numbers of the images, from 0; by default six evenly spaced images, and the six images with
            the least certain predictions.
        study, trial, run, output, plugins, display: as for `confusion`.
    """
    found = _CompleteRun(study, trial, run, display)
    path = found.output_path(output, "-".join(["predictions", *map(str, images)]) + ".png")
    split, names, probabilities = found.predictions()
    for number in images:
        image_at(split.images, number, "validation")
    found.print_images(count_text(len(split.labels), "image"))
    return Figure(
        figures.predictions(
            split.images, split.labels, probabilities, names, path, title=found.title, indices=images
        )
    )


@takes_plugins
def features(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: OptionalPath = None,
    layer: str | None = None,
    image: int = 0,
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw the feature maps of a trial's network for one validation image.

    Args:
        layer: the name of a layer, as `layers` lists it: up to 64 of its maps are drawn. By default, a few
            maps of every convolution and pooling layer are drawn.
        image: number of the image, from 0.
        study, trial, run, output, plugins, display: as for `confusion`.
    """
    found = _CompleteRun(study, trial, run, display)
    parts = ["features", *([] if layer is None else [layer.replace("/", "-")]), str(image)]
    path = found.output_path(output, "-".join(parts) + ".png")
    split, names = validation_data(found.run, found.display)
    pixels = image_at(split.images, image, "validation")
    found.print_images(f"image {image}")
    max_maps = figures.MAPS_PER_LAYER if layer is None else figures.MAX_MAPS
    maps = found.call(_network.feature_maps, pixels, layer, max_maps)
    title = f"{found.title}, validation image {image}"
    subtitle = f"class {names[int(split.labels[image])]}"
    if layer is None:
        return Figure(figures.layer_maps(pixels, maps, path, title=title, subtitle=subtitle))
    return Figure(figures.feature_maps(pixels, maps[0], path, title=title, subtitle=subtitle))


@takes_plugins
def filters(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: OptionalPath = None,
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw the filters of the first convolution of a trial's network.

    Args:
        study, trial, run, output, plugins, display: as for `confusion`.
    """
    found = _CompleteRun(study, trial, run, display)
    path = found.output_path(output, "filters.png")
    layer, kernel = found.call(_network.first_filters)
    return Figure(figures.filters(kernel, path, title=found.title, layer=layer))


@takes_plugins
def layers(
    study: str | None = None,
    trial: int | None = None,
    *,
    run: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> LayerTable:
    """Return the layers of a trial's network with their shapes and parameters; `str` returns a text table.

    Args:
        study, trial, run, plugins, display: as for `confusion`.
    """
    found = _CompleteRun(study, trial, run, display)
    split, _ = validation_data(found.run, found.display)
    table: LayerTable = found.call(_network.layer_table, image_at(split.images, 0, "validation"))
    return table


class _CompleteRun:
    """A complete run: its images, its predictions and its model."""

    def __init__(
        self, study: str | None, trial: int | None, run: OptionalPath, display: Display | None
    ) -> None:
        self.display = display or PlainDisplay()
        self.run = find_run(study, trial, run, self.display)
        self.run.check_complete()
        self.title = self.run.title

    def output_path(self, output: OptionalPath, file_name: str) -> Path:
        return output_path(output, self.run.directory.figures_dir / file_name)

    def print_images(self, images: str) -> None:
        """Print which images the figure shows."""
        self.display.phase(f"{self.run.title}: {images} of the validation split")

    def predictions(self) -> tuple[Split, tuple[str, ...], npt.NDArray[Any]]:
        """Return the validation split, the class names, and the class probabilities of its images.

        The probabilities are the recorded ones; if they are missing, they are computed again.
        """
        split, names = validation_data(self.run, self.display)  # this also prepares a missing dataset
        path, config = self.run.directory.predictions_path, self.run.config
        if path.exists():
            return split, names, read_predictions(path)[1]
        data = self.run.cache_dir, config.digest, config.validation
        return split, names, self.call(_network.predict, *data)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return `function(model_path, *arguments)`, called in a worker process with Keras."""
        self.display.phase("loading the model …")
        return call_on_model(function, self.run, self.display, *arguments)
