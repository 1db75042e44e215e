"""`zoo inspect`: draw a dataset, an augmentation policy, a trial, or a trained network."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import zoo
from zoo.cli import common
from zoo.cli.common import Command
from zoo.cli.group import Group
from zoo.errors import ZooError, count_text
from zoo.registry import Registry
from zoo.study import known_studies

if TYPE_CHECKING:
    import pandas as pd

_MAX_ROWS = 40  # rows of duplicates on the terminal
_ROWS_OF_KIND = 8  # rows of each kind of suspicious images
_SETS = {
    "two labels": "with two labels",
    "two splits": "in two splits",
    "repeated": "within a class and split",
}
_NEED_KERAS = ("augmentation", "features", "filters")
_output_option = common.path_option("--output", "Path of the PNG to write.")
_csv_option = common.path_option("--csv", "Path of a CSV with every row.")
_image_option = click.option(
    "--image", type=int, default=0, show_default=True, metavar="N", help="Number of the image, from 0."
)


def _dataset_options(command: Command) -> Command:
    """Add DATASET, which may also be a study's name, with `--study`, `--set` and `--output`."""
    return _named_dataset(_output_option(command))


def _named_dataset(command: Command) -> Command:
    """Add DATASET, which may also be a study's name, with `--study` and `--set`."""

    @click.argument("dataset", required=False)
    @click.option("--study", metavar="STUDY", help="Use the dataset of this study.")
    @common.set_option("A parameter of the dataset: --set count=500; with a study: --set dataset.count=500.")
    @common.plugin_option
    @functools.wraps(command)
    def with_dataset(*, dataset: str | None, study: str | None, **values: Any) -> Any:
        if dataset is not None and study is None and _is_study(dataset):
            dataset, study = None, dataset
        return command(dataset=dataset, study=study, **values)

    return with_dataset


def _is_study(name: str) -> bool:
    """Return True if `name` is a study. A dataset with the same name takes precedence."""
    is_known = name in known_studies() and name not in Registry.load().names("dataset")
    return is_known or name.endswith(".toml")


def _run_figure(draw: Command) -> click.Command:
    """Make `draw` a command with the options that name a run, and `--output`."""
    return command.command()(common.run_options(_output_option(common.plugin_option(draw))))


