"""Arguments, options and output that several commands share."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import StudyError, redact_password
from zoo.study import known_studies, parse_value
from zoo.training import backend
from zoo.training.worker import start_loading_keras as start_loading_keras

if TYPE_CHECKING:
    from zoo.registry import Component, Plugin
    from zoo.tuning.display import Display

Command = Callable[..., Any]


def study_argument(*, required: bool) -> Callable[[Command], Command]:
    """Return a decorator that adds STUDY, which can also be given as `--study STUDY`."""

    def decorate(command: Command) -> Command:
        @click.argument("study", required=False, metavar="STUDY" if required else "[STUDY]")
        @click.option("--study", "study_option", metavar="STUDY", help="The same as the argument STUDY.")
        @functools.wraps(command)
        def with_study(*, study: str | None, study_option: str | None, **values: Any) -> Any:
            if study and study_option and study != study_option:
                raise click.UsageError(f"got two studies, '{study}' and --study '{study_option}'; name one")
            study = study or study_option
            if required and study is None:
                raise _missing_study("STUDY", known_studies(Path.cwd()))
            return command(study=study, **values)

        return with_study

    return decorate


def several_studies(command: Command) -> Command:
    """Add STUDIES: `zoo check a b` is the same as `zoo check --study a --study b`."""

    @click.argument("studies", nargs=-1, metavar="[STUDIES]...")
    @click.option("--study", "study_options", multiple=True, metavar="STUDY", help="One of STUDIES.")
    @functools.wraps(command)
    def with_studies(*, studies: tuple[str, ...], study_options: tuple[str, ...], **values: Any) -> Any:
        if studies and study_options and studies != study_options:
            raise click.UsageError("got studies both as arguments and with --study; use one of the two")
        return command(studies=studies or study_options, **values)

    return with_studies


def run_options(command: Command) -> Command:
    """Add STUDY with `--trial`, and `--run`, to a command about one recorded run."""

    @study_argument(required=False)
    @click.option("--trial", type=int, metavar="N", help="A trial of the study; the best one by default.")
    @run_option
    @functools.wraps(command)
    def with_run(*, study: str | None, run: str | None, **values: Any) -> Any:
        if run is None:
            check_recorded(study, "STUDY or --run FOLDER")
        return command(study=study, run=run, **values)

    return with_run


def check_recorded(study: object, argument: str) -> None:
    """Raise click.UsageError, with the studies that are recorded here, if there is no `study`."""
    if not study:
        from zoo.record import STATE_DIR

        raise _missing_study(argument, sorted(path.parent.name for path in Path(STATE_DIR).glob("*/trials")))


def _missing_study(argument: str, names: Iterable[str]) -> click.UsageError:
    available = ", ".join(names)
    hint = f"Available: {available}." if available else "No study is recorded here; `zoo tune` records one."
    return click.UsageError(f"Missing argument {argument}. {hint}")


run_option = click.option("--run", metavar="FOLDER", help="The folder of a run, such as zoo train prints.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="Print only the result, no progress.")


def set_option(help: str) -> Callable[[Command], Command]:
    """Return the option `--set KEY=VALUE`; the command gets its values as `overrides`."""
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help=help)


study_setting_option = set_option(
    "Override a setting of the study file: --set training.epochs=3; may be repeated."
)


def component_facts(component: Component | Plugin) -> dict[str, str]:
    """Return what names a component, or a plugin, in the JSON output of several commands."""
    kind = getattr(component, "kind", "plugin")
    facts = {"kind": kind, "name": component.name}
    return facts | {"distribution": component.distribution, "version": component.version}


def image_shape(text: str) -> tuple[int, ...]:
    """Return the numbers of `HEIGHTxWIDTHxCHANNELS`."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise StudyError(f"--shape: expected HEIGHTxWIDTHxCHANNELS such as 28x28x1, got '{text}'")
    return tuple(map(int, parts))


def key_and_value(setting: str, example: str) -> tuple[str, Any]:
    """Return key and value of `--set KEY=VALUE`; a value that is not TOML is a string."""
    key, equals, text = setting.partition("=")
    if not equals:
        raise StudyError(f"--set {setting}: expected KEY=VALUE, such as {example}")
    return key.strip(), parse_value(text)


def command_line() -> str:
    """Return the command as the user typed it, for the record, without passwords."""
    return redact_password(shlex.join(["zoo", *sys.argv[1:]]))


def load_keras() -> None:
    """Import Keras in this process, without the output of its backend."""
    if sys.stderr.isatty():
        click.echo("loading Keras …", err=True)
    backend.check_backend()
    with backend.muted():
        import_module("keras")


def display(quiet: bool = False) -> Display:
    """Return the progress display: a moving one on a terminal, else plain lines, or none if `quiet`."""
    from zoo.tuning.display import NoDisplay, PlainDisplay

    if quiet:
        return NoDisplay()
    if sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from zoo.cli.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()


def print_note(text: str) -> None:
    """Print a line on stderr. If the terminal was closed meanwhile, that does not end the command."""
    with suppress(OSError, ValueError):
        click.echo(text, err=True)


def print_table(rows: Iterable[Sequence[str]], indent: str = "  ") -> None:
    """Print rows of cells in columns."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo(indent + "  ".join(cells).rstrip())


def print_next(*steps: tuple[str, str]) -> None:
    """Print the commands that are useful next, each with what it is for; the last lines of a command."""
    width = max(len(command) for command, _ in steps)
    for number, (command, purpose) in enumerate(steps):
        start = "next:" if number == 0 else ""
        print_note(f"{start:5} {command:<{width}}   {purpose}".rstrip())


def run_arguments(
    study: str | None = None, trial: int | None = None, run: str | None = None, **_: Any
) -> str:
    """Return the arguments that name a run, to be typed after another command: `mnist_cnn --trial 3`."""
    if run is not None:
        return f"--run {shlex.quote(run)}"
    return shlex.quote(study or "") + (f" --trial {trial}" if trial is not None else "")
