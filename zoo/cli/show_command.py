"""`zoo show NAME`: one dataset, architecture, augmentation policy or study in full."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Any

import click
from click.core import ParameterSource

from zoo.cli import common
from zoo.errors import PluginError, SpaceError, StudyError, ZooError, did_you_mean, one_line
from zoo.registry import KINDS, Component, Registry
from zoo.space import REQUIRED, Parameter, Plain, Space
from zoo.study import StudyDefinition, find_study, known_studies, load_study, read_study


@click.command("show")
@click.argument("name")
@click.option(
    "--layers", is_flag=True, help="Also build it at its defaults: layer table, parameters (loads Keras)."
)
@click.option(
    "--shape", default="28x28x1", show_default=True, help="Images for --layers: HEIGHTxWIDTHxCHANNELS."
)
@click.option(
    "--classes", type=click.IntRange(min=2), default=10, show_default=True, help="Classes for --layers."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value than the default, for --layers: --set dropout=0.5.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(
    context: click.Context,
    name: str,
    layers: bool,
    shape: str,
    classes: int,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """What NAME is: its parameters with range, default and condition. A study may be given by path."""
    _check_together(context, layers, as_json)
    registry = Registry.load()
    entries = _entries(name, registry)
    input_shape, values = common.image_shape(shape), {}
    if layers:
        architecture = next((entry for entry in entries if entry.kind == "architecture"), None)
        if architecture is None:
            raise ZooError(f"--layers shows an architecture, but '{name}' is none.")
        values = _values(architecture.space, overrides)
    if not entries:
        _show_study(name, load_study(name, registry), as_json)
    elif as_json:
        click.echo(json.dumps([_facts(entry) for entry in entries], indent=1))
    else:
        for entry in entries:
            _print_entry(entry)
            if layers and entry.kind == "architecture":
                _print_layers(entry, input_shape, classes, values)


def _check_together(context: click.Context, layers: bool, as_json: bool) -> None:
    """What would be passed by without a word is a mistake."""
    for option in ("shape", "classes", "overrides"):
        if not layers and context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            shown = "--set" if option == "overrides" else f"--{option}"
            raise ZooError(f"{shown} is for --layers; add that, or leave {shown} out.")
    if layers and as_json:
        raise ZooError("--layers prints a table, which --json has not; leave one of them out.")


def _entries(name: str, registry: Registry) -> list[Component]:
    """What is registered as `name`; nothing, where it is a study."""
    registered = {one for kind in KINDS for one in registry.names(kind)}
    if name in registered:
        return registry.find(name)
    studies = known_studies(Path.cwd())
    if name in studies or name.endswith(".toml") or "/" in name:
        return []
    hint = did_you_mean(name, registered.union(studies))
    if left_out := registry.told_left_out():  # it is probably theirs: no list of all the others
        hint = f"{left_out.removesuffix('.')}." + (f" {hint}" if hint.startswith("Did you mean") else "")
    raise PluginError(f"Nothing is registered as '{name}'. {hint}")


def _show_study(name: str, definition: StudyDefinition, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"study": definition.name, "space": definition.space_as_json()}, indent=1))
        return
    click.echo(read_study(find_study(name, Path.cwd())))
    for searched in (definition.architecture, definition.augmentation):
        for one, space in searched.spaces.items():
            _print_space(f"{searched.kind} {one}", space)
    _print_space("training", definition.training)


def _print_entry(entry: Component) -> None:
    click.echo(f"{entry.kind} {click.style(entry.name, bold=True)}  [{entry.origin}]")
    documentation = inspect.getdoc(entry.function)
    if documentation:
        click.echo(f"\n{documentation}")
    click.echo()
    _print_space("", entry.space, of_study=False)


def _print_space(heading: str, space: Space, of_study: bool = True) -> None:
    rows = [("parameter", "range", "default", "counts when"), *_rows(space, of_study)]
    if heading:
        click.echo(click.style(heading, bold=True))
    if len(rows) == 1:
        click.echo("  no parameters\n")
        return
    lines = [line for row in rows for line in _wrapped(row)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    for line in lines:
        click.echo(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
    click.echo()


def _wrapped(row: tuple[str, str, str, str]) -> Iterator[tuple[str, str, str, str]]:
    """The lines of one row: a long range, such as forty names, goes on below itself."""
    name, domain, default, when = row
    first, *others = wrap(domain, 72) or [""]
    yield name, first, default, when
    for other in others:
        yield "", other, "", ""


def _rows(space: Space, of_study: bool) -> Iterator[tuple[str, str, str, str]]:
    for name, parameter in space.items():
        conditions = (parameter.domain.when or {}).items()
        when = " and ".join(f"{other} = {_any_of(wanted)}" for other, wanted in conditions)
        default = "" if parameter.default is REQUIRED else _written(parameter.default)
        yield name, f"{parameter.domain}{_note(parameter, of_study)}", default, when


def _note(parameter: Parameter, of_study: bool) -> str:
    if parameter.searched:
        return ""
    is_setting = not of_study and not isinstance(parameter.domain, Plain)
    return "  (kept; a table searches it)" if is_setting else "  (set, not searched)"


def _any_of(wanted: Any) -> str:
    return " or ".join(map(_written, wanted)) if isinstance(wanted, list | tuple) else _written(wanted)


def _written(value: Any) -> str:
    """As a study file would write it."""
    return json.dumps(value, ensure_ascii=False)


def _values(space: Space, overrides: tuple[str, ...]) -> dict[str, Any]:
    """The defaults, with what `--set KEY=VALUE` says instead."""
    table = dict(common.key_and_value(override, "dropout=0.5") for override in overrides)
    try:
        return space.narrow(table).defaults()
    except SpaceError as error:
        raise StudyError(f"--set: {error}") from None


def _print_layers(entry: Component, shape: tuple[int, ...], classes: int, values: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        click.echo("loading Keras …", err=True)
    from zoo.training import backend

    with backend.muted():
        import_module("keras")
    from zoo.training.model import summary

    try:
        network = entry.function(shape, classes, **values)
    except ZooError:
        raise
    except Exception as error:
        told = f"The architecture '{entry.name}' of {entry.origin}"
        raise PluginError(f"{told} raised {type(error).__name__}: {one_line(error)}") from error
    click.echo(summary(network))


def _facts(entry: Component) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "description": entry.description,
        "distribution": entry.distribution,
        "version": entry.version,
        "parameters": entry.space.as_json(),
    }
