"""Choices: a domain of listed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from zoo.errors import SpaceError
from zoo.space._suggester import Suggester
from zoo.space._values import Condition, Scalar, as_lists, equal, invalid_value, is_real, show, when_as_json


@dataclass(frozen=True, init=False)
class Choice:
    """One of several scalars: strings, finite numbers, booleans, None."""

    options: tuple[Any, ...]
    when: Condition | None = None

    def __init__(self, *options: Scalar, when: Condition | None = None) -> None:
        for option in options:
            if not (option is None or isinstance(option, str | bool) or is_real(option)):
                raise _not_scalar(option)
        self._set(options, when)

    @classmethod
    def among(cls, options: Sequence[Any], when: Condition | None) -> Choice:
        """Return a choice whose options may also be tuples: the `choices = […]` of a study."""
        choice = cls.__new__(cls)
        choice._set(options, when)
        return choice

    def _set(self, options: Sequence[Any], when: Condition | None) -> None:
        if not options:
            raise SpaceError("Choice needs at least one option.")
        for position, option in enumerate(options):
            # Optuna finds an option by ==, where True is 1 and 1.0 is 1.
            for earlier in options[:position]:
                if option == earlier:
                    raise SpaceError(f"choices must differ, but {show(earlier)} equals {show(option)}.")
        object.__setattr__(self, "options", tuple(options))
        object.__setattr__(self, "when", when)

    def check(self, value: Any) -> Any:
        """Return the option that equals `value`; 1 equals 1.0 but not true."""
        for option in self.options:
            if equal(option, value):
                return option
        spellings = {str(option).casefold(): option for option in self.options}
        close = get_close_matches(str(value).casefold(), spellings, n=1)
        raise invalid_value(self, value, spellings[close[0]] if close else None)

    def sample(self, name: str, suggester: Suggester) -> Any:
        labels = [_label(option) for option in self.options]
        return self.options[labels.index(suggester.suggest_categorical(name, labels))]

    def encode(self, name: str, value: Any) -> dict[str, Any]:
        return {name: _label(self.check(value))}

    def narrow(self, table: Mapping[str, Any]) -> Choice:
        if "choices" not in table:
            raise SpaceError(f"expected choices = […] with some of {self}, got {', '.join(table)}.")
        return narrow_to_choices(self, table)

    def clip(self, value: Any) -> Any:
        """Return `value` if it is an option, else the first option."""
        return next((option for option in self.options if equal(option, value)), self.options[0])

    def values(self) -> Sequence[Any]:
        return self.options

    def as_json(self) -> dict[str, Any]:
        return {"kind": "choice", "options": as_lists(self.options), **when_as_json(self.when)}

    def __str__(self) -> str:
        return " | ".join(show(option) for option in self.options)


def narrow_to_choices(domain: Any, table: Mapping[str, Any]) -> Choice:
    """Return the choice among the members of `domain`, of any kind, that `choices = […]` lists."""
    choices = table["choices"]
    others = [key for key in table if key != "choices"]
    if others:
        raise SpaceError(f"choices cannot be combined with {', '.join(others)}; remove one of them.")
    if not isinstance(choices, list | tuple) or not choices:
        raise SpaceError(f"choices must be a list with at least one value, got {show(choices)}.")
    return Choice.among([domain.check(option) for option in choices], domain.when)


def _not_scalar(option: Any) -> SpaceError:
    hint = f"; write Choice({str(list(option))[1:-1]})" if isinstance(option, list | tuple) else ""
    return SpaceError(f"Choice takes strings, numbers, booleans or None, got {show(option)}{hint}.")


def _label(option: Any) -> Any:
    """Return `option` as Optuna's storage can hold it: scalars as they are, a tuple as JSON text."""
    return show(option) if isinstance(option, tuple) else option
