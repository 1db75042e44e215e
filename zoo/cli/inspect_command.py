"""`zoo inspect`: pictures of a dataset, a policy, a trial, and of what its network sees."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.errors import ZooError, did_you_mean

if TYPE_CHECKING:
    from zoo.inspection import Picture
    from zoo.tuning.display import Display


class Pictures(click.Group):
    """The pictures, in the order in which somebody would look at them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise ZooError(f"There is no picture '{args[0]}'. {did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


_output = click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), help="The PNG to write instead."
)
_of_dataset = common.options(
    click.option("--study", metavar="STUDY", help="The dataset of this study, instead of a dataset's name."),
    click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="A parameter of the dataset: --set count=500. With --study, as zoo tune takes it.",
    ),
    _output,
)
_image = click.option(
    "--image", type=int, default=0, show_default=True, metavar="N", help="The image's number."
)


# Without a picture it shows its help itself: click would make an error of it, and one line of that.
@click.group("inspect", cls=Pictures, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Draw a dataset, a policy, a trial, or what its network sees.

    Each picture is written as a PNG, and its path is printed: into the working folder where it is of
    a dataset, into the run's own figures where it is of a run. Images are numbered from 0, those of a
    dataset in its training split, those of a run in its validation split.

    \b
    zoo inspect samples mnist
    zoo inspect augmentation affine mnist --set rotation=20
    zoo inspect curves --study mnist_cnn
    zoo inspect features --study mnist_cnn --trial 3 --layer conv2d_1 --image 7
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("samples")
@click.argument("dataset", required=False)
@_of_dataset
def samples(dataset: str | None, **options: Any) -> None:
    """Some images of every class of DATASET."""
    from zoo import inspection

    _print(inspection.samples(dataset, display=_display(), **options))
    parameters = [f"dataset.{one.removeprefix('dataset.')}" for one in options["overrides"]]
    of_study = []
    if options["study"] is not None:  # of a study --set may say more than a dataset has
        of_study = ["--study", options["study"]]
        parameters = [one for one in options["overrides"] if one.startswith("dataset.")]
    again = [*filter(None, [dataset]), *of_study, *(word for one in parameters for word in ("--set", one))]
    _hint(f"zoo inspect augmentation affine {shlex.join(again)}", "what a policy makes of its images")


@command.command("augmentation")
@click.argument("policy", required=False)
@click.argument("dataset", required=False)
@_of_dataset
@_image
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="For other versions.")
def augmentation(policy: str | None, dataset: str | None, **options: Any) -> None:
    """What the augmentation POLICY makes of images of DATASET.

    Many versions of one image, and one version of several. --set sets the policy's parameters;
    those of the dataset are --set dataset.KEY=VALUE. With --study, POLICY is by default the study's
    own: the first that is not `none`.
    """
    common.begin_loading_keras()
    from zoo import inspection

    policy = policy or _policy_of(options["study"])
    _print(inspection.augmentation(policy, dataset, display=_display(), **options))
    _hint(f"zoo show {policy}", "the parameters that --set takes, with their ranges")


@command.command("kernels")
@click.argument("dataset", required=False)
@_of_dataset
@_image
def kernels(dataset: str | None, **options: Any) -> None:
    """What smoothing and edge-finding make of an image of DATASET.

    The classic kernels: smoothing, horizontal, vertical and all edges.
    """
    from zoo import inspection

    _print(inspection.kernels(dataset, display=_display(), **options))
    _hint("zoo inspect filters --study STUDY", "the kernels that a network of yours learned")


@command.command("curves")
@click.option("--study", metavar="STUDY", help="A study's name.")
@click.option(
    "--trial", "trials", type=int, multiple=True, metavar="N", help="One of its trials; may be repeated."
)
@click.option("--run", metavar="FOLDER", help="A run's folder instead, such as zoo train prints.")
@click.option(
    "--top", type=click.IntRange(1, 8), default=8, show_default=True, metavar="N", help="So many in colour."
)
@_output
def curves(
    study: str | None, trials: tuple[int, ...], run: str | None, top: int, output: Path | None
) -> None:
    """Learning curves, of one trial or of several compared.

    With one --trial its training and validation curves; with several the validation curves of these;
    with none those of all, the best in colour.
    """
    from zoo import inspection

    _print(inspection.curves(study, *trials, run=run, top=top, output=output))
    if study is not None:
        _hint(f"zoo compare --study {shlex.quote(study)}", "what these trials trained, and what came of it")


