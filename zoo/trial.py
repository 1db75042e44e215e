"""The configuration of one trial: everything that its training needs, as plain JSON.

A trial does not depend on its study, Optuna or MLflow: the same configuration trains the same
network in a local process, on a cluster and in a test.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from zoo.checksums import KEY as CHECKSUM_KEY
from zoo.space import as_tuples

# Metrics that a study can optimize, with their direction: measured by Keras in every epoch, or once per
# model. Any other metric, `val_NAME`, is registered by a plugin and measured in every epoch.
EPOCH_METRICS = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "accuracy": "maximize",
    "loss": "minimize",
}
METRIC_BOUNDS = {  # the lowest and the highest value, if known
    **dict.fromkeys(("val_loss", "loss"), (0.0, math.inf)),
    **dict.fromkeys(("val_accuracy", "accuracy", "val_balanced_accuracy", "val_macro_f1"), (0.0, 1.0)),
    **dict.fromkeys(("val_auc", "val_top5_accuracy", "val_calibration_error"), (0.0, 1.0)),
}
MODEL_METRICS = {
    "parameters": "minimize",
    "latency_ms": "minimize",
}


COUNTS = ("parameters", "best_epoch", "best_fold")  # results that are integers


def format_value(metric: str, value: float) -> str:
    """Return a result as text: `0.9812`, `12,345` for parameters, or `1.23` for milliseconds."""
    if metric in COUNTS:
        return f"{value:,.0f}"
    return f"{value:.3g}" if metric == "latency_ms" else f"{value:.4f}"


def parameter_text(value: Any, separator: str = ", ") -> str:
    """Return the value of a parameter as text: `0.001`, `32, 64`, `adam`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()  # the form of study files
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return separator.join(parameter_text(item, separator) for item in value) or "none"
    return str(value)


def trials_text(numbers: Collection[int]) -> str:
    """Return the trials with these numbers as text: `trial 3`, or `trials 3, 4`."""
    return f"trial{'' if len(numbers) == 1 else 's'} {', '.join(map(str, sorted(numbers)))}"


@dataclass(frozen=True)
class PluginConfig:
    """The name of a registered component, with a value for each of its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialConfig:
    """The complete configuration of one trial.

    Args:
        digest: SHA-256 of the dataset's content; it names the dataset's folder in the cache.
        validation: `{"fraction": 0.1, "seed": 0}` for one validation split, `{"folds": 5, "seed": 0}`
            for cross-validation. With groups, also `group` (the setting) and `group_digest` (the SHA-256 of
            the resulting groups).
        training: keyword arguments of `zoo.training.fit`.
        objective: the metric that decides which epoch is best, in `direction`.
        seed: the seed of the initial weights, the shuffling and the augmentation.
        measures: other results that the summary of the trial must contain: `latency_ms`, or a
            metric of the best epoch other than the objective.
        max_parameters: a larger network is not trained.
        plugins: version of each plugin in use, by `DISTRIBUTION:PLUGIN`; empty in records of older
            versions of zoo.
        inactive: parameters that have no effect because their `when` condition does not hold, such as
            `training.momentum` or `architecture.dropout`; empty in records of older versions of zoo.
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
    inactive: tuple[str, ...] = ()

    @property
    def folds(self) -> int:
        """Number of folds; 1 with a single validation split."""
        return count_folds(self.validation)

    @property
    def metrics(self) -> dict[str, str]:
        """The registered metrics that the trial measures, such as `{"val_auc": "auc"}`."""
        return registered_metrics((self.objective, *self.measures))

    def seed_of_fold(self, fold: int) -> int:
        """Return the seed of a fold, counted from 1; the first fold has the seed of the trial."""
        return self.seed if fold == 1 else derived_seed(f"{self.seed}/{fold}")

    def as_json(self) -> dict[str, Any]:
        """Return dicts, lists and scalars, from which `from_json` creates an equal configuration.

        `measures`, `max_parameters` and `inactive` are left out if they are empty.
        """
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        for name in ("measures", "max_parameters", "inactive"):
            if not document[name]:
                del document[name]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrialConfig:
        """Return the configuration from the result of `as_json`, with lists as tuples again.

        `document` may be the content of a `config.json`, including its checksum.
        """
        document = as_tuples({key: value for key, value in document.items() if key != CHECKSUM_KEY})
        configs = {
            name: PluginConfig(**document[name]) for name in ("dataset", "architecture", "augmentation")
        }
        return cls(**{**document, **configs})


_KEYS = {key.name for key in fields(TrialConfig)}


def parameter_prefix(kind: str, name: str, architecture: str) -> str:
    """Return what precedes the names of a component's parameters, without the dot: `conv_net`, or `dataset`.

    Args:
        kind: of the component `name`; a policy may have the same name as the trial's `architecture`. Then
            its prefix is `augmentation.NAME`, as for a name that is a key of the configuration.
    """
    if kind == "dataset":
        return kind
    is_taken = name in _KEYS or (kind == "augmentation" and name == architecture)
    return f"{kind}.{name}" if is_taken else name


def derived_seed(name: str) -> int:
    """Return a seed from 0 to 2**31 - 1 that depends only on `name`."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def registered_metrics(metrics: Iterable[str]) -> dict[str, str]:
    """Return the names under which plugins registered some of `metrics`: `{"val_auc": "auc"}`."""
    return {
        metric: metric.removeprefix("val_")
        for metric in metrics
        if metric not in EPOCH_METRICS and metric not in MODEL_METRICS
    }


def test_metric(metric: str) -> str:
    """Return the name of a metric on the test split: `test_auc` for `val_auc` and for `auc`."""
    return f"test_{metric.removeprefix('val_')}"


def count_folds(validation: Mapping[str, Any]) -> int:
    """Return the number of folds in `[validation]`; 1 with a single validation split."""
    return int(validation.get("folds", 1))
