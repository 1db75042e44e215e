"""What several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zoo.errors import StudyError

if TYPE_CHECKING:
    from zoo.tuning.display import Display

Command = TypeVar("Command", bound=Callable[..., Any])


def options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


study_option = click.option(
    "--study", required=True, metavar="STUDY", help="A study's name, or the path of its file."
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override the file: --set training.epochs=3.",
)
run_options = options(
    click.option("--study", metavar="STUDY", help="A study's name."),
    click.option("--trial", type=int, metavar="N", help="One of its trials; the best one by default."),
    click.option("--run", metavar="FOLDER", help="A run's folder instead, such as zoo train prints."),
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress, only the result.")


def image_shape(text: str) -> tuple[int, ...]:
    """`--shape HEIGHTxWIDTHxCHANNELS` as three numbers."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise StudyError(f"--shape: expected HEIGHTxWIDTHxCHANNELS such as 28x28x1, but got '{text}'")
    return tuple(map(int, parts))


def key_and_value(setting: str, example: str) -> tuple[str, Any]:
    """`--set KEY=VALUE`; a value that is not TOML is text."""
    from zoo.study import parse_value

    key, equals, text = setting.partition("=")
    if not equals:
        raise StudyError(f"--set {setting}: expected KEY=VALUE, such as {example}")
    return key.strip(), parse_value(text)


def begin_loading_keras() -> None:
    """First thing in a command that trains: Keras takes longer to load than all the rest."""
    from zoo.training.worker import fork_server

    fork_server().start()


def display(quiet: bool) -> Display:
    """Progress for a person: moving on a terminal, plain lines elsewhere, nothing where none is wanted."""
    from zoo.tuning.display import NoDisplay, PlainDisplay

    if quiet:
        return NoDisplay()
    if sys.stderr.isatty() and not _dumb():
        from zoo.cli.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()


def _dumb() -> bool:
    import os

    return os.environ.get("TERM") in ("dumb", "unknown")
