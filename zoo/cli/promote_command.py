"""`zoo promote`: make a model the champion of a registered model."""

from __future__ import annotations

import shlex

import click

from zoo.cli import common


@click.command("promote")
@click.argument("model")
@click.option("--as", "name", metavar="NAME", help="The registered model; the study by default.")
@common.quiet_option
def command(model: str, name: str | None, quiet: bool) -> None:
    """Make MODEL the champion of a registered model in MLflow, without a comparison.

    `zoo tune` does this for the best trial of a study if it is better than the champion. Use this command for
    another trial, for a model of other data, or to return to the former champion.

    \b
    zoo promote mnist_cnn
    zoo promote mlruns/zoo/mnist_cnn/trials/003
    zoo promote mnist_cnn@previous
    zoo promote mnist_cnn --as digits
    """
    from zoo.models import promote

    with common.open_display(quiet) as display:
        result = promote(model, name, display)
    version, former = result.version, result.former
    replaced = f"; {former.title} is the previous one" if former is not None else ""
    click.echo(f"{version.title} is the champion{replaced}")
    if former is not None and result.is_on_other_data:
        common.print_warning(
            f"{former.title} was trained on other data ({former.digest[:12] or 'unknown'}…, now "
            f"{version.digest[:12] or 'unknown'}…), so their metrics cannot be compared"
        )
    if "test_accuracy" not in version.metrics:
        trial = f"{shlex.quote(version.study)} --trial {version.trial}"
        arguments = trial if version.trial is not None else "--run FOLDER"
        common.print_note(
            f"its card has no test scores; `zoo evaluate {arguments}`, then this command again, adds them"
        )
    if not quiet:
        common.print_next((f"zoo predict {shlex.quote(version.title)} IMAGE", "the classes of images"))
