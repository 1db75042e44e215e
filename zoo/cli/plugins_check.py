"""`zoo plugins check NAME`: run the conformance kit on installed components."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.errors import PluginError, StudyError, ZooError, count_text, did_you_mean
from zoo.registry import HEAVY_PACKAGES, Component, Plugin, Registry, canonical_name, using_plugins
from zoo.space import REQUIRED
from zoo.study import parse_setting

if TYPE_CHECKING:
    from zoo.testing.kit import Result

_COLORS = {"passed": "green", "failed": "red", "skipped": "yellow"}
Section = tuple[dict[str, Any], Iterable["Result"]]  # facts about a component, and the results of its checks


@click.command
@click.argument("name")
@click.option("--check", "checks", multiple=True, metavar="CHECK", help="A check to run; may be repeated.")
@common.set_option("Value of a parameter: --set weights=none; may be repeated.")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="HEIGHTxWIDTHxCHANNELS",
    help="Image shape that an architecture or policy supports; may be repeated.",
)
@common.number_option(
    "--classes",
    low=2,
    multiple=True,
    help="Number of classes that an architecture or metric supports, the most common first; may be repeated.",
)
@click.option("--needs-plugin", is_flag=True, help="Accept saved models that need the plugin to load.")
@click.option(
    "--probe", metavar="DATASET", help="Check on images of DATASET that a policy keeps their class."
)
@common.plugin_option
@common.json_option
@click.pass_context
def check(
    context: click.Context,
    name: str,
    checks: tuple[str, ...],
    overrides: tuple[str, ...],
    shapes: tuple[str, ...],
    classes: tuple[int, ...],
    needs_plugin: bool,
    probe: str | None,
    as_json: bool,
) -> None:
    """Run the conformance kit on NAME and print a line for each check. Loads Keras.

    NAME is an architecture, a dataset, an augmentation policy or a metric. The name of a distribution, or the
    path of a plugin file, checks everything that it registered. The exit status is 1 if a check failed.
    """
    with ExitStack() as stack:
        subject = name
        if name.endswith(".py"):
            stack.enter_context(using_plugins([name]))
            subject = Path(name).name
        registry = _load(stack)
        components, left_out = _find(subject, registry)
        values = _values(overrides, components)
        options = _options(shapes, classes, needs_plugin, probe, registry)
        sections = [_section(one, values, options[one.kind], checks) for one in components]
        _validate_checks(checks, components)
        states = _report([*map(_failed_section, left_out), *sections], as_json)
        listing = f"zoo list{common.plugin_arguments()}"  # with the file that NAME may be
    if not as_json and states["failed"]:
        again = f"zoo plugins check {name}{common.plugin_arguments()} --check CHECK"
        common.print_next((again, "run one check again"))
    elif not as_json:
        common.print_next((listing, "the names that a study can use"))
    context.exit(1 if states["failed"] else 0)


def _load(stack: ExitStack) -> Registry:
    """Return the registry; functions of plugin files work here and in the processes of the checks."""
    registry = Registry.load()
    files = registry.files
    if any(package in file.imports for file in files for package in HEAVY_PACKAGES):
        common.load_keras()
    if not files:
        return registry
    for folder in {str(file.path.parent) for file in files}:
        sys.path.append(folder)  # processes that the checks start inherit the path
        stack.callback(sys.path.remove, folder)
    stack.enter_context(using_plugins((), has_keras=True))
    return Registry.load()


def _options(
    shapes: Sequence[str], classes: Sequence[int], needs_plugin: bool, probe: str | None, registry: Registry
) -> dict[str, dict[str, Any]]:
    """Return the options of the checks, by kind of component."""
    sizes = {"input_shapes": [common.image_shape(shape) for shape in shapes]} if shapes else {}
    first = {"num_classes": classes[0]} if classes else {}
    others = {"class_counts": list(classes[1:])} if classes else {}
    needs = {"needs_plugin_to_load": True} if needs_plugin else {}
    images = {"probe": registry.get("dataset", probe).function} if probe else {}
    return {
        "architecture": {**sizes, **first, **others, **needs},
        "augmentation": {**sizes, **images},
        "dataset": {},
        "metric": first,
    }


def _find(name: str, registry: Registry) -> tuple[list[Component], list[Plugin]]:
    """Return the components with the name or distribution `name`, and the distribution's broken plugins."""
    plugins = [one for one in registry.plugins if canonical_name(one.distribution) == canonical_name(name)]
    found = [one for one in registry.components() if one.name == name]
    if not plugins and not found:
        registered = {one.name for plugin in registry.plugins for one in plugin.components}
        if name in registered:
            registry.find(name)  # raises the error for a name that is registered twice
        hint = did_you_mean(name, registered | {plugin.distribution for plugin in registry.plugins})
        raise PluginError(
            f"there is no component and no distribution with plugins named '{name}'. {hint}"
            f"{registry.left_out_note()}"
        )
    if not found and all(plugin.is_off for plugin in plugins):
        raise PluginError(
            f"{plugins[0].distribution} is installed, but ZOO_PLUGINS or --no-plugins leaves it out. "
            "Run the command without --no-plugins, or add it to ZOO_PLUGINS."
        )
    found += [one for plugin in plugins for one in plugin.components if one not in found]
    return found, [plugin for plugin in plugins if plugin.problem]


