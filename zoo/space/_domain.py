"""The domains that a parameter can have.

Every domain can
    check(value)              return the member that `value` equals, or raise SpaceError
    clip(value)               return the nearest member
    narrow(table)             return the part of it that a study's table selects
    values()                  list its members; None where there are infinitely or too many
    as_json(), str()          describe itself for the manifest, and for people
and all but Plain can
    sample(name, suggester)   ask a suggester for a member
    encode(name, value)       return the suggestions that make `sample` return `value`
"""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import SpaceError
from zoo.space._choice import Choice
from zoo.space._list import List
from zoo.space._plain import Plain
from zoo.space._ranges import Float, Int
from zoo.space._values import show

Domain = Int | Float | Choice | List | Plain


@dataclass(frozen=True)
class Setting:
    """Marks a parameter such as `epochs` that keeps its default unless a study gives it a table."""

    domain: Int | Float | Choice | List

    def __post_init__(self) -> None:
        if not isinstance(self.domain, Int | Float | Choice | List):
            raise SpaceError(f"Setting takes an Int, Float, Choice or List, got {show(self.domain)}.")
        if isinstance(self.domain, List) and self.domain.same_length_as is not None:
            raise SpaceError("Setting takes no List with same_length_as; give the List a length.")
