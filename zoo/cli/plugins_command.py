"""`zoo plugins`: list the installed plugins. Its commands `new` and `check` are for plugin authors."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from zoo.cli import common
from zoo.cli.group import Group
from zoo.cli.plugins_check import check
from zoo.registry import KINDS, Plugin, Registry, registered_by
from zoo.scaffold import LICENSES, write_plugin


@click.group("plugins", cls=Group, invoke_without_command=True)
@common.plugin_option
@common.json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the installed plugins and what they registered.

    A plugin can be one file, my_net.py:

    \b
    import keras, zoo
    from typing import Annotated

    \b
    @zoo.architecture  # or @zoo.dataset, @zoo.augmentation, @zoo.metric
    def my_net(input_shape, num_classes, *, units: Annotated[int, zoo.Int(8, 64)] = 32):
        'Two dense layers.'
        return keras.Sequential([
            keras.Input(input_shape),  # height, width, channels; pixels from 0 to 1
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])

    A study beside it, my_search.toml, names the file; `zoo list datasets` shows the datasets:

    \b
    plugins = ["my_net.py"]
    dataset = "digits"
    architecture = "my_net"

    \b
    zoo plugins check my_net.py
    zoo tune my_search.toml
    """
    if context.invoked_subcommand is not None:
        return
    registry = Registry.load()
    if as_json:
        click.echo(json.dumps([_facts(plugin) for plugin in registry.plugins], indent=1))
    else:
        common.print_table(map(_row, registry.plugins), indent="")
    for problem in registry.problems:
        common.print_warning(problem)
    if not as_json:
        files = common.plugin_arguments()
        common.print_next((f"zoo plugins check NAME{files}", "run the conformance kit on one of them"))


command.add_command(check)


@command.command
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(list(KINDS)), help="What the plugin registers.")
@click.option("--folder", metavar="FOLDER", help="Folder to write to; by default a new one called NAME.")
@click.option("--author", default="", metavar="TEXT", help='For LICENSE and pyproject.toml: "Ada Lovelace".')
@click.option(
    "--license",
    "license_key",
    type=click.Choice(list(LICENSES)),
    default="apache-2.0",
    show_default=True,
    help="License of the plugin.",
)
def new(name: str, kind: str, folder: str | None, author: str, license_key: str) -> None:
    """Write the files of a new plugin.

    The files are those of a distribution NAME that works and passes its own tests.

    zoo plugins new zoo-mynet --kind architecture
    """
    path = Path(folder if folder is not None else name)
    files = write_plugin(name, kind, path, Registry.load(), author=author, license=license_key)
    click.echo(f"{path}/")
    common.print_table(files.items())
    common.print_next(
        (f"cd {shlex.quote(str(path))}", ""),
        ("pip install -e '.[test]'", ""),
        ("pytest", ""),
        (f"zoo plugins check {name}", ""),
    )


def _row(plugin: Plugin) -> tuple[str, ...]:
    if plugin.state != "loaded":
        return plugin.origin, plugin.name, plugin.state, "", ""
    sources = dict.fromkeys([*plugin.hooks, *map(registered_by, plugin.components)])
    registered = "; ".join(  # "register_datasets: digits, mnist"
        f"{source}: {', '.join(one.name for one in plugin.components if registered_by(one) == source)}"
        for source in sources
    )
    return plugin.origin, plugin.name, plugin.state, f"{plugin.load_s * 1000:.0f} ms", registered


def _facts(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "state": plugin.state,
        "problem": plugin.problem,
        "load_seconds": round(plugin.load_s, 4),
        "hooks": plugin.hooks,
        "registered": [f"{one.kind} {one.name}" for one in plugin.components],
    }
