"""Arguments, options and output that several commands share."""

from __future__ import annotations

import functools
import gc
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.errors import StudyError, ZooError
from zoo.files import check_writable, write_atomically
from zoo.garbage import imports_are_over
from zoo.redaction import redact
from zoo.registry import given_files, merge_files, using_plugins
from zoo.space import show
from zoo.study import known_studies
from zoo.training import backend
from zoo.training.worker import start_loading_keras as start_loading_keras

if TYPE_CHECKING:
    import pandas as pd

    from zoo.models import Classifier, FoundModel
    from zoo.registry import Component, Plugin, PluginFile
    from zoo.tuning.display import Display

Command = Callable[..., Any]


def study_argument(*, missing: str = "", several: bool = False) -> Callable[[Command], Command]:
    """Return a decorator that adds STUDY or, if `several`, STUDIES; `--study STUDY` is the same.

    Args:
        missing: `known` or `recorded` makes the study required, unless `--run` is given. The error about a
            missing argument lists the known or recorded studies.
    """
    name = "studies" if several else "study"
    shown = name.upper()

    def decorate(command: Command) -> Command:
        @click.argument(
            name, required=False, nargs=-1 if several else 1, metavar=shown if missing else f"[{shown}]"
        )
        @click.option("--study", "option", multiple=several, metavar="STUDY", help=f"The same as {shown}.")
        @functools.wraps(command)
        def with_study(*, option: Any, **options: Any) -> Any:
            study = options[name]
            if study and option and study != option:
                raise _usage_error(f"got {show(study)} and --study {show(option)}; use one of the two")
            options[name] = study or option
            if missing and not (options[name] or options.get("run")):
                alternative = " or --run FOLDER" if "run" in options else ""
                raise _usage_error(f"missing argument {shown}{alternative}. {_available(missing)}")
            return command(**options)

        return with_study

    return decorate


def _usage_error(text: str) -> click.UsageError:
    return click.UsageError(text, click.get_current_context())  # the context adds the name of the command


def _available(missing: str) -> str:
    from zoo.record import STATE_DIR

    recorded = sorted(path.parent.name for path in Path(STATE_DIR).glob("*/trials"))
    available = ", ".join(recorded if missing == "recorded" else known_studies())
    return f"Available: {available}." if available else "No study is recorded; `zoo tune` records one."


def run_options(command: Command) -> Command:
    """Add STUDY with `--trial`, and `--run`, to a command about one recorded run."""
    trial = click.option(
        "--trial", type=int, metavar="N", help="A trial of the study; by default the best one."
    )
    return study_argument(missing="recorded")(trial(run_option(command)))


def trials_option(help: str) -> Callable[[Command], Command]:
    """Return the option `--trial N`, which may be repeated; the command gets its values as `trials`."""
    return number_option("--trial", "trials", low=0, multiple=True, help=f"{help}; may be repeated.")


def number_option(
    *names: str, low: int, high: int | None = None, metavar: str = "N", **options: Any
) -> Callable[[Command], Command]:
    """Return an option that takes an integer from `low` to `high`; its help shows the default, if any."""
    number = click.IntRange(low, high)
    return click.option(*names, type=number, metavar=metavar, show_default="default" in options, **options)


def path_option(name: str, help: str, metavar: str = "FILE") -> Callable[[Command], Command]:
    """Return an option that takes the path of a file or folder."""
    return click.option(name, type=click.Path(path_type=Path), metavar=metavar, help=help)


def jobs_option(help: str) -> Callable[[Command], Command]:
    """Return the option `--jobs`; its value is checked together with the study."""
    return click.option("--jobs", default="auto", show_default=True, metavar="N", help=help)


def port_option(default: int, help: str) -> Callable[[Command], Command]:
    return number_option("--port", low=0, high=65535, default=default, help=f"Port to listen on; {help}.")


def plugin_option(command: Command) -> Command:
    """Add `--plugin FILE`, which may be repeated; the files are used while the command runs.

    Files of a group are used in its subcommand, too.
    """

    @click.option(
        "--plugin", multiple=True, metavar="FILE", help="A plugin file, such as my_net.py; may be repeated."
    )
    @functools.wraps(command)
    def with_plugins(*arguments: Any, plugin: Sequence[str], **options: Any) -> Any:
        click.get_current_context().with_resource(using_plugins(plugin))
        return command(*arguments, **options)

    return with_plugins


def plugin_arguments(files: Sequence[PluginFile] = ()) -> str:
    """Return the given plugin files, and `files`, as arguments of another command: ` --plugin my_net.py`."""
    paths = [shlex.quote(os.path.relpath(file.path)) for file in merge_files(given_files(), files)]
    return "".join(f" --plugin {path}" for path in paths)


run_option = click.option("--run", metavar="FOLDER", help="The folder of a run, as zoo train prints it.")
storage_option = click.option("--storage", metavar="URL", help="Optuna storage; mlruns/optuna.db by default.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
table_options = (
    click.option("--csv", "as_csv", is_flag=True, help="Print every column as CSV."),
    click.option("--json", "as_json", is_flag=True, help="Print every column as JSON."),
)
quiet_option = click.option("--quiet", is_flag=True, help="Print only the result, no progress.")


def _checked_host(_: click.Context, option: click.Parameter, host: str) -> str:
    if not host.strip():  # an empty address, as from an unset variable, would mean all addresses
        raise click.BadParameter("expected an address such as 127.0.0.1, got none; 0.0.0.0 is every address")
    return host


host_option = click.option(
    "--host", default="127.0.0.1", show_default=True, callback=_checked_host, help="Address to listen on."
)


def set_option(help: str) -> Callable[[Command], Command]:
    """Return the option `--set KEY=VALUE`; the command gets its values as `overrides`."""
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help=help)


