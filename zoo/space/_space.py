"""Spaces: the parameters of one function, and operations on all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import SpaceError, count_text, did_you_mean
from zoo.space._domains import Choice, Float, Int
from zoo.space._lists import List
from zoo.space._plain import Plain
from zoo.space._values import Suggester, are_equal, as_lists, conditions, error_prefix, show, when_as_json
from zoo.space._weights import ClassWeights

REQUIRED: Any = inspect.Parameter.empty

# Every domain can
#     check(value)              return the member that `value` equals, or raise SpaceError
#     clip(value)               return the nearest member
#     narrow(table)             return the part of it that a study's table selects
#     values()                  list its members; None if there are too many to list
#     as_json(), str()          describe itself for the manifest, and for people
# and all but Plain can
#     sample(name, suggester)   ask a suggester for a member
#     encode(name, value)       return the suggestions that make `sample` return `value`
Domain = Int | Float | Choice | List | Plain


@dataclass(frozen=True)
class Setting:
    """A mark for a parameter, such as `epochs`, that keeps its default unless a study has a table for it."""

    domain: Int | Float | Choice | List

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Int | Float | Choice | List):
            raise SpaceError(f"Setting takes an Int, Float, Choice or List, got {show(self.domain)}.")
        if isinstance(self.domain, List) and self.domain.same_length_as is not None:
            raise SpaceError("Setting takes no List with same_length_as; give the List a length.")


@dataclass(frozen=True)
class Parameter:
    """A keyword parameter of a function: its domain, its default, and whether it is searched."""

    name: str
    domain: Domain
    default: Any
    searched: bool = True

    @property
    def same_length_as(self) -> str | None:
        """The name of the list whose length this list has, if any."""
        return self.domain.same_length_as if isinstance(self.domain, List) else None

    def is_active(self, active: AbstractSet[str], values: Mapping[str, Any]) -> bool:
        """Return True if the `when` condition holds. It never holds if it names an inactive parameter."""
        return all(
            name in active and any(are_equal(values[name], one) for one in accepted)
            for name, accepted in conditions(self.domain.when).items()
        )

    def narrow(self, value: Any) -> Parameter:
        """Return the parameter fixed to `value`, or searched in the range of `value` if that is a table."""
        is_range = isinstance(value, Mapping)
        if is_range and isinstance(self.domain, ClassWeights):
            is_range = self.domain.is_range(value)
        if not is_range:
            return replace(self, default=self.domain.check(value), searched=False)
        if not value:
            raise SpaceError(f"the table is empty; expected low, high or choices inside {self.domain}.")
        domain = self.domain.narrow(value)
        return replace(self, domain=domain, default=domain.clip(self.default), searched=True)

    def as_json(self) -> dict[str, Any]:
        if self.default is REQUIRED:
            return self.domain.as_json()
        if not self.searched:
            return {"kind": "fixed", "value": as_lists(self.default), **when_as_json(self.domain.when)}
        return {**self.domain.as_json(), "default": as_lists(self.default)}


class Space(dict[str, Parameter]):
    """The parameters of one function by name, in the order of its signature."""

    def __init__(self, parameters: Sequence[Parameter] = ()) -> None:
        super().__init__((parameter.name, parameter) for parameter in parameters)

    def __repr__(self) -> str:
        return f"Space({list(self.values())!r})"

    def defaults(self) -> dict[str, Any]:
        """Return every default. A list with `same_length_as` gets the length of the other list."""
        return self._collect(lambda parameter, length: parameter.default)

    def sample(self, suggester: Suggester, prefix: str = "") -> dict[str, Any]:
        """Return a value for every parameter; inactive and fixed ones keep their default.

        The names of the suggestions are `prefix + name`, and `NAME.length`, `NAME.0` … for a list.
        """

        def suggest(parameter: Parameter, length: int | None) -> Any:
            domain = parameter.domain
            if not parameter.searched or isinstance(domain, Plain):
                return parameter.default
            if isinstance(domain, List):
                return domain.sample(prefix + parameter.name, suggester, length)
            return domain.sample(prefix + parameter.name, suggester)

        return self._collect(suggest)

    def encode(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Return the suggestions, by name, that make `sample` return `values`."""
        values = self.check(values)
        active = self.active(values)
        suggestions: dict[str, Any] = {}
        for name, parameter in self.items():
            if name in active and parameter.searched and not isinstance(parameter.domain, Plain):
                suggestions |= parameter.domain.encode(prefix + name, values[name])
        return suggestions

    def active(self, values: Mapping[str, Any]) -> set[str]:
        """Return the names of the active parameters, given a value for every parameter."""
        names: set[str] = set()
        for name, parameter in self.items():
            if parameter.is_active(names, values):
                names.add(name)
        return names

    def inactive(self, values: Mapping[str, Any]) -> list[str]:
        """Return the names of the other parameters, whose `when` conditions do not hold."""
        active = self.active(values)
        return [name for name in self if name not in active]

    def searched(self) -> list[str]:
        """Return the names of the parameters that can get more than one value from `sample`."""
        return [
            name
            for name, parameter in self.items()
            if parameter.searched
            and not isinstance(parameter.domain, Plain)
            and len(parameter.domain.values() or (0, 1)) > 1
        ]

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values`, completed with defaults; raise SpaceError about the first invalid one."""
        self._check_names(values)
        checked: dict[str, Any] = {}
        for name, parameter in self.items():
            if name in values:
                with error_prefix(name):
                    checked[name] = parameter.domain.check(values[name])
                    other = parameter.same_length_as
                    if other is not None and len(checked[name]) != len(checked[other]):
                        raise SpaceError(
                            f"expected as many items as '{other}' has ({len(checked[other])}), "
                            f"got {show(checked[name])}."
                        )
            else:
                checked[name] = _resize(_default(parameter), parameter, checked)
        return checked

    def narrow(self, table: Mapping[str, Any]) -> Space:
        """Return the space of a study. In `table`, a value fixes a parameter, and a table searches it."""
        self._check_names(table)
        parameters = []
        for name, parameter in self.items():
            with error_prefix(name):
                parameters.append(parameter.narrow(table[name]) if name in table else parameter)
        narrowed = Space(parameters)
        for parameter in parameters:
            _default(parameter)
            if narrowed.has_length_conflict(parameter.name):
                items = count_text(len(parameter.default), "item")
                raise SpaceError(
                    f"{parameter.name}: it has the length of '{parameter.same_length_as}', so fix "
                    f"'{parameter.same_length_as}' to {items} too, or search both."
                )
        return narrowed

    def has_length_conflict(self, name: str) -> bool:
        """Return True if the list `name` is fixed, and must be as long as a list of another length."""
        parameter = self[name]
        other = parameter.same_length_as
        if other is None or parameter.searched:
            return False
        return self._lengths(other) != {len(parameter.default)}

    def as_json(self) -> dict[str, Any]:
        return {name: parameter.as_json() for name, parameter in self.items()}

    def _lengths(self, name: str) -> set[int]:
        """Return every length that the list `name` can have."""
        parameter = self[name]
        domain = parameter.domain
        if not parameter.searched:
            return {len(parameter.default)}
        if isinstance(domain, List) and domain.length is not None:
            return set(range(domain.length[0], domain.length[1] + 1))
        if parameter.same_length_as is not None:
            return self._lengths(parameter.same_length_as)
        return {len(option) for option in domain.options} if isinstance(domain, Choice) else set()

    def _collect(self, value_of: Callable[[Parameter, int | None], Any]) -> dict[str, Any]:
        """Return `value_of(parameter, length)` for active parameters, and the default of the others.

        `length` is that of the list that `same_length_as` names, if any.
        """
        values: dict[str, Any] = {}
        active: set[str] = set()
        for name, parameter in self.items():
            value = _default(parameter)
            if parameter.is_active(active, values):
                active.add(name)
                other = parameter.same_length_as
                value = value_of(parameter, None if other is None else len(values[other]))
            values[name] = _resize(value, parameter, values)
        return values

    def _check_names(self, names: Mapping[str, Any]) -> None:
        for name in names:
            if name not in self:
                raise SpaceError(f"there is no parameter '{name}'. {did_you_mean(name, self)}")


def _default(parameter: Parameter) -> Any:
    if parameter.default is REQUIRED:
        raise SpaceError(f"'{parameter.name}' has no default; give it a value: {parameter.domain}.")
    return parameter.default


def _resize(value: Any, parameter: Parameter, values: Mapping[str, Any]) -> Any:
    """Return `value`, resized to the length of the list that `same_length_as` names, if any."""
    if isinstance(parameter.domain, List) and parameter.same_length_as is not None:
        return parameter.domain.resize(value, len(values[parameter.same_length_as]))
    return value
