"""`zoo init`: write a study for the user's own images."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from zoo.cli import common
from zoo.errors import count_text

if TYPE_CHECKING:
    from zoo.drafting import StudyFile


@click.command("init")
@click.argument("path")
@click.option(
    "--output", metavar="FILE", help="The study file; by default named like PATH, in the working folder."
)
@click.option("--force", is_flag=True, help="Replace a study file that exists.")
@common.set_option("A parameter of the dataset: --set image_size=64; may be repeated. zoo finds the others.")
@common.quiet_option
def command(path: str, output: str | None, force: bool, overrides: tuple[str, ...], quiet: bool) -> None:
    """Look at the images at PATH, and write a study for them.

    PATH is a folder of images, a CSV, TSV, Parquet or Arrow file, or a file of NumPy arrays.

    \b
    zoo init photos/
    zoo init digits.csv --set label_column=digit
    """
    from zoo.drafting import init

    study = init(path, output=output, force=force, overrides=overrides, display=common.display(quiet))
    print_study_file(study)
    if not quiet:
        file = shlex.quote(str(study.path))
        common.print_next(
            (f"zoo tune {file}", "search for the best model"),
            (f"zoo inspect data {file}", "look at the images first"),
        )


def print_study_file(study: StudyFile, *, err: bool = False) -> None:
    """Print the facts about the data, and the path of the study file."""
    common.print_table(study.seen, indent="", err=err)
    if study.warning:
        common.print_warning(study.warning)
    click.echo(
        f"wrote {study.path}: {count_text(study.trials, 'trial')} of up to "
        f"{count_text(study.epochs, 'epoch')}, {study.time} by estimate",
        err=err,
    )