def _values(settings: Sequence[str], components: Sequence[Component]) -> dict[str, Any]:
    """Return the value of each `KEY=VALUE`; StudyError if no component has such a parameter."""
    values: dict[str, Any] = {}
    names = {name for one in components for name in one.space}
    for setting in settings:
        key, value = parse_setting(setting, "weights=none")
        if key not in names:
            raise StudyError(f"--set {setting}: no such parameter '{key}'. {did_you_mean(key, names)}")
        values[key] = value
    return values


def _validate_checks(checks: Sequence[str], components: Sequence[Component]) -> None:
    """Raise ZooError if these components have no such check."""
    from zoo.testing.subjects import SUBJECTS

    names = {check for one in components for check in SUBJECTS[one.kind].suite.checks}
    for check in checks:
        if check not in names:
            raise ZooError(f"--check {check}: no such check. {did_you_mean(check, names)}")


def _failed_section(plugin: Plugin) -> Section:
    """Return the section of a plugin that was left out: its registration failed."""
    from zoo.testing.kit import Result

    return common.component_facts(plugin), [Result("registration", "failed", plugin.problem)]


def _section(
    component: Component, values: Mapping[str, Any], options: Mapping[str, Any], checks: Sequence[str]
) -> Section:
    from zoo.testing.kit import Result
    from zoo.testing.subjects import SUBJECTS

    facts = common.component_facts(component)
    own = {name: value for name, value in values.items() if name in component.space}
    for name, parameter in component.space.items():
        if parameter.default is REQUIRED and name not in own:
            return facts, [Result("loads", "skipped", f"'{name}' has no default; add --set {name}=…")]
    given = own if component.kind == "dataset" else {**options, **({"space": own} if own else {})}
    given |= {"direction": component.direction} if component.kind == "metric" else {}
    subject = SUBJECTS[component.kind](component.function, given)
    subject.validate()
    names = [name for name in subject.suite.checks if not checks or name in checks]
    return facts, subject.results(names)


def _report(sections: Sequence[Section], as_json: bool) -> Counter[str]:
    """Run the checks, print each result at once, and count the states."""
    if {facts["kind"] for facts, _ in sections} & {"architecture", "augmentation"}:
        common.load_keras()
    states: Counter[str] = Counter()
    reports = []
    for facts, results in sections:
        if not as_json:
            name = click.style(facts["name"], bold=True)
            click.echo(f"{facts['kind']} {name}  [{facts['distribution']} {facts['version']}]")
        checks = []
        stdout = sys.stdout
        with redirect_stdout(sys.stderr):  # for the output of plugins
            for result in results:
                states[result.state] += 1
                checks.append({"check": result.check, "state": result.state, "text": result.text})
                if not as_json:
                    state = click.style(result.state, fg=_COLORS[result.state])
                    text = f"{'':{9 - len(result.state)}}{result.text}" if result.text else ""
                    click.echo(f"  {result.check:<15}  {state}{text}", file=stdout)
        reports.append({**facts, "checks": checks})
    if as_json:
        click.echo(json.dumps(reports, indent=1))
    else:
        counts = [f"{states[state]} {state}" for state in _COLORS if states[state]]
        click.echo(f"{count_text(states.total(), 'check')}: {', '.join(counts)}")
    return states
