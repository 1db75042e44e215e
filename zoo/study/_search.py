"""The table `[search]` of a study: how many trials, how they are chosen, and when the search ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.durations import parse_duration
from zoo.errors import did_you_mean
from zoo.space import is_int, is_real, show
from zoo.study._objectives import Objective

SAMPLERS = ("tpe", "random", "grid", "nsga2", "cmaes", "gp")
PRUNERS = ("median", "halving", "hyperband", "none")
_SINGLE_OBJECTIVE_SAMPLERS = ("cmaes", "gp")
_MINIMUM = {"trials": 1, "seed": 0, "max_parameters": 1}
_MAXIMUM = {"seed": 2**32 - 1}  # the largest seed that all samplers of Optuna accept
_NO_LIMIT = "off"
_NAMES = {"sampler": SAMPLERS, "pruner": PRUNERS}


@dataclass(frozen=True)
class Search:
    """The settings of a search.

    Args:
        keep_models: the models of how many trials are kept, or `all`.
        timeout: seconds until the search ends; running trials end with their epoch. None: no limit.
        target: the search ends when the objective is this good; None for all trials.
        stall_timeout: as for `zoo.stalls.stall_timeout`.
    """

    trials: int = 20
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 0
    max_parameters: int | None = None
    keep_models: int | str = 5
    timeout: float | None = None
    target: float | None = None
    stall_timeout: float | None = None

    def has_reached(self, value: float, objective: Objective) -> bool:
        """Return True if there is a target, and `value` is as good."""
        return self.target is not None and objective.reaches(value, self.target)

    def with_table(self, table: Mapping[str, Any]) -> Search:
        """Return the settings with those of a table in which `search_problems` finds none."""
        seconds = {
            key: math.inf if table[key] == _NO_LIMIT else parse_duration(table[key])
            for key in ("timeout", "stall_timeout")
            if key in table
        }
        return replace(self, **{**table, **seconds})


def search_problems(table: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, str]:
    """Return the problem with each invalid key of the table `[search]`, by key."""
    problems = {key: _search_problem(key, value, objectives) for key, value in table.items()}
    return {key: problem for key, problem in problems.items() if problem}


def integer_problem(value: Any, minimum: int, maximum: int | None = None) -> str:
    """Return why `value` is not an integer from `minimum` to `maximum`; "" if it is one."""
    if is_int(value) and minimum <= value and (maximum is None or value <= maximum):
        return ""
    bounds = f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    return f"expected an integer {bounds}, got {show(value)}"


def _search_problem(key: str, value: Any, objectives: Sequence[Objective]) -> str:
    if key not in Search.__dataclass_fields__:
        return f"no such key. {did_you_mean(key, Search.__dataclass_fields__)}"
    if key == "keep_models":
        problem = integer_problem(value, 1)
        return f'{problem}; "all" keeps every model' if problem and value != "all" else ""
    if key == "timeout":
        return _timeout_problem(value)
    if key == "stall_timeout":
        return "" if value == _NO_LIMIT else _timeout_problem(value, f', or "{_NO_LIMIT}"')
    if key == "target":
        return _target_problem(value, objectives)
    if key in _MINIMUM:
        return integer_problem(value, _MINIMUM[key], _MAXIMUM.get(key))
    if value not in _NAMES[key]:
        return f"there is no {key} {show(value)}. {did_you_mean(str(value), _NAMES[key])}"
    return _several_objectives_problem(key, value, len(objectives))


def _several_objectives_problem(key: str, value: str, num_objectives: int) -> str:
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


def _timeout_problem(value: Any, other: str = "") -> str:
    if parse_duration(value) is not None:
        return ""
    return f'expected a duration > 0 such as "30m", "1h30m" or 90 for seconds{other}, got {show(value)}'


def _target_problem(value: Any, objectives: Sequence[Objective]) -> str:
    if len(objectives) > 1:
        return f"a target needs one objective, but the study has {len(objectives)}; remove the key"
    low, high = objectives[0].bounds
    if is_real(value) and low <= value <= high:
        return ""
    metric, expected = objectives[0].metric, f"a number from {low:g} to {high:g}"
    if high == float("inf"):
        expected = f"a number >= {low:g}" if low > -high else "a number"
    return f"expected {expected}, a value of {metric}, got {show(value)}"
