"""`zoo list`: list the components that plugins registered, and the known studies."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli import common
from zoo.registry import KINDS, Component, Registry
from zoo.study import known_studies

_HEADINGS = {
    "dataset": "datasets",
    "architecture": "architectures",
    "augmentation": "augmentation policies",
    "metric": "metrics (objective: val_NAME)",
}


@click.command("list")
@click.argument(
    "kind", required=False, metavar="[KIND]", type=click.Choice([*(f"{kind}s" for kind in KINDS), "studies"])
)
@common.plugin_option
@common.json_option
def command(kind: str | None, as_json: bool) -> None:
    """List datasets, architectures, augmentation policies, metrics and studies.

    KIND limits the list to one kind: datasets, architectures, augmentations, metrics or studies.
    """
    registry = Registry.load()
    components = [one for one in registry.components() if kind in (None, f"{one.kind}s")]
    studies = known_studies() if kind in (None, "studies") else {}
    if as_json:
        facts = [{**common.component_facts(one), "description": one.description} for one in components]
        document = {"registered": facts, "studies": list(studies)}
        click.echo(json.dumps(document, indent=1))
    else:
        _print(components, studies)
    for problem in registry.problems:
        common.print_warning(problem)
    if not as_json:
        common.print_next((f"zoo show NAME{common.plugin_arguments()}", "one of them in full"))


def _print(components: list[Component], studies: dict[str, Path]) -> None:
    width = max((len(name) for name in [*(one.name for one in components), *studies]), default=0)
    for kind, heading in _HEADINGS.items():
        of_kind = [one for one in components if one.kind == kind]
        if of_kind:
            click.echo(click.style(heading, bold=True))
        for one in of_kind:
            click.echo(f"  {one.name:<{width}}  {one.description}  [{one.origin}]")
    if studies:
        click.echo(click.style("studies", bold=True))
    for name, path in studies.items():
        click.echo(f"  {name:<{width}}  {_description(path)}")


def _description(path: Path) -> str:
    """Return the first line of a study file if it is a comment."""
    try:
        first = path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""