# Without a subcommand, click would print an error; this group prints its help.
@click.group("inspect", cls=Group, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Draw a dataset, an augmentation policy, a trial, or a trained network.

    Each command writes a PNG and prints its path. A figure of a dataset is written to the working
    folder, a figure of a run to the run's folder. Images are numbered from 0: those of a dataset in its
    training split, those of a run in its validation split.

    \b
    zoo inspect samples mnist
    zoo inspect augmentation affine mnist --set rotation=20
    zoo inspect curves mnist_cnn
    zoo inspect features mnist_cnn --trial 3 --layer conv2d_1 --image 7
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command
@_csv_option
@_dataset_options
def data(csv: Path | None, **options: Any) -> None:
    """Draw an overview of DATASET before training, or of a study's dataset after it.

    Draws samples, numbers of images, brightness and sizes, and identical, constant and, after a study,
    probably mislabelled images. Prints the number of images by class and split, and the suspicious images.
    """
    common.check_csv(csv, "--csv")
    report = zoo.inspect.data(**options, display=common.display())
    click.echo(report.classes.rename_axis(None).to_string())
    found = report.findings.dropna(axis="columns", how="all")
    if len(found):
        click.echo(f"\n{_table_text(found, found.groupby('kind', sort=False).head(_ROWS_OF_KIND))}")
    _write_csv(report.findings, csv)
    click.echo(common.shown_path(report.path))
    _print_next(f"duplicates {_dataset_arguments(options)}", "sets of identical images")


@command.command
@_csv_option
@_named_dataset
def duplicates(csv: Path | None, **options: Any) -> None:
    """List the identical images of DATASET, or of a study's dataset.

    Images are identical if all their pixels are. First those with two labels, then those in two splits, then
    the others.
    """
    common.check_csv(csv, "--csv")
    table = zoo.inspect.duplicates(**options, display=common.display())
    if table.empty:
        click.echo("no two images have the same pixels")
    else:
        counts = table.groupby("kind")["set"].nunique().to_dict()
        short = table.assign(digest=table["digest"].str[:12])
        click.echo(_table_text(short, short.head(_MAX_ROWS)))
        click.echo(
            "sets: " + ", ".join(f"{counts[kind]:,} {text}" for kind, text in _SETS.items() if kind in counts)
        )
    _write_csv(table, csv)
    _print_next(
        f"data {_dataset_arguments(options)}", "these images in a figure, and other facts about the data"
    )


@command.command
@_dataset_options
def samples(**options: Any) -> None:
    """Draw some images of every class of DATASET, or of a study's dataset."""
    _draw("samples", **options)
    arguments = _dataset_arguments(options, "dataset.")
    _print_next(f"augmentation affine {arguments}", "the same images, augmented")


@command.command
@click.argument("policy", required=False)
@_dataset_options
@_image_option
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the policy.")
def augmentation(policy: str | None, **options: Any) -> None:
    """Draw images of DATASET as the augmentation POLICY changes them.

    Shows many versions of one image, and one version of several images. --set sets the parameters of the
    policy, --set dataset.KEY=VALUE those of the dataset. For a study, POLICY can be left out: it is
    the study's first policy other than `none`.
    """
    if policy is not None and options["dataset"] is None and options["study"] is None and _is_study(policy):
        policy, options["study"] = None, policy
    policy = policy or _policy_of(options["study"])
    _draw("augmentation", policy, **options)
    show = f"zoo show {policy}{common.plugin_arguments()}"
    common.print_next((show, "the parameters that --set accepts, with their ranges"))


@command.command
@_dataset_options
@_image_option
def kernels(**options: Any) -> None:
    """Draw an image of DATASET, smoothed and with its edges detected.

    Applies four classic kernels: smoothing, horizontal, vertical and all edges.
    """
    _draw("kernels", **options)
    _print_next("filters STUDY", "the kernels that a trained network learned")


@command.command
@common.study_argument(missing="recorded")
@common.trials_option("A trial of the study")
@common.run_option
@common.number_option("--top", low=1, high=8, default=8, help="Number of trials drawn in color.")
@_output_option
def curves(
    study: str | None, trials: tuple[int, ...], run: str | None, top: int, output: Path | None
) -> None:
    """Draw the learning curves of one trial, or compare those of several.

    One --trial shows its training and validation curves. Several show their validation curves. Without
    --trial, the validation curves of all trials are drawn, the best in color.
    """
    _draw("curves", study, *trials, run=run, top=top, output=output)
    if study is not None:
        common.print_next((f"zoo compare {shlex.quote(study)}", "parameters and results of these trials"))
    else:
        _print_next(f"confusion {common.run_arguments(None, None, run)}", "which classes it confuses")


@_run_figure
def confusion(**options: Any) -> None:
    """Draw the confusion matrix of a trial's model."""
    _draw_run("confusion", options, "mistakes", "one misclassified image of every class")


@_run_figure
def mistakes(**options: Any) -> None:
    """Draw, for every class, the mistake in which the model is most confident."""
    _draw_run("mistakes", options, "predictions", "how certain the model is, also where it is right")


@_run_figure
@click.option(
    "--image", "images", type=int, multiple=True, metavar="N", help="Number of an image; may be repeated."
)
def predictions(**options: Any) -> None:
    """Draw images beside the predicted probabilities of their classes.

    By default, draws six evenly spaced images and the six with the least certain predictions.
    """
    _draw_run("predictions", options, "features", "the feature maps of one image")


@_run_figure
@click.option("--layer", metavar="NAME", help="One layer, as zoo inspect layers names it.")
@_image_option
def features(**options: Any) -> None:
    """Draw the feature maps of an image.

    With --layer, draws up to 64 maps of that layer, else up to 12 of every convolution and pooling layer.
    """
    if options["layer"] is None:
        _draw_run("features", options, "layers", "the names that --layer accepts")
    else:
        _draw_run("features", options, "filters", "the filters of the first convolution")


@_run_figure
def filters(**options: Any) -> None:
    """Draw the filters that the first convolution learned."""
    _draw_run("filters", options, "features", "the feature maps of an image")


@command.command
@common.run_options
@common.plugin_option
def layers(**options: Any) -> None:
    """Print the layers of a network with their shapes and parameters."""
    common.start_loading_keras()
    click.echo(str(zoo.inspect.layers(**options, display=common.display())))
    _print_next(f"features {common.run_arguments(**options)} --layer NAME", "the feature maps of one layer")


def _dataset_arguments(options: Mapping[str, Any], prefix: str = "") -> str:
    """Return the arguments that name the same dataset; `prefix` precedes its parameters in `--set`."""
    arguments = [options["dataset"] or options["study"]]
    for override in options["overrides"]:
        # With a study, --set may also change settings that do not belong to its dataset.
        if options["study"] is None or override.startswith("dataset."):
            key = override.removeprefix("dataset.")
            arguments += ["--set", f"{prefix or ('dataset.' if options['study'] else '')}{key}"]
    return shlex.join(arguments) + common.plugin_arguments()


def _policy_of(study: str | None) -> str:
    """Return the first policy of a study that changes images."""
    if study is None:
        raise ZooError("missing arguments: name a policy and a dataset, or a study.")
    from zoo.tuning.opening import load_definition

    for name in load_definition(study, Registry.load(), (), None).augmentation.spaces:
        if name != "none":
            return name
    again = f"zoo inspect augmentation affine {shlex.quote(study)}"
    raise ZooError(f"the study '{study}' has no augmentation; name a policy: `{again}`")


def _draw_run(name: str, options: dict[str, Any], next_figure: str, purpose: str) -> None:
    """Draw a figure of a run, and name the next figure of the same run."""
    _draw(name, **options)
    _print_next(f"{next_figure} {common.run_arguments(**options)}", purpose)


def _draw(name: str, *arguments: Any, **options: Any) -> None:
    """Call `zoo.inspect.NAME`; print the path of the figure, relative if it is in the working folder."""
    if name in _NEED_KERAS:
        common.start_loading_keras()
    click.echo(common.shown_path(getattr(zoo.inspect, name)(*arguments, **options).path))


def _table_text(table: pd.DataFrame, shown: pd.DataFrame) -> str:
    """Return the shown rows as text, and the number of other rows in the table."""
    filled = shown.astype(object).where(shown.notna(), "")
    text = filled.to_string(index=False, float_format=lambda value: f"{value:.3f}")
    more = len(table) - len(shown)
    note = f"\n({count_text(more, 'more row')}; --csv FILE writes every suspicious image)"
    return f"{text}{note if more > 0 else ''}"


def _write_csv(table: pd.DataFrame, path: Path | None) -> None:
    if path is not None:
        common.write_csv(table, path, "--csv")
        common.print_note(f"{count_text(len(table), 'row')} in {path}")


def _print_next(arguments: str, purpose: str) -> None:
    common.print_next((f"zoo inspect {arguments}", purpose))
