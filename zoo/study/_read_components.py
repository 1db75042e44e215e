"""Reading the `[dataset]`, `[architecture]` and `[augmentation]` of a study file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from zoo.errors import PluginError, SpaceError, did_you_mean
from zoo.registry import Component, Registry
from zoo.space import REQUIRED, Domain, Float, Int, List, Plain, Space, contains, show
from zoo.study._definition import ComponentSpace
from zoo.study._document import Document, Keys

Table = dict[str, Any]


def read_component_space(
    document: Document,
    registry: Registry,
    kind: str,
    default: str | None = None,
    reserved: Collection[str] = (),
) -> ComponentSpace | None:
    """Return the components of one kind that a study uses; None if their names are missing or invalid."""
    value = document.tables.get(kind, default)
    if value is None:
        available = ", ".join(registry.names(kind))
        document.report((kind,), f'it is missing; write {kind} = "NAME". Available: {available}.')
        return None
    table = dict(value) if isinstance(value, dict) else {"name": value}
    name = table.pop("name", None if table else default)
    if problem := _name_problem(kind, name):
        document.report((kind, "name"), problem)
        return None
    reader = _ComponentReader(document, registry, kind, table)
    names = [name] if isinstance(name, str) else name["choices"]
    components = reader.components(names)
    if isinstance(name, str):
        spaces = {one: reader.read_single(component) for one, component in components.items()}
    else:
        spaces = reader.read_several(names, components)
    return ComponentSpace(kind, components, spaces, frozenset(reserved))


def _name_problem(kind: str, name: Any) -> str:
    """Return the problem with `name`; "" for a name and, except for a dataset, a choice of names."""
    if isinstance(name, str):
        return ""
    got = "" if name is None else f", got {show(name)}"
    if kind == "dataset":
        return f"expected a name{got}"
    if isinstance(name, list) and name:
        return (
            f"expected a name{got}; to search several, write name = {{ choices = {show(name)} }} in [{kind}]"
        )
    if not isinstance(name, dict) or list(name) != ["choices"]:
        return f'expected a name, or {{ choices = ["…", "…"] }}{got}'
    names = name["choices"]
    if not (isinstance(names, list) and names and all(isinstance(one, str) for one in names)):
        return f"choices must be a list with at least one name, got {show(names)}"
    twice = [one for one in names if names.count(one) > 1]
    return f"choices must differ, but '{twice[0]}' occurs twice; remove one of them" if twice else ""


class _ComponentReader:
    """Reader of the table of one kind of component; `table` no longer contains the key `name`."""

    def __init__(self, document: Document, registry: Registry, kind: str, table: Table) -> None:
        self._document = document
        self._registry = registry
        self._kind = kind
        self._table = table

    def components(self, names: Sequence[str]) -> dict[str, Component]:
        """Return the registered components among `names`; report the other names."""
        components = {}
        for name in names:
            try:
                components[name] = self._registry.get(self._kind, name)
            except PluginError as error:
                self._document.report((self._kind, "name"), str(error))
        return components

    def read_single(self, component: Component) -> Space:
        """Return the space of the only component."""
        locations = self._merge_own_table(component)
        self._drop_unused_tables(component.space)
        return narrow_space(self._document, (self._kind,), component.space, self._table, locations)

    def read_several(self, names: Sequence[str], components: Mapping[str, Component]) -> dict[str, Space]:
        """Return the space of each component; each has a table of its own."""
        tables = {name: self._take_own_table(name) for name in names}
        spaces = {
            name: narrow_space(self._document, (self._kind, name), component.space, tables[name])
            for name, component in components.items()
        }
        self._drop_unused_tables(())
        for key in self._table:
            self._document.report(
                (self._kind, key),
                f"a study with several {self._kind}s has one table for the parameters of each, such as "
                f"[{self._kind}.{names[0]}]. {did_you_mean(key, names)}",
            )
        return spaces

    def _take_own_table(self, name: str) -> Table:
        """Take the table of one component, `[architecture.NAME]`, out of the table of its kind."""
        own = self._table.pop(name, {})
        if isinstance(own, dict):
            return own
        self._document.report((self._kind, name), f"expected a table [{self._kind}.{name}], got {show(own)}")
        return {}

    def _merge_own_table(self, component: Component) -> dict[str, Keys]:
        """Merge `[augmentation.affine]` into `[augmentation]`, if affine is the only policy.

        Returns the location of each merged key. A key in both tables is an error, unless `--set` sets one.
        """
        locations: dict[str, Keys] = {}
        own = self._take_own_table(component.name) if component.name not in component.space else {}
        for key, value in own.items():
            shared_keys, own_keys = (self._kind, key), (self._kind, component.name, key)
            overrides = [keys for keys in (shared_keys, own_keys) if self._document.is_override(*keys)]
            if key in self._table and overrides == [shared_keys]:
                continue
            if key in self._table and overrides != [own_keys]:
                self._document.report(own_keys, f"it is in [{self._kind}] too; remove one of them")
            self._table[key] = value
            locations[key] = own_keys
        return locations

    def _drop_unused_tables(self, parameters: Collection[str]) -> None:
        """Drop the tables of components that the study does not use, and report them.

        With `--set augmentation.name=none`, tables of the file become unused. These are not reported.
        """
        is_override = any(
            self._document.is_override(self._kind, *keys) for keys in (["name"], ["name", "choices"])
        )
        names = self._registry.names(self._kind)
        for key, value in list(self._table.items()):
            if isinstance(value, dict) and key not in parameters and key in names:
                del self._table[key]
                if not is_override:
                    self._document.report(
                        (self._kind, key),
                        f"the study does not use this {self._kind}; add '{key}' to the choices of name, "
                        "or remove its table",
                    )


def narrow_space(
    document: Document, keys: Keys, space: Space, table: Table, locations: Mapping[str, Keys] | None = None
) -> Space:
    """Return `space` narrowed by the table at `keys`, or unchanged where a problem was reported.

    `locations` has the keys of the parameters that are in another table of the file.
    """
    all_locations = {name: (*keys, name) for name in [*space, *table]} | dict(locations or {})
    num_before = len(document.problems)
    for name, value in table.items():
        if problem := _parameter_problem(keys[0], name, value, space):
            document.report(all_locations[name], problem)
    for name, parameter in space.items():
        if parameter.default is REQUIRED and name not in table:
            document.report(all_locations[name], f"it has no default; give it a value: {parameter.domain}")
    if len(document.problems) > num_before:
        return space
    try:
        return space.narrow(table)
    except SpaceError as error:  # two parameters do not fit together
        name, _, problem = str(error).partition(": ")
        document.report(all_locations[name], problem)
        return space


def _parameter_problem(kind: str, name: str, value: Any, space: Space) -> str:
    """Return the problem with one parameter, regardless of the others; "" if there is none."""
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
    """Return how to search several values, if `value` is a list where one value was expected; else ""."""
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
