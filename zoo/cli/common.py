"""What several commands share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zoo.tuning.display import Display

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
quiet_option = click.option("--quiet", is_flag=True, help="No progress, only the result.")


def begin_loading_keras() -> None:
    """First thing in a command that trains: Keras takes longer to load than all the rest."""
    from zoo.training.server import fork_server

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
