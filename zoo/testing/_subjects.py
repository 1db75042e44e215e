"""Which subject a kind of plugin function is checked as. The package's `__init__` has the checks declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zoo.testing._kit import Subject, options_of
from zoo.testing._networks import Network
from zoo.testing._policies import Policy
from zoo.testing.datasets import Data

SUBJECTS: Mapping[str, Any] = {"dataset": Data, "architecture": Network, "augmentation": Policy}


def subject_of(kind: str, function: Callable[..., Any], given: Mapping[str, Any]) -> Subject:
    """`function`, ready to be checked; `given` are options of its check, or a dataset's own parameters.

    Raises:
        ZooError: there is no such option.
    """
    if kind == "dataset":
        return Data(function, given)
    subject: Subject = SUBJECTS[kind](function, given=given, **options_of(SUBJECTS[kind], given))
    return subject
