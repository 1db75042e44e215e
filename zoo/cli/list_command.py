"""`zoo list`: what is registered, and which studies there are."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.registry import KINDS, Component, Registry
from zoo.study import known_studies

_HEADINGS = {"dataset": "datasets", "architecture": "architectures", "augmentation": "augmentation policies"}


@click.command("list")
@click.argument(
    "kind", required=False, metavar="[KIND]", type=click.Choice([*(f"{kind}s" for kind in KINDS), "studies"])
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """What is registered, and which studies there are.

    KIND shows one kind alone: datasets, architectures, augmentations or studies.
    """
    registry = Registry.load()
    entries = [entry for entry in registry.entries() if kind in (None, f"{entry.kind}s")]
    studies = known_studies(Path.cwd()) if kind in (None, "studies") else {}
    if as_json:
        facts = {"registered": [_facts(entry) for entry in entries], "studies": list(studies)}
        click.echo(json.dumps(facts, indent=1))
    else:
        _print(entries, studies)
    for problem in registry.problems:
        click.echo(f"warning: {problem}", err=True)


def _print(entries: list[Component], studies: dict[str, Path]) -> None:
    width = max((len(name) for name in [*(entry.name for entry in entries), *studies]), default=0)
    for kind, heading in _HEADINGS.items():
        of_kind = [entry for entry in entries if entry.kind == kind]
        if of_kind:
            click.echo(click.style(heading, bold=True))
        for entry in of_kind:
            click.echo(f"  {entry.name:<{width}}  {entry.description}  [{entry.origin}]")
    if studies:
        click.echo(click.style("studies", bold=True))
    for name, path in studies.items():
        click.echo(f"  {name:<{width}}  {_opening(path)}")


def _opening(path: Path) -> str:
    """The first line of the comment a study opens with."""
    try:
        first = path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")[0]
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return first.lstrip("# ").rstrip() if first.startswith("#") else ""


def _facts(entry: Component) -> dict[str, str]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "description": entry.description,
        "distribution": entry.distribution,
        "version": entry.version,
    }
