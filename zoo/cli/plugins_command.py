"""`zoo plugins`: list the installed plugins, with commands for plugin authors below it."""

from __future__ import annotations

import json
from typing import Any

import click

from zoo.cli import common
from zoo.cli.group import Group
from zoo.registry import HOOKS, Plugin, Registry

# Help lines by command name. The module of a command is zoo/cli/plugins_NAME.py.
COMMANDS = {
    "new": "Start a new plugin: write a distribution that works.",
    "check": "Run the conformance kit on a plugin.",
}


@click.group(
    "plugins",
    cls=Group,
    lazy_commands=COMMANDS,
    module="zoo.cli.plugins_{}",
    invoke_without_command=True,
)
@common.json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the installed plugins and what they registered."""
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    registry = Registry.load()
    if as_json:
        click.echo(json.dumps([_facts(plugin) for plugin in registry.plugins], indent=1))
    else:
        _print(registry.plugins)
    for problem in registry.problems:
        common.print_note(f"warning: {problem}")
    if not as_json:
        common.print_next(("zoo plugins check NAME", "run the conformance kit on one of them"))


def _print(plugins: list[Plugin]) -> None:
    rows = [(one.origin, one.name, one.state, _load_time(one), _registrations(one)) for one in plugins]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for origin, name, state, load_time, registrations in rows:
        line = f"{origin:<{widths[0]}}  {name:<{widths[1]}}  {state:<{widths[2]}}  {load_time:>{widths[3]}}"
        click.echo(f"{line}  {registrations}".rstrip())


def _load_time(plugin: Plugin) -> str:
    return f"{plugin.seconds * 1000:.0f} ms" if plugin.state == "loaded" else ""


def _registrations(plugin: Plugin) -> str:
    """Return each hook with what it registered: `register_datasets: digits, mnist`."""
    return "; ".join(
        f"{hook}: {', '.join(one.name for one in plugin.registered if HOOKS[one.kind] == hook)}"
        for hook in plugin.hooks
        if plugin.state == "loaded"
    )


def _facts(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "state": plugin.state,
        "problem": plugin.problem,
        "load_seconds": round(plugin.seconds, 4),
        "hooks": plugin.hooks,
        "registered": [f"{one.kind} {one.name}" for one in plugin.registered],
    }