@command.command("confusion")
@common.run_options
@_output
def confusion(**options: Any) -> None:
    """Which class a trial's model takes for which."""
    from zoo import inspection

    _print(inspection.confusion(display=_display(), **options))
    _hint(f"zoo inspect mistakes {_same_run(options)}", "one image of every class that it mistook")


@command.command("mistakes")
@common.run_options
@_output
def mistakes(**options: Any) -> None:
    """One mistake of every class: the most confident."""
    from zoo import inspection

    _print(inspection.mistakes(display=_display(), **options))
    _hint(f"zoo inspect predictions {_same_run(options)}", "how sure it is, also where it is right")


@command.command("predictions")
@common.run_options
@click.option(
    "--image", "images", type=int, multiple=True, metavar="N", help="An image's number; may be repeated."
)
@_output
def predictions(**options: Any) -> None:
    """Images beside the probabilities of their classes.

    By default six of all validation images, and the six that the model is least certain of.
    """
    from zoo import inspection

    _print(inspection.predictions(display=_display(), **options))
    image = next(iter(options["images"]), 0)
    _hint(f"zoo inspect features {_same_run(options)} --image {image}", "what the network sees in one")


@command.command("features")
@common.run_options
@click.option("--layer", metavar="NAME", help="One layer, as zoo inspect layers lists it.")
@_image
@_output
def features(**options: Any) -> None:
    """What a network's layers make of an image: feature maps.

    With --layer up to 64 maps of it; without, up to 12 of every convolution and pooling.
    """
    common.begin_loading_keras()
    from zoo import inspection

    _print(inspection.features(display=_display(), **options))
    if options["layer"] is None:
        _hint(f"zoo inspect layers {_same_run(options)}", "the names that --layer takes")
    else:
        _hint(f"zoo inspect filters {_same_run(options)}", "what the first convolution looks for")


@command.command("filters")
@common.run_options
@_output
def filters(**options: Any) -> None:
    """The filters that the first convolution learned."""
    common.begin_loading_keras()
    from zoo import inspection

    _print(inspection.filters(display=_display(), **options))
    _hint(f"zoo inspect features {_same_run(options)}", "what they and the later ones make of an image")


@command.command("layers")
@common.run_options
def layers(**options: Any) -> None:
    """A network's layers, their shapes and parameters, as text."""
    common.begin_loading_keras()
    from zoo import inspection

    click.echo(str(inspection.layers(display=_display(), **options)))
    _hint(f"zoo inspect features {_same_run(options)} --layer NAME", "the maps of one of them")


def _policy_of(study: str | None) -> str:
    """The first policy of a study that does anything."""
    from zoo.registry import Registry
    from zoo.study import load_study

    if study is None:
        raise ZooError("Which policy, and whose images? Name both, or with --study STUDY a study")
    for name in load_study(study, Registry.load()).augmentation.spaces:
        if name != "none":
            return name
    again = f"zoo inspect augmentation affine --study {shlex.quote(study)}"
    raise ZooError(f"The study '{study}' augments nothing; name a policy: {again}")


def _display() -> Display:
    return common.display(quiet=False)


def _print(picture: Picture) -> None:
    """The picture's path, as short as it can be typed here."""
    path = picture.path
    click.echo(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path)


def _hint(line: str, why: str) -> None:
    click.echo(f"next: {line}   {why}", err=True)


def _same_run(options: dict[str, Any]) -> str:
    return _run_options(options["study"], options["trial"], options["run"])


def _run_options(study: str | None, trial: int | None, run: str | None) -> str:
    if run is not None:
        return f"--run {shlex.quote(run)}"
    return f"--study {shlex.quote(study or '')}" + (f" --trial {trial}" if trial is not None else "")
