"""`zoo show NAME`: show a dataset, architecture, augmentation policy, metric or study in full."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import click
from click.core import ParameterSource

from zoo.cli import common
from zoo.errors import PluginError, SpaceError, StudyError, ZooError, did_you_mean
from zoo.registry import KINDS, Component, Registry, using_plugins
from zoo.space import REQUIRED, Parameter, Plain, Space, show
from zoo.study import StudyDefinition, known_studies, load_study, parse_setting


@click.command("show")
@click.argument("name")
@click.option("--layers", is_flag=True, help="Also build an architecture and print its layers; loads Keras.")
@click.option(
    "--shape",
    default="28x28x1",
    show_default=True,
    metavar="HEIGHTxWIDTHxCHANNELS",
    help="Shape of the images, for --layers.",
)
@common.number_option("--classes", low=2, default=10, help="Classes, for --layers.")
@common.set_option("Value of a parameter, for --layers: --set dropout=0.5; may be repeated.")
@common.plugin_option
@common.json_option
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
    """Show NAME: its parameters with range, default and condition.

    NAME is a dataset, an architecture, an augmentation policy, a metric, or a study (name or path).
    """
    _check_options(context, layers, as_json)
    registry = Registry.load()
    components = _components(name, registry)
    input_shape, values = common.image_shape(shape), {}
    if layers:
        architecture = next((one for one in components if one.kind == "architecture"), None)
        if architecture is None:
            raise ZooError(f"--layers: expected an architecture, got '{name}'")
        values = _values(architecture.space, overrides)
    if not components:
        _show_study(name, load_study(name, registry), as_json)
    elif as_json:
        facts = [
            {
                **common.component_facts(one),
                "description": one.description,
                "parameters": one.space.as_json(),
                **({"direction": one.direction} if one.direction else {}),
            }
            for one in components
        ]
        click.echo(json.dumps(facts, indent=1))
    else:
        for component in components:
            _print_component(component)
            if layers and component.kind == "architecture":
                _print_layers(component, input_shape, classes, values)
        common.print_next(_next_step(components[0], layers))


def _check_options(context: click.Context, layers: bool, as_json: bool) -> None:
    """Raise ZooError for an option that would have no effect."""
    for option in ("shape", "classes", "overrides"):
        if not layers and context.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            flag = "--set" if option == "overrides" else f"--{option}"
            raise ZooError(f"{flag} has an effect only with --layers; add --layers, or leave {flag} out.")
    if layers and as_json:
        raise ZooError("--layers and --json cannot be combined; leave one of them out.")


def _components(name: str, registry: Registry) -> list[Component]:
    """Return the components named `name`; [] if `name` is a study."""
    registered = {one for kind in KINDS for one in registry.names(kind)}
    if name in registered:
        return registry.find(name)
    studies = known_studies()
    if name in studies or name.endswith(".toml") or "/" in name:
        return []
    hint = did_you_mean(name, registered.union(studies))
    # The name probably belongs to a plugin that was left out, so a list of names does not help.
    if left_out := registry.describe_left_out():
        hint = f"{left_out.removesuffix('.')}." + (f" {hint}" if hint.startswith("Did you mean") else "")
    raise PluginError(f"there is no component or study named '{name}'. {hint}")


def _show_study(name: str, definition: StudyDefinition, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"study": definition.name, "space": definition.space_as_json()}, indent=1))
        return
    click.echo(definition.text)
    for component_space in (definition.architecture, definition.augmentation):
        for component, space in component_space.spaces.items():
            _print_study_space(f"{component_space.kind} {component}", space)
    _print_study_space("training", definition.training)
    tune = f"zoo tune {shlex.quote(name)}{common.plugin_arguments()}"
    common.print_next((tune, "search for its best model"))


def _print_component(component: Component) -> None:
    click.echo(f"{component.kind} {click.style(component.name, bold=True)}  [{component.origin}]\n")
    if documentation := inspect.getdoc(component.function):
        click.echo(f"{documentation}\n")
    if component.kind == "metric":
        better = "higher" if component.direction == "maximize" else "lower"
        click.echo(f'  objective = "val_{component.name}"; {better} is better\n')
    else:
        _print_space(component.space)


def _print_space(space: Space) -> None:
    if space:
        rows = [row for parameter in space.values() for row in _rows(parameter)]
        common.print_table([("parameter", "range", "default", "active when"), *rows])
    else:
        click.echo("  no parameters")
    click.echo()


def _print_study_space(heading: str, space: Space) -> None:
    """Print the parameters that the study searches, then those with one value."""
    click.echo(click.style(heading, bold=True))
    searched = [row for one in space.values() if one.searched for row in _rows(one)]
    fixed = [(one.name, show(one.default), _when(one)) for one in space.values() if not one.searched]
    if searched:
        common.print_table([("searched", "range", "default", "active when"), *searched])
    if searched and fixed:
        click.echo()
    if fixed:
        common.print_table([("fixed", "value", "active when"), *fixed])
    if not space:
        click.echo("  no parameters")
    click.echo()


def _rows(parameter: Parameter) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of a parameter; a long range, such as forty names, has several rows."""
    note = ""
    if not parameter.searched:
        note = "  (not searched)" if isinstance(parameter.domain, Plain) else "  (not searched by default)"
    default = "" if parameter.default is REQUIRED else show(parameter.default)
    first, *others = wrap(f"{parameter.domain}{note}", 72) or [""]
    yield parameter.name, first, default, _when(parameter)
    for other in others:
        yield "", other, "", ""


def _when(parameter: Parameter) -> str:
    """Return the `when` condition as text; "" if there is none."""
    return " and ".join(
        f"{other} = {' or '.join(map(show, values if isinstance(values, list | tuple) else [values]))}"
        for other, values in (parameter.domain.when or {}).items()
    )


def _values(space: Space, overrides: tuple[str, ...]) -> dict[str, Any]:
    """Return the defaults, overridden by each `--set KEY=VALUE`."""
    table = dict(parse_setting(override, "dropout=0.5") for override in overrides)
    try:
        return space.narrow(table).defaults()
    except SpaceError as error:
        raise StudyError(f"--set: {error}") from None


def _print_layers(component: Component, shape: tuple[int, ...], classes: int, values: dict[str, Any]) -> None:
    common.load_keras()
    from zoo.training.components import plugin_errors
    from zoo.training.model import layer_table

    with using_plugins((), has_keras=True):
        component = Registry.load().get("architecture", component.name)
    with plugin_errors(component):
        network = component.function(shape, classes, **values)
    click.echo(layer_table(network))


def _next_step(component: Component, has_layers: bool) -> tuple[str, str]:
    files = common.plugin_arguments()
    if component.kind == "dataset":
        required = [name for name, one in component.space.items() if one.default is REQUIRED]
        settings = "".join(f" --set {name}=…" for name in required)
        return f"zoo inspect samples {component.name}{settings}{files}", "images of every class"
    if component.kind == "augmentation":
        return f"zoo inspect augmentation {component.name} DATASET{files}", "images of a dataset, augmented"
    if component.kind == "architecture" and not has_layers:
        return f"zoo show {component.name}{files} --layers", "its layers, built with these defaults"
    return f"zoo plugins check {component.name}{files}", "run the conformance kit on it"
