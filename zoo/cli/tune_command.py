"""`zoo tune`: search for a good model, as a study says."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from zoo.cli import common

if TYPE_CHECKING:
    from zoo.tuning import TuneResult


@click.command("tune")
@common.study_option
@click.option(
    "--trials", type=int, metavar="N", help="The study's number of trials in all, instead of its own."
)
@click.option("--jobs", type=int, default=1, show_default=True, metavar="N", help="Trials at once.")
@click.option(
    "--sampler", metavar="NAME", help="tpe, random, grid, nsga2, cmaes or gp, instead of the study's."
)
@click.option("--pruner", metavar="NAME", help="median, hyperband or none, instead of the study's.")
@common.set_option
@click.option("--name", metavar="NAME", help="Record it under this name instead of the study's.")
@click.option("--storage", metavar="URL", help="Optuna storage instead of mlruns/optuna.db.")
@click.option(
    "--accept-versions", is_flag=True, help="Go on with a study although versions or code of plugins changed."
)
@common.quiet_option
def command(
    study: str,
    trials: int | None,
    jobs: int,
    sampler: str | None,
    pruner: str | None,
    overrides: tuple[str, ...],
    name: str | None,
    storage: str | None,
    accept_versions: bool,
    quiet: bool,
) -> int:
    """Search for a good model, as STUDY says.

    A study that was begun goes on: the same command again resumes it. Ctrl-C once ends it
    cleanly, twice at once.

    \b
    zoo tune --study digits_cnn
    zoo tune --study mnist_cnn --trials 8 --jobs 2
    zoo tune --study mnist_cnn --set training.epochs=3 --name mnist_quick
    """
    common.begin_loading_keras()
    from zoo.tuning import tune
    from zoo.tuning.display import told

    result = tune(
        study,
        trials=trials,
        jobs=jobs,
        sampler=sampler,
        pruner=pruner,
        overrides=overrides,
        name=name,
        storage=storage,
        accept_versions=accept_versions,
        display=common.display(quiet),
    )
    if result.interrupted is not None:
        again = shlex.join(["zoo", *sys.argv[1:]])
        told(f"stopped with {result.done} of {result.total} trials done; go on with: {again}")
        return result.interrupted
    if result.rejected:
        told(
            f"{result.rejected} of {result.done} trials were not trained: "
            f"their networks have more than {result.max_parameters:,} parameters (max_parameters)"
        )
    if result.best is None:
        told("no trial was completed")
        return 1
    _print(result, result.best, quiet)
    return 0


def _print(result: TuneResult, best: tuple[int, float], quiet: bool) -> None:
    from zoo.tuning.display import told, value_text

    if len(result.objectives) > 1:
        for number, values in result.front.items():
            reached = ", ".join(value_text(metric, value) for metric, value in values.items())
            click.echo(f"front: trial {number}, {reached}")
    number, value = best
    tested = f", {result.test_metrics['test_accuracy']:.4f} on the test split" if result.test_metrics else ""
    chosen = f" ({result.architecture})" if result.architecture else ""
    click.echo(f"best: trial {number}{chosen}, {value_text(result.objective, value)}{tested}")
    click.echo(f"model: {result.model_uri or 'see the run in MLflow'}")
    if result.warning:  # that of the start is far up by now
        click.echo(f"data: {result.source}")
        told(f"warning: {result.warning}")
    if not quiet:
        told(
            f"next: zoo compare --study {result.study}   the trials, best first\n"
            f"      zoo ui --study {result.study}        the same in MLflow's UI, with curves and figures"
        )
