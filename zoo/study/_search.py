"""The `[search]` table of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import did_you_mean
from zoo.space import is_int, show

SAMPLERS = ("tpe", "random", "grid", "nsga2", "cmaes", "gp")
PRUNERS = ("median", "hyperband", "none")
_SINGLE_OBJECTIVE_SAMPLERS = ("cmaes", "gp")
_MINIMUM = {"trials": 1, "seed": 0, "max_parameters": 1}
_MAXIMUM = {"seed": 2**32 - 1}  # the largest seed that all samplers of Optuna accept
_NAMES = {"sampler": SAMPLERS, "pruner": PRUNERS}


@dataclass(frozen=True)
class Search:
    """The settings of a search."""

    trials: int = 20
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 0
    max_parameters: int | None = None


def search_problems(table: Mapping[str, Any], num_objectives: int) -> dict[str, str]:
    """Return the problem with each invalid key of `[search]`, for a study with so many objectives."""
    problems = {key: _problem(key, value, num_objectives) for key, value in table.items()}
    return {key: problem for key, problem in problems.items() if problem}


def integer_problem(value: Any, minimum: int, maximum: int | None = None) -> str:
    """Return why `value` is not an integer from `minimum` to `maximum`; "" if it is one."""
    if is_int(value) and minimum <= value and (maximum is None or value <= maximum):
        return ""
    bounds = f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    return f"expected an integer {bounds}, got {show(value)}"


def _problem(key: str, value: Any, num_objectives: int) -> str:
    if key not in Search.__dataclass_fields__:
        return f"no such key. {did_you_mean(key, Search.__dataclass_fields__)}"
    if key in _MINIMUM:
        return integer_problem(value, _MINIMUM[key], _MAXIMUM.get(key))
    if value not in _NAMES[key]:
        return f"there is no {key} {show(value)}. {did_you_mean(str(value), _NAMES[key])}"
    if num_objectives == 1:
        return ""
    if value in _SINGLE_OBJECTIVE_SAMPLERS:
        others = ", ".join(name for name in SAMPLERS if name not in _SINGLE_OBJECTIVE_SAMPLERS)
        return f"'{value}' supports one objective, but the study has {num_objectives}; use one of {others}"
    if key == "pruner" and value != "none":
        return (
            f"'{value}' supports one objective, but the study has {num_objectives}; "
            'remove the key, or write "none"'
        )
    return ""