study_setting_option = set_option(
    "Override a setting of the study file: --set training.epochs=3; may be repeated."
)


def component_facts(component: Component | Plugin) -> dict[str, str]:
    """Return the facts that identify a component or plugin in the JSON output of commands."""
    kind = getattr(component, "kind", "plugin")
    facts = {"kind": kind, "name": component.name}
    return facts | {"distribution": component.distribution, "version": component.version}


def image_shape(text: str) -> tuple[int, ...]:
    """Return the numbers of `HEIGHTxWIDTHxCHANNELS`."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise StudyError(f"--shape: expected HEIGHTxWIDTHxCHANNELS such as 28x28x1, got '{text}'")
    return tuple(map(int, parts))


def command_line() -> str:
    """Return the command as the user typed it, for the record, without passwords."""
    return redact(shlex.join(["zoo", *sys.argv[1:]]))


def load_keras() -> None:
    """Import Keras in this process as in the fork server, without the output of its backend."""
    if sys.stderr.isatty():
        click.echo("loading Keras …", err=True)
    gc.disable()
    try:
        with backend.without_optional_packages():
            backend.import_keras()
    finally:
        imports_are_over()


def find_model(model: str, display: Display) -> FoundModel:
    """Return the model that the argument MODEL names, without loading it; `display` shows its warnings."""
    from zoo import models
    from zoo.training.saved import check_plugin_files, other_versions

    found = models.find_model(model, display)
    check_plugin_files(found.path, found.name)
    for warning in other_versions(found.path, found.name):
        display.problem(warning)
    return found


def load_classifier(model: str, display: Display) -> Classifier:
    """Return the model that the argument MODEL names; `display` shows warnings about it."""
    from zoo.models import Classifier

    found = find_model(model, display)
    load_keras()
    with warnings.catch_warnings(action="ignore"):  # the display has shown these warnings
        return Classifier(found)


def display(quiet: bool = False) -> Display:
    """Return the progress display: a live display on a terminal, else plain lines; no display if `quiet`."""
    from zoo.tuning.display import NoDisplay, PlainDisplay

    if quiet:
        return NoDisplay()
    if sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from zoo.cli.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()


@contextmanager
def open_display(quiet: bool = False) -> Iterator[Display]:
    """Yield the progress display; at the end, even after an error, restore the terminal."""
    opened = display(quiet)
    try:
        yield opened
    finally:
        opened.end()


def print_note(text: str) -> None:
    """Print a line on stderr; do nothing if the terminal was closed."""
    with suppress(OSError, ValueError):
        click.echo(_escaped(redact(text)), err=True)


def print_warning(text: str) -> None:
    """Print a line on stderr that begins with `warning: `."""
    print_note(f"warning: {text}")


def shown_path(path: Path) -> str:
    """Return a path, relative if it is in the working folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def unread_output_ignored() -> Iterator[None]:
    """Ignore a closed stdout, such as after `| head -1`, because the work is done and recorded."""
    try:
        yield
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for the last flush of Python


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # includes bytes of a path that are not text


def _escaped(text: str) -> str:
    """Return `text` with its control characters, such as line breaks, as `\\n`."""
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def print_table(rows: Iterable[Sequence[str]], indent: str = "  ", *, err: bool = False) -> None:
    """Print rows of cells in columns. Control characters such as line breaks are escaped."""
    rows = [[_escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo(indent + "  ".join(cells).rstrip(), err=err)


def check_csv(path: Path | None, option: str) -> None:
    """Raise ZooError if `write_csv` cannot write to `path`. Call this before long work."""
    if path is not None and (path.is_dir() or path.is_file() or not path.exists()):
        check_writable(path, option)


def write_csv(table: pd.DataFrame, path: Path, option: str) -> None:
    """Write a table to the file that `option` names; after an error, the old file is unchanged."""
    text = table.to_csv(index=False)
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout, which no file must replace
            path.write_text(text, encoding="utf-8")
        else:
            write_atomically(path, text)
    except OSError as error:
        raise ZooError(
            f"{option} {path}: cannot be written ({error.strerror or error}). Choose another path."
        ) from None


def print_next(*steps: tuple[str, str]) -> None:
    """Print the next useful commands with their purposes. These are the last lines of the output."""
    width = max(len(command) for command, _ in steps)
    for number, (command, purpose) in enumerate(steps):
        start = "next:" if number == 0 else ""
        print_note(f"{start:5} {command:<{width}}   {purpose}".rstrip())


def run_arguments(
    study: str | None = None,
    trial: int | None = None,
    run: str | None = None,
    files: Sequence[PluginFile] = (),
    **_: Any,
) -> str:
    """Return the arguments that name a run, the given plugin files and `files`: `mnist_cnn --trial 3`."""
    plugins = plugin_arguments(files)
    if run is not None:
        return f"--run {shlex.quote(run)}{plugins}"
    return shlex.quote(study or "") + (f" --trial {trial}" if trial is not None else "") + plugins
