"""`zoo plugins`: the installed plugins and what they registered."""

from __future__ import annotations

import json
from typing import Any

import click

from zoo.registry import Plugin, Registry


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(as_json: bool) -> None:
    """The installed plugins and what they registered."""
    registry = Registry.load()
    if as_json:
        click.echo(json.dumps([_facts(plugin) for plugin in registry.plugins], indent=1))
    else:
        _print(registry.plugins)
    for problem in registry.problems:
        click.echo(f"warning: {problem}", err=True)


def _print(plugins: list[Plugin]) -> None:
    rows = [(plugin.origin, plugin.name, ", ".join(_registered(plugin)) or "left out") for plugin in plugins]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for origin, name, told in rows:
        click.echo(f"{origin:<{widths[0]}}  {name:<{widths[1]}}  {told}")


def _registered(plugin: Plugin) -> list[str]:
    return [f"{entry.kind} {entry.name}" for entry in plugin.registered]


def _facts(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "registered": _registered(plugin),
        "problem": plugin.problem,
    }
