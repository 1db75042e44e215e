"""`zoo sync`: send the missing parts of a study to MLflow."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import common


@click.command("sync")
@common.study_argument(missing="known")
@common.plugin_option
@common.study_setting_option
@click.option("--name", metavar="NAME", help="The name under which the study is recorded.")
@common.storage_option
@common.quiet_option
def command(quiet: bool, **options: Any) -> int:
    """Send the missing parts of STUDY to MLflow, after an outage of the server. No trial runs.

    The next `zoo tune` of the study does this, too. Settings and plugin files come from the record.

    \b
    zoo sync digits_cnn
    """
    from zoo.tuning import sync

    is_complete = sync(**options, display=common.display(quiet), command=common.command_line())
    if is_complete:
        click.echo("MLflow has the whole study")
    return 0 if is_complete else 1
