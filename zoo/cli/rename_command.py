"""`zoo rename`: rename a study."""

from __future__ import annotations

import shlex

import click

from zoo.cli import common


@click.command("rename")
@click.argument("old")
@click.argument("new")
@common.storage_option
def command(old: str, new: str, storage: str | None) -> None:
    """Rename the study OLD to NEW, in Optuna, in MLflow and in the local record.

    The study file keeps its name. To resume the study, run `zoo tune` with --name NEW.

    \b
    zoo rename mnist_cnn mnist_first
    """
    from zoo.tuning import lifecycle

    click.echo(lifecycle.rename_study(old, new, storage))
    common.print_next((f"zoo compare {shlex.quote(new)}", "the trials, best first"))
