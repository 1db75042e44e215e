"""`zoo plugins new NAME`: a distribution to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.registry import KINDS, Registry
from zoo.scaffold import LICENSES, write_plugin


@click.command("new")
@click.argument("name")
@click.option(
    "--kind", required=True, type=click.Choice(list(KINDS)), help="What the plugin is to have in it."
)
@click.option("--folder", metavar="FOLDER", help="Where to; a new folder called NAME by default.")
@click.option("--author", default="", metavar="TEXT", help='For LICENSE and pyproject.toml: "Ada Lovelace".')
@click.option(
    "--license",
    "license_key",
    type=click.Choice(list(LICENSES)),
    default="apache-2.0",
    show_default=True,
    help="Under which others may use it.",
)
def command(name: str, kind: str, folder: str | None, author: str, license_key: str) -> None:
    """Begin a plugin: write the distribution NAME, which works and passes its own tests.

    zoo plugins new zoo-mynet --kind architecture
    """
    place = Path(folder if folder is not None else name)
    files = write_plugin(name, kind, place, Registry.load(), author=author, license=license_key)
    width = max(map(len, files))
    click.echo(f"{place}/")
    for path, purpose in files.items():
        click.echo(f"  {path:<{width}}  {purpose}")
    click.echo(f"next: cd {shlex.quote(str(place))}")
    click.echo("      pip install -e '.[test]'")
    click.echo("      pytest")
    click.echo(f"      zoo plugins check {name}")
