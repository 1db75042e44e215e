"""`zoo report`: write the report of a study."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zoo.cli import common
from zoo.errors import ZooError


@click.command("report")
@common.study_argument(missing="recorded")
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), help="Path of the HTML file to write."
)
@common.storage_option
def command(study: str, output: Path | None, storage: str | None) -> None:
    """Write the report of STUDY: one HTML page that needs no network.

    `zoo tune` does this when a study is finished. Use this command while a study is running, after it was
    stopped, or after `zoo evaluate`. Without --output, the report in MLflow is replaced, too.

    \b
    zoo report mnist_cnn
    zoo report mnist_cnn --output mnist.html
    """
    from zoo.report import write_report
    from zoo.tuning.lifecycle import refresh_deleted

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise ZooError(f"--output: expected a file that ends in .html, got {output}")
    refresh_deleted(study, lambda text: common.print_note(f"warning: {text}"))
    path = write_report(study, output, storage=storage)
    click.echo(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path)
