"""`zoo report`: write the report of a study."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli import common
from zoo.errors import ZooError, one_line


@click.command("report")
@common.study_argument(missing="recorded")
@common.path_option("--output", "Path of the HTML file to write.")
@common.storage_option
def command(study: str, output: Path | None, storage: str | None) -> None:
    """Write the report of STUDY: one HTML page that needs no network.

    `zoo tune` does this when a study is finished. Use this command while a study is running, after it was
    stopped, or after `zoo evaluate`. Without --output, the report in MLflow is replaced, too.

    \b
    zoo report mnist_cnn
    zoo report mnist_cnn --output mnist.html
    """
    from zoo.record import load_runs
    from zoo.report import write_report
    from zoo.tuning.lifecycle import refresh_deleted

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise ZooError(f"--output: expected a file that ends in .html, got {output}")

    refresh_deleted(study, common.print_warning)
    load_runs(study)  # without trials, the error is the only line
    common.print_note("writing the report …")
    path = write_report(study, output, storage=storage, on_problem=common.print_warning)
    if output is None:
        _record(study, path)
    click.echo(common.shown_path(path))


def _record(study: str, path: Path) -> None:
    """Add the report to the study's run in MLflow; print a warning if that fails."""
    from zoo.record import StudyDirectory
    from zoo.tracking import StoreAway, TrackingError, add_report, connect

    directory, problem = StudyDirectory(Path.cwd(), study), ""
    try:
        if not add_report(connect(create=False), directory.study, directory.uid() or "", path):
            restore = f"`zoo delete {directory.study} --restore` restores a deleted one"
            problem = f"MLflow has no run of this study; {restore}"
    except StoreAway as error:
        problem = f"{error.problem}; `zoo sync {shlex.quote(directory.study)}` adds it"
    except TrackingError as error:
        problem = one_line(error)
    if problem:
        common.print_warning(f"the report is not in MLflow: {problem}")
