"""`zoo predict`: the classes of image files."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from zoo.cli import common
from zoo.errors import ZooError, count_text

if TYPE_CHECKING:
    from zoo.models import Classifier
    from zoo.tuning.display import Display

Row = tuple[str, list[tuple[str, float]]]  # path of an image; its classes with their probabilities


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGES...")
@common.number_option("--top", low=1, default=1, metavar="K", help="Classes per image.")
@common.plugin_option
@common.json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@common.number_option("--batch-size", low=1, default=32, help="Images that the model gets at once.")
@common.quiet_option
def command(
    model: str, images: tuple[str, ...], top: int, as_json: bool, as_csv: bool, batch_size: int, quiet: bool
) -> int:
    """Name the class of each image, with its probability.

    MODEL is a study, a registered model, an address in MLflow, the folder of a run, or a .keras file.
    IMAGES are files, folders (searched with their subfolders), patterns, or - for a list on standard input.
    They are decoded and scaled as in training. An image that cannot be read is skipped; the exit status is
    then 1.

    \b
    zoo predict mnist_cnn digit.png
    zoo predict cats_and_dogs@champion photos/ --top 2 --csv > classes.csv
    find . -name '*.jpg' | zoo predict model.keras - --json
    """
    if as_json and as_csv:
        raise click.UsageError("got --json and --csv; use one of the two")
    from zoo.models import prediction_columns
    from zoo.models.image_files import image_files

    files, skipped = image_files(images, _lines_of_stdin())
    if not files:
        raise ZooError(f"no images: {'; '.join(skipped) or 'the list on standard input is empty'}.")
    # Lines that are printed during the prediction would mix with the progress on a terminal.
    shares_terminal = (as_json or as_csv) and sys.stdout.isatty()
    with common.open_display(quiet or shares_terminal) as display:
        classifier = common.load_classifier(model, display)
        top = min(top, len(classifier.class_names))
        rows = _rows(classifier, files, top, batch_size, display, skipped)
        if as_json:
            _print_json(rows)
        elif as_csv:
            _print_csv(rows, prediction_columns(top))
        else:
            _print_table(rows, prediction_columns(top), display)
    for problem in skipped:
        common.print_note(f"skipped {problem}")
    return 1 if skipped else 0


def _lines_of_stdin() -> Iterator[str]:
    """Yield the lines of standard input; a path may contain bytes that are not text."""
    if sys.stdin is not None:  # None if the stream was closed
        yield from map(os.fsdecode, sys.stdin.buffer)


def _rows(
    classifier: Classifier, files: list[str], top: int, batch_size: int, display: Display, skipped: list[str]
) -> Iterator[Row]:
    """Yield a row for each image; add unreadable images to `skipped`."""
    display.phase(f"predicting {count_text(len(files), 'image')} …")
    for done, prediction in enumerate(classifier.predictions(files, batch_size), start=1):
        display.preparing(f"{done:,} of {count_text(len(files), 'image')}", done / len(files))
        if prediction.probabilities is None:
            skipped.append(f"{prediction.image}: {prediction.problem}")
        else:
            yield str(prediction.image), classifier.top_classes(prediction, top)


def _print_json(rows: Iterator[Row]) -> None:
    for image, classes in rows:
        named = [{"class": name, "probability": probability} for name, probability in classes]
        has_bytes = any("\udc80" <= character <= "\udcff" for character in image)  # bytes that are not text
        click.echo(json.dumps({"image": image, "classes": named}, ensure_ascii=has_bytes))


def _print_csv(rows: Iterator[Row], columns: list[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for image, classes in rows:
        writer.writerow([image, *(cell for pair in classes for cell in pair)])


def _print_table(rows: Iterator[Row], columns: list[str], display: Display) -> None:
    cells = [
        [image, *(cell for name, probability in classes for cell in (name, f"{probability:.4f}"))]
        for image, classes in rows
    ]
    display.end()
    if cells:
        common.print_table([columns, *cells], indent="")
