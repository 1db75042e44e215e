"""`zoo plugins check NAME`: the conformance kit, on what is installed."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import common
from zoo.errors import PluginError, StudyError, ZooError, did_you_mean
from zoo.registry import Component, Plugin, Registry, canonical_name
from zoo.space import REQUIRED

if TYPE_CHECKING:
    from zoo.testing._kit import Result

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}
Section = tuple[dict[str, Any], Iterable["Result"]]  # what is checked, and how its checks end


@click.command("check")
@click.argument("name")
@click.option("--check", "checks", multiple=True, metavar="CHECK", help="Only this check; may be repeated.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter's value: --set weights=none."
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="HEIGHTxWIDTHxCHANNELS",
    help="Images that it is made for; may be repeated.",
)
@click.option(
    "--classes",
    multiple=True,
    type=click.IntRange(min=2),
    metavar="N",
    help="Numbers of classes an architecture is made for, the first is the usual one; may be repeated.",
)
@click.option("--needs-plugin", is_flag=True, help="Saved models may have layers of the plugin's own.")
@click.option("--probe", metavar="DATASET", help="See whether a policy leaves this dataset's labels true.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(
    context: click.Context,
    name: str,
    checks: tuple[str, ...],
    settings: tuple[str, ...],
    shapes: tuple[str, ...],
    classes: tuple[int, ...],
    needs_plugin: bool,
    probe: str | None,
    as_json: bool,
) -> None:
    """Whether NAME keeps the contract: the conformance kit, check by check. Loads Keras.

    NAME is an architecture, a dataset, an augmentation policy, or a distribution: all it registered.
    """
    registry = Registry.load()
    entries, left_out = _meant(name, registry)
    values = _values(settings, entries)
    sizes = [common.image_shape(shape) for shape in shapes]
    of_kind: dict[str, dict[str, Any]] = {"architecture": {}, "augmentation": {}, "dataset": {}}
    if sizes:
        of_kind["architecture"]["input_shapes"] = of_kind["augmentation"]["input_shapes"] = sizes
    if classes:
        of_kind["architecture"] |= {"num_classes": classes[0], "class_counts": list(classes[1:])}
    if needs_plugin:
        of_kind["architecture"]["needs_plugin_to_load"] = True
    if probe:
        of_kind["augmentation"]["probe"] = registry.get("dataset", probe).function
    sections = [_left_out(plugin) for plugin in left_out]
    sections += [_section(entry, values, of_kind[entry.kind], checks) for entry in entries]
    _check_known(checks, entries)
    states = _show(sections, as_json)
    context.exit(1 if states["failed"] else 0)


def _meant(name: str, registry: Registry) -> tuple[list[Component], list[Plugin]]:
    """What is registered as `name`, and all that a distribution of that name registered or failed to.

    Raises:
        PluginError: there is neither, or its plugins are off.
    """
    plugins = [one for one in registry.plugins if canonical_name(one.distribution) == canonical_name(name)]
    found = [entry for entry in registry.entries() if entry.name == name]
    if not plugins and not found:
        registered = {entry.name for plugin in registry.plugins for entry in plugin.registered}
        if name in registered:
            registry.find(name)  # which says whose it is, and that two have it
        hint = did_you_mean(name, registered | {plugin.distribution for plugin in registry.plugins})
        raise PluginError(
            f"Nothing is registered, and no distribution with plugins is installed, as '{name}'. {hint}"
            f"{registry.left_out()}"
        )
    if not found and all(plugin.off for plugin in plugins):
        raise PluginError(
            f"{plugins[0].distribution} is installed, but left out by ZOO_PLUGINS or --no-plugins; "
            "start without that, or name it there."
        )
    found += [entry for plugin in plugins for entry in plugin.registered if entry not in found]
    return found, [plugin for plugin in plugins if plugin.problem]


def _values(settings: Sequence[str], entries: Sequence[Component]) -> dict[str, Any]:
    """`KEY=VALUE` of each setting, for a parameter that one of `entries` has."""
    values: dict[str, Any] = {}
    known = {name for entry in entries for name in entry.space}
    for setting in settings:
        key, value = common.key_and_value(setting, "weights=none")
        if key not in known:
            raise StudyError(f"--set {setting}: there is no parameter '{key}'. {did_you_mean(key, known)}")
        values[key] = value
    return values


def _check_known(checks: Sequence[str], entries: Sequence[Component]) -> None:
    from zoo.testing._subjects import SUBJECTS

    known = {check for entry in entries for check in SUBJECTS[entry.kind].suite.checks}
    for check in checks:
        if check not in known:
            raise ZooError(f"There is no check '{check}' for this. {did_you_mean(check, known)}")


def _left_out(plugin: Plugin) -> Section:
    from zoo.testing._kit import Result

    facts = {"kind": "plugin", "name": plugin.name}
    facts |= {"distribution": plugin.distribution, "version": plugin.version}
    return facts, [Result("registration", "failed", plugin.problem)]


def _section(
    entry: Component, values: Mapping[str, Any], options: Mapping[str, Any], checks: Sequence[str]
) -> Section:
    from zoo.testing._kit import Result
    from zoo.testing._subjects import subject_of

    facts = {"kind": entry.kind, "name": entry.name}
    facts |= {"distribution": entry.distribution, "version": entry.version}
    own = {name: value for name, value in values.items() if name in entry.space}
    for name, parameter in entry.space.items():
        if parameter.default is REQUIRED and name not in own:
            return facts, [Result("loads", "skipped", f"'{name}' has to be given: --set {name}=…")]
    given = own if entry.kind == "dataset" else {**options, **({"space": own} if own else {})}
    subject = subject_of(entry.kind, entry.function, given)
    subject.validate()
    names = [name for name in subject.suite.checks if not checks or name in checks]
    return facts, subject.results(names)


def _show(sections: Sequence[Section], as_json: bool) -> Counter[str]:
    """Make the checks, tell each as it ends, and count how they ended."""
    from zoo.testing._failure import counted

    if {facts["kind"] for facts, _ in sections} & {"architecture", "augmentation"}:
        _load_keras()
    states: Counter[str] = Counter()
    reports = []
    for facts, results in sections:
        if not as_json:
            heading = click.style(facts["name"], bold=True)
            click.echo(f"{facts['kind']} {heading}  [{facts['distribution']} {facts['version']}]")
        told = []
        for result in _quietly(results):
            states[result.state] += 1
            told.append({"check": result.check, "state": result.state, "text": result.text})
            if not as_json:
                state = click.style(result.state, fg=_COLOURS[result.state])
                text = f"{'':{9 - len(result.state)}}{result.text}" if result.text else ""
                click.echo(f"  {result.check:<15}  {state}{text}")
        reports.append({**facts, "checks": told})
    if as_json:
        click.echo(json.dumps(reports, indent=1))
    else:
        counts = [f"{states[state]} {state}" for state in _COLOURS if states[state]]
        click.echo(f"{counted(states.total(), 'check')}: {', '.join(counts)}")
    return states


def _quietly(results: Iterable[Result]) -> Iterator[Result]:
    """`results`, while what plugins print goes to standard error."""
    iterator = iter(results)
    while True:
        with contextlib.redirect_stdout(sys.stderr):
            result = next(iterator, None)
        if result is None:
            return
        yield result


def _load_keras() -> None:
    if sys.stderr.isatty():
        click.echo("loading Keras …", err=True)
    from zoo.training import backend

    backend.check_backend()
    with backend.muted():
        import_module("keras")
