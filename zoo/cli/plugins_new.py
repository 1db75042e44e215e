"""`zoo plugins new NAME`: write a distribution to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli import common
from zoo.registry import KINDS, Registry
from zoo.scaffold import LICENSES, write_plugin


@click.command("new")
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
def command(name: str, kind: str, folder: str | None, author: str, license_key: str) -> None:
    """Write the distribution NAME, a plugin that works and passes its own tests.

    zoo plugins new zoo-mynet --kind architecture
    """
    path = Path(folder if folder is not None else name)
    files = write_plugin(name, kind, path, Registry.load(), author=author, license=license_key)
    width = max(map(len, files))
    click.echo(f"{path}/")
    for file, purpose in files.items():
        click.echo(f"  {file:<{width}}  {purpose}")
    common.print_next(
        (f"cd {shlex.quote(str(path))}", ""),
        ("pip install -e '.[test]'", ""),
        ("pytest", ""),
        (f"zoo plugins check {name}", ""),
    )
