"""The facts about a study that MLflow gets, and the names of tags and parameters there."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.study import Objective

KIND = "zoo.kind"  # "study", "trial", or "standalone"
STUDY = "zoo.study"
UID = "zoo.uid"
TRIAL = "zoo.trial"
STATE = "zoo.state"  # "complete", "pruned", "failed"
REASON = "zoo.reason"
PROBLEM = "zoo.problem"  # what is missing in a run that has ended
MODEL_MISSING = "its model is not kept any more"  # the only problem that a later process cannot solve
OBJECTIVE = "zoo.objective"  # several are separated by commas
DIRECTION = "zoo.direction"
FRONT = "zoo.front"  # "true" on the Pareto front
FOLD = "zoo.fold"  # the fold whose model is kept
DIGEST = "zoo.dataset.digest"
SOURCE = "zoo.dataset.source"
WARNING = "zoo.dataset.warning"
CHAMPION = "zoo.champion"  # on the study's run: number of the best trial, once it has test metrics
DEVICE = "zoo.device"
BACKEND = "zoo.backend"
PARENT = "mlflow.parentRunId"

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}  # of a run, by the trial's state

_COMPONENT_KEYS = ("dataset", "architecture", "augmentation")
_NOT_PARAMETERS = ("digest", "plugins", "inactive")  # the first two are tags


@dataclass(frozen=True)
class StudyFacts:
    """A study, or a standalone run, as the tracker records it.

    Args:
        uid: unique name of the study in MLflow; if its Optuna study is deleted, a new study has another.
        digest, source, warning: of the dataset.
        image_shape: `(height, width, channels)` of the raw pixels 0–255 that a model takes.
        num_classes: a model returns probabilities `(batch, num_classes)`.
        plugins: version by distribution, for every plugin that the study can use.
        definition: the study file's text.
        manifest: what must be equal for trials to be comparable.
        command: what the user typed.
        standalone_name: the run's name, for a standalone run, which has no parent run; else "".
    """

    name: str
    uid: str
    objectives: Sequence[Objective]
    digest: str
    source: str
    image_shape: tuple[int, int, int]
    num_classes: int
    warning: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    command: str = "zoo tune"
    standalone_name: str = ""


def common_tags(facts: StudyFacts) -> dict[str, str]:
    """Return the tags that the study's run and its trials' runs share."""
    from mlflow.utils.git_utils import get_git_commit

    user = ""
    with suppress(OSError, KeyError):  # a container's user may have no name
        user = getpass.getuser()
    tags = {
        STUDY: facts.name,
        SOURCE: facts.source,
        WARNING: facts.warning,
        "mlflow.user": user,
        "mlflow.source.name": facts.command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": get_git_commit(str(Path.cwd())) or "",
    }
    return {key: shorten(value) for key, value in tags.items() if value}


def objectives_from(tags: Mapping[str, str]) -> list[Objective]:
    """Return the objectives that the tags of a study's run name."""
    pairs = zip(tags[OBJECTIVE].split(","), tags[DIRECTION].split(","), strict=True)
    return [Objective(metric, direction) for metric, direction in pairs]


def plugin_tags(plugins: Mapping[str, str]) -> dict[str, str]:
    """Return a version tag per distribution; keys are `DISTRIBUTION` or `DISTRIBUTION:PLUGIN`."""
    return {f"zoo.plugin.{name.partition(':')[0]}": version for name, version in plugins.items()}


def flat_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a trial's configuration as MLflow parameters, one for each active value.

    `dataset`, `architecture` and `augmentation` are the names; `dataset.X`, `conv_net.filters`,
    `affine.rotation`, `training.optimizer` are the values. Text stays text, other values are JSON. MLflow
    sorts and draws numbers only, so a list also has `conv_net.filters.length` and its items,
    `conv_net.filters.1` …. The digest and the plugins are tags, not parameters.
    """
    inactive = set(config.get("inactive", ()))
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key in _NOT_PARAMETERS:
            continue
        prefix, values = key, value
        if key in _COMPONENT_KEYS:
            flat[key] = value["name"]
            prefix, values = _prefix(key, config), value["parameters"]
        if isinstance(values, Mapping):
            for name, part in values.items():
                if f"{key}.{name}" not in inactive:
                    flat |= _with_items(f"{prefix}.{name}", part)
        else:
            flat[key] = as_text(values)
    return flat


def _with_items(name: str, value: Any) -> dict[str, str]:
    """Return a parameter; for a list of scalars, also its length and its items, counted from 1."""
    flat = {name: as_text(value)}
    is_list = isinstance(value, list | tuple)
    if is_list and not any(isinstance(item, list | tuple | Mapping) for item in value):
        flat[f"{name}.length"] = as_text(len(value))
        flat |= {f"{name}.{position}": as_text(item) for position, item in enumerate(value, start=1)}
    return flat


def _prefix(kind: str, config: Mapping[str, Any]) -> str:
    """Return the prefix of a component's parameters: its name, or `KIND.NAME` if that name is taken."""
    name = str(config[kind]["name"])
    if kind == "dataset":
        return kind
    is_taken = name in config or (kind == "augmentation" and name == config["architecture"]["name"])
    return f"{kind}.{name}" if is_taken else name


def as_text(value: Any) -> str:
    """Return a parameter's value as MLflow stores it."""
    return value if isinstance(value, str) else json.dumps(value)


def from_text(text: str) -> Any:
    """Return the value that `as_text` wrote. Text that is valid JSON is read as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def shorten(text: str, length: int = 4000) -> str:
    """Return `text`, cut off after `length` characters. A tag in MLflow has at most 8000."""
    return text if len(text) <= length else text[: length - 1] + "…"


def milliseconds(seconds: float) -> int:
    """Return an event's time in MLflow's unit: whole milliseconds since 1970."""
    return round(seconds * 1000)
