"""The click group of `zoo`, `zoo plugins` and `zoo inspect`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from zoo.errors import ZooError, did_you_mean


class Group(click.Group):
    """A group that keeps its commands in order and suggests a spelling for a mistyped one.

    `lazy_commands` has the help lines of commands that are imported on use, from `zoo.cli.NAME_command`.
    """

    def __init__(
        self, *arguments: Any, lazy_commands: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._lazy_commands = lazy_commands or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._lazy_commands, *self.commands]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._lazy_commands:
            return super().get_command(ctx, name)
        command: click.Command = importlib.import_module(f"zoo.cli.{name}_command").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        first_lines = {name: (one.help or "").partition("\n")[0] for name, one in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(list((self._lazy_commands or first_lines).items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            hint = did_you_mean(args[0], names)
            raise ZooError(f"there is no command '{ctx.command_path} {args[0]}'. {hint}")
        return super().resolve_command(ctx, args)
