"""Reading the `[dataset]`, `[architecture]` and `[augmentation]` of a study file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from zoo.errors import PluginError, SpaceError, did_you_mean
from zoo.registry import Component, Registry
from zoo.space import REQUIRED, Domain, Float, Int, List, Plain, Space, contains, show
from zoo.study._component_space import ComponentSpace
from zoo.study._document import Document
from zoo.study._source_lines import Keys

Table = dict[str, Any]


def read_component_space(
    document: Document,
    registry: Registry,
    kind: str,
    default: str | None = None,
    reserved: Collection[str] = (),
) -> ComponentSpace | None:
    """Return the components of one kind that a study uses; None where it names none.

    Args:
        default: the component of a study without a table of this kind.
        reserved: prefixes of suggestions that other parts of the study use.
    """
    table = _named_table(document, registry, kind, default)
    if table is None:
        return None
    name = table.pop("name")
    names = [name] if isinstance(name, str) else name["choices"]
    components = _components(document, registry, kind, names)
    if isinstance(name, str):
        spaces = {one: _read_single(document, registry, components[one], table) for one in components}
    else:
        spaces = _read_several(document, registry, kind, names, components, table)
    return ComponentSpace(kind, components, spaces, frozenset(reserved))


def _named_table(document: Document, registry: Registry, kind: str, default: str | None) -> Table | None:
    """Return a copy of the table `kind` with a valid `name`: `kind = "name"`, or `[kind] name = …`."""
    value = document.tables.get(kind, default)
    if value is None:
        names = ", ".join(registry.names(kind))
        document.report((kind,), f'it is missing; write {kind} = "NAME". Available: {names}.')
        return None
    table = dict(value) if isinstance(value, dict) else {"name": value}
    name = table.setdefault("name", None if table else default)
    problem = _name_problem(kind, name)
    if problem:
        document.report((kind, "name"), problem)
    return None if problem else table


def _name_problem(kind: str, name: Any) -> str:
    """Return why `name` is neither a name nor, but for a dataset, a choice of names; "" if it is one."""
    if isinstance(name, str):
        return ""
    got = "" if name is None else f", got {show(name)}"
    if kind == "dataset":
        return f"expected a name{got}"
    if isinstance(name, list):
        return (
            f"expected a name{got}; to search several, write name = {{ choices = {show(name)} }} in [{kind}]"
        )
    if not isinstance(name, dict) or list(name) != ["choices"]:
        return f'expected a name, or {{ choices = ["…", "…"] }}{got}'
    names = name["choices"]
    if not (isinstance(names, list) and names and all(isinstance(one, str) for one in names)):
        return f"choices must be a list with at least one name, got {show(names)}"
    twice = [one for one in names if names.count(one) > 1]
    return f"choices must differ, but '{twice[0]}' occurs twice" if twice else ""


def _components(
    document: Document, registry: Registry, kind: str, names: Sequence[str]
) -> dict[str, Component]:
    components = {}
    for name in names:
        try:
            components[name] = registry.get(kind, name)
        except PluginError as error:
            document.report((kind, "name"), str(error))
    return components


def _read_single(document: Document, registry: Registry, component: Component, table: Table) -> Space:
    """Return the space of the only component of a kind."""
    moved = _merge_own_table(document, component, table)
    _drop_unused_tables(document, registry, component.kind, table, component.space)
    return narrow_space(document, (component.kind,), component.space, table, moved)


def _read_several(
    document: Document,
    registry: Registry,
    kind: str,
    names: Sequence[str],
    components: Mapping[str, Component],
    table: Table,
) -> dict[str, Space]:
    """Return the space of each component; each has a table of its own."""
    tables = {name: _own_table(document, kind, name, table) for name in names}
    spaces = {
        name: narrow_space(document, (kind, name), component.space, tables[name])
        for name, component in components.items()
    }
    _drop_unused_tables(document, registry, kind, table, ())
    for key in table:
        document.report(
            (kind, key),
            f"with several {kind}s, each has a table of its own for its parameters, such as "
            f"[{kind}.{names[0]}]. {did_you_mean(key, names)}",
        )
    return spaces


def _own_table(document: Document, kind: str, name: str, table: Table) -> Table:
    """Take the table of one component, `[architecture.NAME]`, out of the `table` of its kind."""
    own = table.pop(name, {})
    if isinstance(own, dict):
        return own
    document.report((kind, name), f"expected a table [{kind}.{name}], got {show(own)}")
    return {}


def _merge_own_table(document: Document, component: Component, table: Table) -> dict[str, Keys]:
    """Merge `[augmentation.affine]` into `[augmentation]`, where affine is the only policy.

    A key in both tables is an error, unless one of them is an override.

    Returns:
        The keys that were merged, with the place where the file has them.
    """
    kind, name = component.kind, component.name
    moved: dict[str, Keys] = {}
    own = _own_table(document, kind, name, table) if name not in component.space else {}
    for key, value in own.items():
        overrides = [keys for keys in ((kind, key), (kind, name, key)) if document.is_override(*keys)]
        if key in table and overrides == [(kind, key)]:
            continue
        if key in table and overrides != [(kind, name, key)]:
            document.report((kind, name, key), f"it is in [{kind}] too; remove one of them")
        table[key] = value
        moved[key] = (kind, name, key)
    return moved


def _drop_unused_tables(
    document: Document, registry: Registry, kind: str, table: Table, parameters: Collection[str]
) -> None:
    """Drop the tables of components that the study does not use, and report them.

    They are no problem under `--set augmentation.name=none`, which leaves tables of the file unused.
    """
    is_override = any(document.is_override(kind, *keys) for keys in (["name"], ["name", "choices"]))
    for key, value in list(table.items()):
        if isinstance(value, dict) and key not in parameters and key in registry.names(kind):
            del table[key]
            if not is_override:
                document.report(
                    (kind, key),
                    f"the study does not use this {kind}; add '{key}' to the choices of name, "
                    "or remove its table",
                )


def narrow_space(
    document: Document, keys: Keys, space: Space, table: Table, moved: Mapping[str, Keys] | None = None
) -> Space:
    """Return `space` narrowed by `table`, or unchanged where a problem was reported.

    Args:
        keys: the place of the table in the file.
        moved: parameters that the file has elsewhere, with their places.
    """
    places = {name: (*keys, name) for name in [*space, *table]} | dict(moved or {})
    num_before = len(document.problems)
    for name, value in table.items():
        problem = _problem(keys[0], name, value, space)
        if problem:
            document.report(places[name], problem)
    for name, parameter in space.items():
        if parameter.default is REQUIRED and name not in table:
            document.report(places[name], f"it has no default; give it a value: {parameter.domain}")
    if len(document.problems) > num_before:
        return space
    try:
        return space.narrow(table)
    except SpaceError as error:  # two parameters do not fit together
        name, _, problem = str(error).partition(": ")
        document.report(places[name], problem)
        return space


def _problem(kind: str, name: str, value: Any, space: Space) -> str:
    """Return the problem with one parameter, whatever the values of the others; "" if there is none."""
    if name not in space:
        return f"no such parameter. {did_you_mean(name, space)}"
    parameter = space[name]
    if kind == "dataset" and isinstance(value, dict):
        return "the parameters of a dataset cannot be searched; give one value"
    try:
        parameter.narrow(value)
    except SpaceError as error:
        hint = "" if kind == "dataset" else _search_hint(parameter.domain, value)
        return f"{error}{hint}"
    return ""


def _search_hint(domain: Domain, value: Any) -> str:
    """Return how to search several values, where a list stands in place of one value."""
    if not isinstance(value, list) or isinstance(domain, Plain):
        return ""
    if isinstance(domain, List) and (
        domain.length is None or not any(isinstance(one, list) for one in value)
    ):
        return ""
    is_valid = bool(value) and all(contains(domain, one) for one in value)
    choices = f"{{ choices = {show(value) if is_valid else '[…]'} }}"
    if is_valid and isinstance(domain, Int | Float) and len(value) == 2 and value[0] < value[1]:
        low, high = map(show, value)
        return (
            f" To search the range, write {{ low = {low}, high = {high} }}; for these two values {choices}."
        )
    return f" To search several values, write {choices}."
