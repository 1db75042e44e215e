"""Whether a dataset keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.space import read_space
from zoo.testing._failure import checking


def check_dataset(function: Callable[..., Any], **parameters: Any) -> None:
    """Load a dataset, with `parameters` in place of its defaults, and check what comes.

    It has to be a `zoo.Dataset` of `uint8` images `(n, height, width, channels)`, the same size in
    every split, and integer labels `(n,)` in `0 .. len(class_names) - 1`.

    Raises:
        CheckFailed: what was expected, what came, and with which parameters.
    """
    from zoo.data.contract import check_contract

    with checking(function, "its signature"):
        space = read_space(function)
    with checking(function, "its parameters"):
        values = space.check(parameters)
    with checking(function, "loading the data", values):
        dataset = function(**values)
    with checking(function, "the dataset", values):
        check_contract(dataset)
