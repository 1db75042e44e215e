"""What one trial is told: everything it needs to train, resolved, as plain JSON.

A trial knows neither the study it belongs to nor Optuna nor MLflow; the same configuration trains
the same network wherever it runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

EPOCH_METRICS = {  # what an epoch reports and a study may optimise, and which way is better
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "accuracy": "maximize",
    "loss": "minimize",
}
MODEL_METRICS = {  # what is known of a whole network, beside a metric of its epochs
    "parameters": "minimize",
    "latency_ms": "minimize",
}


@dataclass(frozen=True)
class PluginConfig:
    """A registered thing by name, with a value for each of its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialConfig:
    """One trial, completely.

    Args:
        digest: of the dataset's content, every byte; names its folder in the cache.
        validation: `{"fraction": 0.1, "seed": 0}`, how the validation split is cut; or `{"folds": 5,
            "seed": 0}`, in how many parts the training split is, each validated with in its turn.
        training: keyword arguments of `zoo.training.fit`.
        objective: the metric that decides which epoch is best; `direction` says which way.
        seed: of the initial weights, the shuffling and the augmentation.
        measures: what else its summary is to say of the model that is kept: `latency_ms`, or a
            metric of the best epoch besides the objective.
        max_parameters: a network with more is not trained.
        plugins: `DISTRIBUTION:PLUGIN` → version of those that registered what is trained; empty
            where nobody wrote it down, as in records of earlier versions.
    """

    dataset: PluginConfig
    digest: str
    validation: Mapping[str, Any]
    architecture: PluginConfig
    augmentation: PluginConfig
    training: Mapping[str, Any]
    objective: str
    direction: str
    seed: int
    measures: tuple[str, ...] = ()
    max_parameters: int | None = None
    plugins: Mapping[str, str] = field(default_factory=dict)

    @property
    def folds(self) -> int:
        """How often it trains; 1 where a part of the training split is held out."""
        return count_folds(self.validation)

    def seed_of_fold(self, fold: int) -> int:
        """A seed for every fold, the first is 1; that of the first is the trial's own."""
        if fold == 1:
            return self.seed
        digest = hashlib.sha256(f"{self.seed}/{fold}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def as_json(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars; `from_json` gives an equal configuration back.

        What few studies ask for is there only where it is asked for.
        """
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        for name in ("measures", "max_parameters"):
            if not document[name]:
                del document[name]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrialConfig:
        """The configuration that `as_json` described; lists are tuples again."""
        chosen = {name: _chosen(document[name]) for name in ("dataset", "architecture", "augmentation")}
        mappings = {name: _restored(document[name]) for name in ("validation", "training")}
        measures = tuple(document.get("measures", ()))
        return cls(**{**document, **mappings, **chosen, "measures": measures})


def count_folds(validation: Mapping[str, Any]) -> int:
    """How many folds `[validation]` asks for; 1 where a part of the training split is held out."""
    return int(validation.get("folds", 1))


def _chosen(document: Mapping[str, Any]) -> PluginConfig:
    return PluginConfig(document["name"], _restored(document["parameters"]))


def _restored(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _with_tuples(value) for name, value in values.items()}


def _with_tuples(value: Any) -> Any:
    """A parameter's value as a space holds it: JSON has lists where that has tuples."""
    return tuple(_with_tuples(item) for item in value) if isinstance(value, list) else value
