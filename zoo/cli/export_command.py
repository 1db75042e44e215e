"""`zoo export`: convert a model into the format of another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import common
from zoo.errors import count_text

if TYPE_CHECKING:
    from zoo.models import Exported

FORMATS = ("keras", "saved_model", "onnx", "tflite", "litert-int8")


@click.command("export")
@click.argument("model")
@click.option("--format", required=True, type=click.Choice(FORMATS), help="Format of the exported model.")
@common.path_option(
    "--output",
    "File to write, or folder for saved_model; by default the study's name in the working folder.",
    metavar="PATH",
)
@click.option(
    "--images",
    multiple=True,
    metavar="FILES",
    help="Image files or a folder for the comparison, instead of the dataset's test split; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file or folder.")
@common.plugin_option
@common.quiet_option
def command(
    model: str, format: str, output: Path | None, images: tuple[str, ...], overwrite: bool, quiet: bool
) -> None:
    """Convert MODEL to another format, and compare the result with the original.

    MODEL is a study, a registered model, an address in MLflow, the folder of a run, or a .keras file.
    The exported model takes the same pixels, raw and from 0 to 255. A JSON file beside it has the class
    names and all that is known about the model.

    \b
    zoo export mnist_cnn --format onnx
    zoo export pets@champion --format litert-int8 --output app/pets.tflite
    """
    common.start_loading_keras()
    from zoo.models import export_model

    with common.open_display(quiet) as display:
        found = common.find_model(model, display)
        result = export_model(found, format, output, display, images=images, overwrite=overwrite)
    _print(result)


def _print(result: Exported) -> None:
    paths = [file for file in (result.path, *sorted(result.path.rglob("*"))) if file.is_file()]
    size = sum(file.stat().st_size for file in paths)
    click.echo(f"{result.path}  {size / 1e6:,.2f} MB")
    click.echo(f"{result.details_path}  class names, input, origin")
    click.echo(f"compared with the original on {result.images}:")
    rows = [
        ["largest difference of a probability", f"{result.largest_difference:.2g}"],
        ["images with the same most probable class", f"{result.num_equal} of {result.num_images}"],
    ]
    if result.accuracies is not None:
        original, exported, count = result.accuracies
        change = f"{original:.4f} -> {exported:.4f} ({exported - original:+.4f})"
        rows.append([f"accuracy on {count_text(count, 'image')}", change])
    if result.calibration:
        rows.append(["int8 ranges", f"from {result.calibration}"])
    common.print_table(rows)
