"""What one trial is told: everything it needs to train, resolved, as plain JSON.

A trial knows neither the study it belongs to nor Optuna nor MLflow; the same configuration trains
the same network wherever it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

METRICS = {  # what an epoch reports and a study may optimise, and which way is better
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "accuracy": "maximize",
    "loss": "minimize",
}


@dataclass(frozen=True)
class Chosen:
    """A registered thing by name, with a value for each of its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialConfig:
    """One trial, completely.

    Args:
        digest: of the dataset's content, every byte; names its folder in the cache.
        validation: `{"fraction": 0.1, "seed": 0}`, how the validation split is cut.
        training: keyword arguments of `zoo.training.fit`.
        seed: of the initial weights, the shuffling and the augmentation.
    """

    dataset: Chosen
    digest: str
    validation: Mapping[str, Any]
    architecture: Chosen
    augmentation: Chosen
    training: Mapping[str, Any]
    objective: str
    direction: str
    seed: int

    def as_json(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars; `from_json` gives an equal configuration back."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrialConfig:
        """The configuration that `as_json` described; lists are tuples again."""
        chosen = {name: _chosen(document[name]) for name in ("dataset", "architecture", "augmentation")}
        mappings = {name: _restored(document[name]) for name in ("validation", "training")}
        return cls(**{**document, **mappings, **chosen})


def _chosen(document: Mapping[str, Any]) -> Chosen:
    return Chosen(document["name"], _restored(document["parameters"]))


def _restored(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _with_tuples(value) for name, value in values.items()}


def _with_tuples(value: Any) -> Any:
    """A parameter's value as a space holds it: JSON has lists where that has tuples."""
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
