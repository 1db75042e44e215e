"""What zoo's entries in MLflow are called: tags, parameters, and the unique name of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.study import Objective

KIND = "zoo.kind"  # "study", "trial", or "training": one outside the search
STUDY = "zoo.study"
UID = "zoo.uid"
TRIAL = "zoo.trial"
STATE = "zoo.state"  # "complete", "pruned", "failed"
REASON = "zoo.reason"
PROBLEM = "zoo.problem"  # the run was ended although something of it could not be recorded
MODEL_GONE = "its model is not kept any more"  # a problem that no later attempt puts right
OBJECTIVE = "zoo.objective"  # of several all, with commas between them
DIRECTION = "zoo.direction"
FRONT = "zoo.front"  # "true": no other trial is as good in every objective, and better in one
FOLD = "zoo.fold"  # the fold whose model is kept
DIGEST = "zoo.dataset.digest"
SOURCE = "zoo.dataset.source"
WARNING = "zoo.dataset.warning"
CHAMPION = "zoo.champion"  # on the study's run: the best trial, once it was scored on the test split
DEVICE = "zoo.device"
BACKEND = "zoo.backend"
PARENT = "mlflow.parentRunId"

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}

_NAMED = ("dataset", "architecture", "augmentation")
_TAGS = ("digest", "plugins")
_LONGEST_TAG = 4000  # characters; MLflow keeps 8000


def trial_uid(study_uid: str, trial: int) -> str:
    """The name by which a trial's run is found again, in this life of the study and no other."""
    return f"{study_uid}-{trial}"


def run_name(trial: int) -> str:
    return f"trial-{trial:03d}"


def objective_tags(objectives: Sequence[Objective]) -> dict[str, str]:
    """What a study's run says of its objectives; `objectives_of` reads it back."""
    return {
        OBJECTIVE: ",".join(objective.metric for objective in objectives),
        DIRECTION: ",".join(objective.direction for objective in objectives),
    }


def objectives_of(tags: Mapping[str, str]) -> list[Objective]:
    """The objectives that the tags of a study's run name."""
    pairs = zip(tags[OBJECTIVE].split(","), tags[DIRECTION].split(","), strict=True)
    return [Objective(metric, direction) for metric, direction in pairs]


def of_fold(fold: int, metric: str) -> str:
    """What a metric of one fold is called: MLflow draws those of a fold together."""
    return f"fold-{fold}/{metric}"


def digest_of(config: Mapping[str, Any]) -> str:
    """The dataset's full digest, or "" where the configuration names none."""
    return str(config.get("digest") or config.get("dataset", {}).get("digest", ""))


def plugin_tags(plugins: Mapping[str, str]) -> dict[str, str]:
    """The version of every distribution, whether or not its plugins are named: `zoo.plugin.zoo-resnet`."""
    return {f"zoo.plugin.{name.partition(':')[0]}": version for name, version in plugins.items()}


def flat_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """A trial's configuration as MLflow parameters: one entry for every resolved value.

    `dataset`, `architecture` and `augmentation` hold the names; `dataset.X`, `conv_net.filters`,
    `affine.rotation`, `training.optimizer` the values. Text stays text, anything else is JSON.
    The digest and the plugins are tags, not parameters.
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key in _NAMED:
            flat[key] = value["name"]
            prefix = _prefix(key, config)
            flat.update({f"{prefix}.{name}": as_text(part) for name, part in value["parameters"].items()})
        elif key in _TAGS:
            continue
        elif isinstance(value, Mapping):
            flat.update({f"{key}.{name}": as_text(part) for name, part in value.items()})
        else:
            flat[key] = as_text(value)
    return flat


def _prefix(kind: str, config: Mapping[str, Any]) -> str:
    """The plugin's own name, except where something else already begins with it."""
    name = str(config[kind]["name"])
    if kind == "dataset":
        return kind
    taken = name in config or (kind == "augmentation" and name == config["architecture"]["name"])
    return f"{kind}.{name}" if taken else name


def as_text(value: Any) -> str:
    """A parameter's value as MLflow holds it."""
    return value if isinstance(value, str) else json.dumps(value)


def from_text(text: str) -> Any:
    """What `as_text` was given; text that happens to be JSON comes back as what it says."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def shortened(text: str) -> str:
    """Fit for a tag."""
    return text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 1] + "…"


def milliseconds(seconds: float) -> int:
    """An event's time as MLflow counts it: whole milliseconds since 1970."""
    return round(seconds * 1000)
