"""`zoo evaluate`: score a model on its test split, or on any dataset with the same classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.errors import count_text

if TYPE_CHECKING:
    from zoo.evaluation import Evaluation

_MAX_CLASSES = 20  # with more classes, the confusion matrix is wider than a terminal


@click.command("evaluate")
@common.run_options
@click.option(
    "--dataset", metavar="NAME", help="Score any model on this dataset, which has the same classes."
)
@click.option(
    "--split",
    type=click.Choice(("test", "validation", "train", "all")),
    default="test",
    show_default=True,
    help="The split of --dataset; all for all its images.",
)
@common.set_option("A parameter of --dataset: --set path=photos; may be repeated.")
@common.path_option("--mistakes", "Write the wrongly classified images to a CSV file.")
@common.plugin_option
@common.json_option
@common.quiet_option
def command(
    study: str | None,
    trial: int | None,
    run: str | None,
    dataset: str | None,
    split: str,
    overrides: tuple[str, ...],
    mistakes: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score a model of STUDY on the test split, and add the scores to its run in MLflow.

    `zoo tune` does this for the best trial when a study is finished. Use this command for a study that
    was stopped, for another trial, and for a run of `zoo train`.

    STUDY may also be any name of a model. Then the model is scored on the test split of its own dataset, or
    of --dataset, and nothing is recorded.

    \b
    zoo evaluate mnist_cnn
    zoo evaluate mnist_cnn --trial 3
    zoo evaluate mnist_cnn@champion
    zoo evaluate pets@champion --dataset image_folder --set path=photos --split all --mistakes wrong.csv
    """
    common.check_csv(mistakes, "--mistakes")
    common.start_loading_keras()
    from zoo.evaluation import evaluate

    with common.open_display(quiet) as display:
        result = evaluate(
            study, trial, run=run, dataset=dataset, split=split, overrides=overrides, display=display
        )
    if result.warning and dataset is None:
        common.print_warning(result.warning)
    if mistakes is not None:
        _write_mistakes(result, mistakes)
    if as_json:
        click.echo(json.dumps(_document(result), indent=1))
    elif not result.is_recorded:
        _print_everything(result)
    else:
        _print_scores(result)
        if not quiet:
            arguments = common.run_arguments(study, trial, run)
            common.print_next((f"zoo inspect confusion {arguments}", "which classes it confuses"))


def _write_mistakes(result: Evaluation, path: Path) -> None:
    mistakes = result.mistakes
    common.write_csv(mistakes, path, "--mistakes")
    are = "is" if len(mistakes) == 1 else "are"
    common.print_note(f"{len(mistakes):,} of {count_text(result.images, 'image')} {are} wrong: {path}")


def _document(result: Evaluation) -> dict[str, Any]:
    """Return the JSON document; with the confusion matrix if the scores belong to no recorded run."""
    document: dict[str, Any] = {"study": result.study, "run": result.name, "images": result.images}
    if not result.is_recorded:
        document = {"model": result.name, "dataset": result.dataset, "split": result.split}
        document |= {"images": result.images}
    document |= {"dataset.source": result.source, "dataset.warning": result.warning, **result.metrics}
    document["classes"] = json.loads(result.classes.reset_index().to_json(orient="records"))
    if not result.is_recorded:
        document["accuracy_interval"] = list(result.interval)
        document["confusion"] = result.confusion.to_numpy().tolist()
    return document


def _print_scores(result: Evaluation) -> None:
    click.echo(f"{result.name} of {result.study}, {count_text(result.images, 'image')} of the test split")
    for metric, value in result.metrics.items():
        click.echo(f"{metric} {value:.4f}")
    click.echo()
    _print_classes(result)


def _print_everything(result: Evaluation) -> None:
    source = f" ({result.source})" if result.source else ""
    part = "all splits" if result.split == "all" else f"the {result.split} split"
    click.echo(f"{result.name} on {result.dataset}{source}, {count_text(result.images, 'image')} of {part}")
    low, high = result.interval
    notes = {"accuracy": f"95 % interval {low:.4f} to {high:.4f}"}
    metrics = result.metrics.items()
    common.print_table([[name, f"{value:.4f}", notes.get(name, "")] for name, value in metrics], indent="")
    click.echo()
    _print_classes(result)
    click.echo()
    if len(result.class_names) <= _MAX_CLASSES:
        click.echo("confusion matrix: a row for each label, a column for each prediction")
        confusion = result.confusion.rename_axis(index=None, columns=None)
        click.echo(confusion.to_string())
    else:
        click.echo(f"{len(result.class_names)} classes; --json has the confusion matrix")


def _print_classes(result: Evaluation) -> None:
    classes = result.classes.reset_index()
    click.echo(classes.to_string(index=False, float_format="{:.4f}".format, na_rep="-"))
