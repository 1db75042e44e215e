"""The `zoo` command. Each command has its own module, imported when the command is used."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import re
import sys
from pathlib import Path

import click

from zoo._version import __version__
from zoo.cli.group import Group
from zoo.disk_space import full_text, is_full
from zoo.errors import ZooError, one_line
from zoo.logs import library_logs
from zoo.redaction import redact

# The help line of each command. The module of a command is zoo/cli/NAME_command.py.
COMMANDS = {
    "init": "Write a study for your own images.",
    "tune": "Search for the best model of a study.",
    "train": "Train a study's baseline, or one of its trials again.",
    "confirm": "Train the best trials of a study again with fresh seeds.",
    "predict": "Name the classes of image files.",
    "serve": "Serve a model: a page for images, and MLflow's scoring server.",
    "evaluate": "Score a model on the test split, or on another dataset.",
    "models": "List the registered models, show one; pack a model into one file, unpack it.",
    "promote": "Make a model the champion of a registered model.",
    "export": "Convert a model to ONNX, LiteRT, a SavedModel or a Keras file.",
    "compare": "Show the trials of a study, best first.",
    "sync": "Send the missing parts of a study to MLflow.",
    "report": "Write a study's report, one HTML page.",
    "ui": "Open MLflow's UI on the recorded studies.",
    "inspect": "Draw a dataset, an augmentation policy, a trial, or a trained network.",
    "list": "List datasets, architectures, augmentation policies and studies.",
    "show": "Show a dataset, architecture, augmentation policy or study in full.",
    "check": "Check study files and plugins without training.",
    "doctor": "Check the installation, the stores and the recorded studies; repair them.",
    "delete": "Delete a study, or some of its trials.",
    "rename": "Rename a study.",
    "plugins": "List the installed plugins, start a new one, or check one.",
}


@click.group(
    cls=Group,
    lazy_commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="zoo")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--no-plugins", is_flag=True, help="Load only the plugins that are part of zoo.")
@click.pass_context
def zoo(context: click.Context, debug: bool, no_plugins: bool) -> None:
    """Search for a good image classifier, and keep a complete record of the search.

    \b
    zoo tune digits_cnn    a search that takes seconds
    zoo tune photos/       a search on your own images
    zoo ui                 compare the trials in MLflow
    zoo plugins --help     a network of your own, in one file

    In Python, `zoo.tune("digits_cnn", dataset=zoo.Dataset.from_arrays(x, y))` searches on arrays.
    """
    context.obj = debug
    if no_plugins:
        os.environ["ZOO_PLUGINS"] = ""  # every process that this one starts inherits the variable


def main() -> None:
    """Run the command line. Errors are one line; `--debug` adds tracebacks. The exit status is usually 2."""
    debug = "--debug" in sys.argv[1:]
    if isinstance(sys.stdout, io.TextIOWrapper):  # "?" on a terminal that cannot show "×"
        sys.stdout.reconfigure(errors="replace")
    try:
        # click handles a closed pipe, `zoo list | true`: it exits silently with status 1.
        with library_logs(None):  # `zoo tune` and `zoo train` write logs to a file
            status = zoo.main(args=_arguments(), prog_name="zoo", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        status = _fail("stopped", 130, debug=False)
    except click.UsageError as error:
        hint = f" (See: {error.ctx.command_path} --help)" if error.ctx else ""
        if isinstance(error, click.NoSuchOption):
            del (error.possibilities or [])[1:]  # keep only the closest option
        status = _fail(_zoo_style(one_line(error.format_message())) + hint, 2, debug)
    except click.ClickException as error:
        status = _fail(_zoo_style(error.format_message()), 2, debug)
    except ZooError as error:
        status = _fail(_with_whole_arguments(str(error)), getattr(error, "exit_status", 2), debug)
    except Exception as error:
        status = _fail(*_describe_unexpected(error), debug)
    sys.exit(status if isinstance(status, int) else 0)


def run() -> None:
    """Run `main`, then exit at once, because freeing the objects of MLflow and pandas takes a second."""
    try:
        main()
    except SystemExit as exit_request:
        # No public function runs exit handlers; tests/cli/test_startup.py fails if this one disappears.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # None if the stream was closed
                stream.flush()
        os._exit(exit_request.code if isinstance(exit_request.code, int) else 0)


def _arguments() -> list[str]:
    """Return the arguments, or `--help` without arguments. Options of `zoo` itself are moved to the front."""
    global_options = [argument for argument in sys.argv[1:] if argument in ("--debug", "--no-plugins")]
    others = [argument for argument in sys.argv[1:] if argument not in global_options]
    return [*global_options, *(others or ["--help"])]


def _describe_unexpected(error: Exception) -> tuple[str, int]:
    """Return message and exit status for a bug, a full disk, or a missing working folder."""
    if is_full(error):
        path = Path(str(getattr(error, "filename", None) or Path.cwd()))
        return f"{full_text(path)}. Make room, and run the same command again.", 1
    try:
        Path.cwd()
    except FileNotFoundError:
        return "the working folder no longer exists; cd to one that exists.", 2
    return f"zoo failed: {type(error).__name__}: {one_line(error)}; add --debug to see where", 1


def _with_whole_arguments(text: str) -> str:
    """Return a message without line breaks in the command's arguments, because each line is another error."""
    for argument in sys.argv[1:]:
        for part in (argument, argument.partition("=")[2]):
            if len(part.splitlines()) > 1:
                text = text.replace(part, one_line(part))
    return text


def _zoo_style(text: str) -> str:
    """Return a message of click in the style of zoo: lower-case at the start, and without type ranges."""
    text = re.sub("is not a valid (integer|float) range", r"is not a valid \1", text)
    return text[:1].lower() + text[1:]


def _fail(text: str, status: int, debug: bool) -> int:
    if debug:
        import traceback

        sys.stderr.write(redact(traceback.format_exc()))
    first, *rest = redact(text).splitlines() or [""]
    print(f"error: {first}", file=sys.stderr)
    for line in rest:
        # Each problem of a study file has its own line; the details of a problem are indented.
        print(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)
    return status
