"""Spaces: the parameters of one function, and the ways to walk through them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import SpaceError, did_you_mean
from zoo.space._domains import Choice, Domain, List, Plain, Suggester, narrow_domain
from zoo.space._values import about, conditions, holds, plain, show, when_as_json

REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One keyword of a function: what it may be, what it is by default, whether it is searched."""

    name: str
    domain: Domain
    default: Any
    searched: bool = True

    @property
    def follows(self) -> str | None:
        """The list that this one is always as long as."""
        return self.domain.same_length_as if isinstance(self.domain, List) else None

    def is_active(self, active: AbstractSet[str], values: Mapping[str, Any]) -> bool:
        """Whether its `when` is met; what an inactive parameter is meets nothing."""
        return all(
            name in active and holds(values[name], wanted)
            for name, wanted in conditions(self.domain.when).items()
        )

    def as_json(self) -> dict[str, Any]:
        if self.default is REQUIRED:
            return self.domain.as_json()
        if not self.searched:
            return {"kind": "fixed", "value": plain(self.default), **when_as_json(self.domain.when)}
        return {**self.domain.as_json(), "default": plain(self.default)}


class Space(Mapping[str, Parameter]):
    """The parameters of one function, in the order of its signature."""

    def __init__(self, parameters: Sequence[Parameter] = ()) -> None:
        self._parameters = {parameter.name: parameter for parameter in parameters}

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({list(self.values())!r})"

    def defaults(self) -> dict[str, Any]:
        """The baseline: every parameter's default, parallel lists as long as those they follow."""
        return self._walk(lambda parameter, length: parameter.default)

    def sample(self, suggester: Suggester, prefix: str = "") -> dict[str, Any]:
        """A value for every parameter; the inactive and the fixed keep their default.

        `suggester` is an Optuna trial or whatever has its three `suggest_` methods; it is asked for
        `prefix + name`, for lists `NAME.length`, `NAME.0`, `NAME.1` …
        """

        def pick(parameter: Parameter, length: int | None) -> Any:
            domain = parameter.domain
            if not parameter.searched or isinstance(domain, Plain):
                return parameter.default
            if isinstance(domain, List):
                return domain.sample(prefix + parameter.name, suggester, length)
            return domain.sample(prefix + parameter.name, suggester)

        return self._walk(pick)

    def encode(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """What a suggester would have to answer, by name, for `sample` to return `values`."""
        values = self.check(values)
        active = self.active(values)
        answers: dict[str, Any] = {}
        for name, parameter in self.items():
            if name in active and parameter.searched and not isinstance(parameter.domain, Plain):
                answers |= parameter.domain.encode(prefix + name, values[name])
        return answers

    def active(self, values: Mapping[str, Any]) -> set[str]:
        """The names of the parameters whose `when` is met by `values`, one for every parameter."""
        names: set[str] = set()
        for name, parameter in self.items():
            if parameter.is_active(names, values):
                names.add(name)
        return names

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` with defaults for what is missing; SpaceError names the first that does not fit."""
        self._check_names(values)
        checked: dict[str, Any] = {}
        for name, parameter in self.items():
            if name in values:
                with about(name):
                    checked[name] = parameter.domain.check(values[name])
                    _check_length(checked[name], parameter, checked)
            else:
                checked[name] = _resized(_default(parameter), parameter, checked)
        return checked

    def narrow(self, table: Mapping[str, Any]) -> Space:
        """This space as a study wants it: a value pins, a table searches, silence keeps the range."""
        self._check_names(table)
        parameters = []
        for name, parameter in self.items():
            with about(name):
                parameters.append(_narrow(parameter, table[name]) if name in table else parameter)
        narrowed = Space(parameters)
        for parameter in parameters:
            _default(parameter)
            narrowed._check_pinned_length(parameter)
        return narrowed

    def as_json(self) -> dict[str, Any]:
        return {name: parameter.as_json() for name, parameter in self.items()}

    def _walk(self, pick: Callable[[Parameter, int | None], Any]) -> dict[str, Any]:
        """`pick` a value for every active parameter in order; the inactive keep their default."""
        values: dict[str, Any] = {}
        active: set[str] = set()
        for name, parameter in self.items():
            value = _default(parameter)
            if parameter.is_active(active, values):
                active.add(name)
                value = pick(parameter, len(values[parameter.follows]) if parameter.follows else None)
            values[name] = _resized(value, parameter, values)
        return values

    def _check_names(self, names: Mapping[str, Any]) -> None:
        for name in names:
            if name not in self:
                raise SpaceError(f"there is no parameter '{name}'. {did_you_mean(name, self)}")

    def _check_pinned_length(self, parameter: Parameter) -> None:
        """A pinned list that follows another needs the other's length to be that one, always."""
        leader = parameter.follows
        if leader is None or parameter.searched:
            return
        length = len(parameter.default)
        if self.lengths(leader) != {length}:
            raise SpaceError(
                f"{parameter.name}: it is as long as '{leader}', so pin '{leader}' to {length} items too, "
                "or search both."
            )

    def lengths(self, name: str) -> set[int]:
        """Every length that the list `name` may have."""
        parameter = self[name]
        domain = parameter.domain
        if not parameter.searched:
            return {len(parameter.default)}
        if isinstance(domain, List) and domain.length is not None:
            return set(range(domain.length[0], domain.length[1] + 1))
        if parameter.follows is not None:
            return self.lengths(parameter.follows)
        return {len(option) for option in domain.options} if isinstance(domain, Choice) else set()


def _narrow(parameter: Parameter, wanted: Any) -> Parameter:
    if not isinstance(wanted, Mapping):
        return replace(parameter, default=parameter.domain.check(wanted), searched=False)
    if not wanted:
        raise SpaceError(f"the table is empty; expected low, high or choices inside {parameter.domain}.")
    domain = narrow_domain(parameter.domain, wanted)
    return replace(parameter, domain=domain, default=domain.clip(parameter.default), searched=True)


def _default(parameter: Parameter) -> Any:
    if parameter.default is REQUIRED:
        raise SpaceError(f"'{parameter.name}' has no default and has to be given: {parameter.domain}.")
    return parameter.default


def _resized(value: Any, parameter: Parameter, values: Mapping[str, Any]) -> Any:
    """`value`, as long as the list that it follows, if it follows one."""
    if isinstance(parameter.domain, List) and parameter.follows is not None:
        return parameter.domain.resize(value, len(values[parameter.follows]))
    return value


def _check_length(value: Any, parameter: Parameter, values: Mapping[str, Any]) -> None:
    leader = parameter.follows
    if leader is not None and len(value) != len(values[leader]):
        raise SpaceError(
            f"expected as many items as '{leader}' has ({len(values[leader])}), but got {show(value)}."
        )
