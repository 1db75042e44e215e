"""`zoo evaluate`: what a recorded model reaches on the test split."""

from __future__ import annotations

import json

import click

from zoo.cli import common


@click.command("evaluate")
@common.run_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common.quiet_option
def command(study: str | None, trial: int | None, run: str | None, as_json: bool, quiet: bool) -> None:
    """Score a trial's model on the test split, and add that to its run in MLflow.

    `zoo tune` does so for the best trial when a search is finished. This is for one that was stopped,
    for another trial, and for what `zoo train` trained.

    \b
    zoo evaluate --study mnist_cnn
    zoo evaluate --study mnist_cnn --trial 3
    """
    common.begin_loading_keras()
    from zoo.evaluation import evaluate
    from zoo.tuning.display import told

    display = common.display(quiet)
    try:
        result = evaluate(study, trial, run=run, display=display)
    finally:
        display.end()
    if result.warning:
        told(f"warning: {result.warning}")
    if as_json:
        classes = json.loads(result.classes.reset_index().to_json(orient="records"))
        facts = {"study": result.study, "run": result.name, "images": result.images}
        dataset = {"dataset.source": result.source, "dataset.warning": result.warning}
        click.echo(json.dumps({**facts, **dataset, **result.metrics, "classes": classes}, indent=1))
        return
    click.echo(f"{result.name} of {result.study}, {result.images:,} images of the test split")
    for metric, value in result.metrics.items():
        click.echo(f"{metric} {value:.4f}")
    click.echo()
    click.echo(result.classes.reset_index().to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
