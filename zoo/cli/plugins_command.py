"""`zoo plugins`: the installed plugins and what they registered; and the commands for their authors."""

from __future__ import annotations

import json
from typing import Any

import click

from zoo.cli import Commands
from zoo.registry import HOOKS, Plugin, Registry

# command -> its one line in `zoo plugins --help`; its module is zoo/cli/plugins_NAME.py
COMMANDS = {
    "new": "Begin a plugin: write a whole distribution.",
    "check": "Whether a plugin keeps the contract: the conformance kit.",
}


class PluginCommands(Commands):
    """What `zoo plugins` has below it."""

    table = COMMANDS
    module = "zoo.cli.plugins_{}"
    prefix = "plugins "


@click.group("plugins", cls=PluginCommands, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """The installed plugins and what they registered."""
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    registry = Registry.load()
    if as_json:
        click.echo(json.dumps([_facts(plugin) for plugin in registry.plugins], indent=1))
    else:
        _print(registry.plugins)
    for problem in registry.problems:
        click.echo(f"warning: {problem}", err=True)


def _print(plugins: list[Plugin]) -> None:
    rows = [(one.origin, one.name, one.state, _load_time(one), _offered(one)) for one in plugins]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for origin, name, state, load_time, offered in rows:
        line = f"{origin:<{widths[0]}}  {name:<{widths[1]}}  {state:<{widths[2]}}  {load_time:>{widths[3]}}"
        click.echo(f"{line}  {offered}".rstrip())


def _load_time(plugin: Plugin) -> str:
    return f"{plugin.seconds * 1000:.0f} ms" if plugin.state == "loaded" else ""


def _offered(plugin: Plugin) -> str:
    """Each hook with what it registered: `register_datasets: digits, mnist`."""
    return "; ".join(
        f"{hook}: {', '.join(entry.name for entry in plugin.registered if HOOKS[entry.kind] == hook)}"
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
        "registered": [f"{entry.kind} {entry.name}" for entry in plugin.registered],
    }
