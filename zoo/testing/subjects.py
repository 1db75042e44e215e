"""The subject of each kind of component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zoo.testing._network import Network
from zoo.testing._policy import Policy
from zoo.testing.datasets import DatasetSubject
from zoo.testing.kit import Subject

SUBJECTS: Mapping[str, Any] = {
    "dataset": DatasetSubject,
    "architecture": Network,
    "augmentation": Policy,
}


def subject_of(kind: str, function: Callable[..., Any], given: Mapping[str, Any]) -> Subject:
    """Return the subject that checks `function`.

    Args:
        given: options of the check; for a dataset, values for its own parameters.

    Raises:
        ZooError: there is no such option.
    """
    subject: Subject = SUBJECTS[kind](function, given)
    return subject
