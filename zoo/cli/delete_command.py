"""`zoo delete`: delete a study or some of its trials, or restore trials."""

from __future__ import annotations

import shlex
import sys

import click

from zoo.cli import common
from zoo.errors import ZooError


@click.command("delete")
@common.study_argument(missing="recorded")
@common.trials_option("Delete only this trial of the study")
@click.option(
    "--restore",
    is_flag=True,
    help="Restore the trials that --trial names; without --trial, the study's run in MLflow.",
)
@click.option("--yes", is_flag=True, help="Delete a whole study without asking.")
@common.storage_option
def command(study: str, trials: tuple[int, ...], restore: bool, yes: bool, storage: str | None) -> None:
    """Delete STUDY with all its trials, or only the trials that --trial names.

    A deleted trial is excluded by every command until it is restored. A deleted study is removed from
    Optuna and from the local record; its experiment in MLflow can be restored with MLflow's own commands.

    \b
    zoo delete mnist_cnn --trial 3
    zoo delete mnist_cnn --trial 3 --restore
    zoo delete mnist_cnn
    """
    if not trials and not restore and not yes:
        _confirm(study)
    from zoo.tuning import lifecycle

    name = shlex.quote(study)
    if restore:
        click.echo(lifecycle.restore_trials(study, trials) if trials else lifecycle.restore_study_run(study))
        common.print_next((f"zoo compare {name}", "the trials, best first"))
    elif not trials:
        click.echo(lifecycle.delete_study(study, storage))
        common.print_next(("zoo list studies", "the studies that can be searched"))
    else:
        click.echo(lifecycle.delete_trials(study, trials))
        numbers = " ".join(f"--trial {number}" for number in trials)
        common.print_next(
            (f"zoo compare {name}", "the remaining trials"),
            (f"zoo delete {name} {numbers} --restore", "undo this"),
        )


def _confirm(study: str) -> None:
    """Ask before a whole study is deleted."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise ZooError(f"deleting the study '{study}' needs a confirmation; without a terminal, add --yes.")
    if not click.confirm(f"Delete the study '{study}' with all its trials?", err=True):
        raise ZooError(f"the study '{study}' was not deleted.")
