"""`zoo train`: a study's baseline, or one of its trials again."""

from __future__ import annotations

import click

from zoo.cli import common


@click.command("train")
@common.study_option
@click.option(
    "--trial",
    type=click.IntRange(min=0),
    metavar="N",
    help="Train trial N again, same parameters, same seed.",
)
@common.set_option
@click.option("--name", metavar="NAME", help="The study is recorded under this name.")
@common.quiet_option
def command(study: str, trial: int | None, overrides: tuple[str, ...], name: str | None, quiet: bool) -> None:
    """Train STUDY's baseline, or one of its trials again, outside the search.

    It becomes a run of its own in the study's MLflow experiment.
    """
    common.begin_loading_keras()
    from zoo.tuning import train
    from zoo.tuning.display import told

    result = train(study, trial=trial, overrides=overrides, name=name, display=common.display(quiet))
    value = result.summary[f"best_{result.objective}"]
    if result.folds:
        spread = result.summary[f"best_{result.objective}_std"]
        where = f"± {spread:.4f} over {max(result.folds)} folds"
    else:
        where = f"in epoch {result.summary['best_epoch']:.0f} of {len(result.epochs)}"
    click.echo(f"{result.objective} {value:.4f} {where}")
    click.echo(f"model: {result.folder / 'model.keras'}")
    if not quiet:
        told(f"next: zoo ui   its curves and figures, in the experiment {result.study}")
