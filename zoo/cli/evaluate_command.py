"""`zoo evaluate`: score a recorded model on the test split."""

from __future__ import annotations

import json
from typing import Any

import click

from zoo.cli import common


@click.command("evaluate")
@common.run_options
@common.json_option
@common.quiet_option
def command(study: str | None, trial: int | None, run: str | None, as_json: bool, quiet: bool) -> None:
    """Score a model of STUDY on the test split, and add the scores to its run in MLflow.

    `zoo tune` does this for the best trial when a study is finished. Use this command for a study that
    was stopped, for another trial, and for a run of `zoo train`.

    \b
    zoo evaluate mnist_cnn
    zoo evaluate mnist_cnn --trial 3
    """
    common.start_loading_keras()
    from zoo.evaluation import evaluate

    display = common.display(quiet)
    try:
        result = evaluate(study, trial, run=run, display=display)
    finally:
        display.end()
    if result.warning:
        common.print_note(f"warning: {result.warning}")
    classes = result.classes.reset_index()
    if as_json:
        document: dict[str, Any] = {"study": result.study, "run": result.name, "images": result.images}
        document |= {"dataset.source": result.source, "dataset.warning": result.warning, **result.metrics}
        document["classes"] = json.loads(classes.to_json(orient="records"))
        click.echo(json.dumps(document, indent=1))
        return
    click.echo(f"{result.name} of {result.study}, {result.images:,} images of the test split")
    for metric, value in result.metrics.items():
        click.echo(f"{metric} {value:.4f}")
    click.echo()
    click.echo(classes.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
    if not quiet:
        arguments = common.run_arguments(study, trial, run)
        common.print_next((f"zoo inspect confusion {arguments}", "which classes it confuses"))
