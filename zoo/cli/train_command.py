"""`zoo train`: train a study's baseline, or one of its trials again."""

from __future__ import annotations

import shlex
from typing import Any

import click

from zoo.cli import common


@click.command("train")
@common.study_argument(missing="known")
@common.number_option(
    "--trial", low=0, help="Train trial N again, with the same parameters and seed, instead of the baseline."
)
@common.plugin_option
@common.study_setting_option
@click.option("--name", metavar="NAME", help="Record the study under this name.")
@common.quiet_option
def command(quiet: bool, **options: Any) -> int:
    """Train the baseline of STUDY, or one of its trials again, outside the study.

    The training is recorded as a separate run in the study's MLflow experiment.

    \b
    zoo train mnist_cnn
    zoo train mnist_cnn --trial 3
    """
    common.start_loading_keras()
    from zoo.tuning import train

    result = train(**options, display=common.display(quiet), command=common.command_line())
    value = result.summary[f"best_{result.objective}"]
    if result.folds:
        spread = result.summary[f"best_{result.objective}_std"]
        where = f"± {spread:.4f} over {max(result.folds)} folds"
    else:
        where = f"in epoch {result.summary['best_epoch']:.0f} of {len(result.epochs)}"
    with common.unread_output_ignored():
        click.echo(f"{result.objective} {value:.4f} {where}")
        click.echo(f"model: {result.folder / 'model.keras'}")
    if not quiet:
        run = common.run_arguments(run=str(result.folder), files=result.plugin_files)
        common.print_next(
            (f"zoo ui {shlex.quote(result.study)}", "its curves and figures, in the experiment of the study"),
            (f"zoo evaluate {run}", "its score on the test split"),
        )
    return 0 if result.is_recorded else 1
