"""The `zoo` command: one module for each command, imported when it is typed."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from zoo._version import __version__
from zoo.errors import ZooError, one_line

# command -> its module and its one line in `zoo --help`; `tests/cli` holds the two together
COMMANDS = {
    "tune": "Search for a good model, as a study says.",
    "train": "Train a study's baseline, or one of its trials again.",
    "evaluate": "Score a trial's model on the test split.",
    "compare": "The trials of a study, best first.",
    "ui": "Open MLflow's UI on the record.",
    "inspect": "Draw a dataset, a policy, a trial, or what its network sees.",
    "list": "What is registered, and which studies there are.",
    "show": "One dataset, architecture, policy or study in full.",
    "check": "Check studies and plugins without training.",
    "plugins": "The installed plugins and what they registered.",
}


class Commands(click.Group):
    """Imports a command's module when the command is named, not before."""

    table: Mapping[str, str] = COMMANDS
    module = "zoo.cli.{}_command"
    prefix = ""  # what is typed before a command, besides `zoo`

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.table:
            return None
        command: click.Command = importlib.import_module(self.module.format(name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.table and not args[0].startswith("-"):
            from zoo.errors import did_you_mean

            hint = did_you_mean(args[0], self.table)
            raise ZooError(f"There is no command '{self.prefix}{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="zoo")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--no-plugins", is_flag=True, help="Start with what zoo itself ships alone.")
@click.pass_context
def zoo(context: click.Context, debug: bool, no_plugins: bool) -> None:
    """Search for a good image classifier, and trust the record of how it was found.

    \b
    zoo tune --study digits_cnn    a search that takes seconds
    zoo ui                         compare its trials in MLflow
    """
    context.obj = debug
    if no_plugins:
        os.environ["ZOO_PLUGINS"] = ""  # which every process that this one starts inherits


def main() -> None:
    """Run the command line: one line for an error, exit status 2, no traceback unless `--debug`."""
    debug = "--debug" in sys.argv[1:]
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without a sign for "×" shows "?"
        sys.stdout.reconfigure(errors="replace")
    try:
        # click itself ends it, silently and with status 1, where the reader has gone: `zoo list | true`.
        status = zoo.main(args=_arguments(), prog_name="zoo", standalone_mode=False)
    except click.exceptions.Abort:
        status = _fail("stopped", 130, debug=False)
    except KeyboardInterrupt:
        status = _fail("stopped before anything was started", 130, debug=False)
    except click.UsageError as error:
        hint = f" (See: {error.ctx.command_path} --help)" if error.ctx else ""
        status = _fail(one_line(error.format_message()) + hint, 2, debug)
    except click.ClickException as error:
        status = _fail(error.format_message(), 2, debug)
    except ZooError as error:
        status = _fail(str(error), getattr(error, "exit_status", 2), debug)
    except Exception as error:
        status = _fail(*_unforeseen(error), debug)
    sys.exit(status if isinstance(status, int) else 0)


def run() -> None:
    """`main`, and then out at once: to free MLflow and pandas object by object takes a second."""
    try:
        main()
    except SystemExit as ended:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 0)


def _arguments() -> list[str]:
    """What is zoo's own, not a command's, may stand anywhere; nothing at all asks for help."""
    anywhere = [argument for argument in sys.argv[1:] if argument in ("--debug", "--no-plugins")]
    given = [argument for argument in sys.argv[1:] if argument not in anywhere]
    return [*anywhere, *(given or ["--help"])]


def _unforeseen(error: Exception) -> tuple[str, int]:
    """A mistake of zoo's own, and its exit status; unless nothing can work where zoo was started."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return "The working folder is gone; cd to one that exists.", 2
    return f"zoo failed: {type(error).__name__}: {one_line(error)} (--debug shows where)", 1


def _fail(text: str, status: int, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    first, *rest = text.splitlines() or [""]
    print(f"error: {first}", file=sys.stderr)
    for line in rest:
        # Each problem of a study file is a line of its own; details of one problem are indented.
        print(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)
    return status
