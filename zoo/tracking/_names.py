"""The facts about a study that MLflow gets, and the names of its tags and parameters in MLflow."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.split_facts import splits_text
from zoo.events import Finished
from zoo.study import Objective
from zoo.trial import format_value, parameter_prefix, parameter_text

if TYPE_CHECKING:
    from zoo.data.store import PreparedDataset

KIND = "zoo.kind"  # "study", "trial", or "standalone"
STUDY = "zoo.study"
UID = "zoo.uid"
TRIAL = "zoo.trial"
STATE = "zoo.state"  # `shown_state` of a final event, such as "complete" and "rejected"
REASON = "zoo.reason"
STOPPED = "zoo.stopped"  # why a complete trial has fewer epochs: "timeout", "target", "max_seconds"
CONTINUES = "zoo.continues"  # the interrupted trial that a trial continues: "trial 3 after epoch 7"
PROBLEM = "zoo.problem"  # what is missing in a run that has ended
MODEL_MISSING = "its model is not kept any more"  # the only problem that a later process cannot solve
OBJECTIVE = "zoo.objective"  # several objectives are separated by commas
DIRECTION = "zoo.direction"
FRONT = "zoo.front"  # "true" on the Pareto front
BEST = "zoo.best"  # "true" on the run of the best trial
SEARCHED = "zoo.searched"  # on the study's run: the searched parameters, most important first
NOTE = "mlflow.note.content"  # the description on the page of a run
MODEL = "zoo.model"  # on a trial's run whose model is removed
FOLD = "zoo.fold"  # the fold whose model is kept
DIGEST = "zoo.dataset.digest"
SOURCE = "zoo.dataset.source"
WARNING = "zoo.dataset.warning"
SPLITS = "zoo.dataset.splits"  # number of images in each split and in a class, and number of groups
BEST_TRIAL = "zoo.best_trial"  # on the study's run: number of the best trial, once it has test metrics
PROMOTED = "zoo.promoted"  # "true" on a registered version that is or was the champion
CONFIRMS = "zoo.confirms"  # on a run of `zoo confirm`: number of the trial that it trains again
REPEAT = "zoo.confirm.repeat"  # on the same run: the number of its seed
DEVICE = "zoo.device"
BACKEND = "zoo.backend"
PARENT = "mlflow.parentRunId"

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}  # of a run, by the trial's state

_COMPONENT_KEYS = ("dataset", "architecture", "augmentation")
_NOT_PARAMETERS = ("digest", "plugins", "inactive")  # "digest" and "plugins" are tags


@dataclass(frozen=True)
class StudyFacts:
    """A study, or a standalone run, as the tracker records it.

    Args:
        uid: unique name of the study in MLflow; if the Optuna study is deleted, a new study gets another uid.
        plugins: version by distribution, for each plugin that the study can use.
        definition: the text of the study file.
        plugin_files: text by artifact path, for each plugin file that the study can use.
        manifest: the manifest of the study.
        command: the command that the user typed.
        searched: names of the searched parameters.
        standalone_name: the name of a standalone run, which has no parent run; else "".
        repeat: the number of the seed, from 1, for runs of `zoo confirm`; else 0.
    """

    name: str
    uid: str
    objectives: Sequence[Objective]
    dataset: PreparedDataset
    plugins: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""
    plugin_files: Mapping[str, str] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    command: str = "zoo tune"
    searched: Sequence[str] = ()
    standalone_name: str = ""
    repeat: int = 0

    @property
    def is_standalone(self) -> bool:
        return bool(self.standalone_name or self.repeat)

    def run_name(self, number: int) -> str:
        """Return the name of the run of trial `number`."""
        if self.repeat:
            return confirm_name(number, self.repeat)
        return self.standalone_name or f"trial-{number:03d}"


@dataclass(frozen=True)
class StudySummary:
    """The results of a study so far.

    Args:
        text: one line for the description of the study's run.
        best: number of the best trial; None if no trial is complete.
        front: numbers of the trials on the Pareto front; empty with one objective.
        searched: names of the searched parameters, most important first.
        figures: the files of the figures.
    """

    text: str
    best: int | None = None
    front: Sequence[int] = ()
    searched: Sequence[str] = ()
    figures: Sequence[Path] = ()


def confirm_name(trial: int, repeat: int) -> str:
    """Return the name of the run in which `zoo confirm` trains a trial with its seed number `repeat`."""
    return f"confirm-{trial:03d}-{repeat}"


def common_tags(facts: StudyFacts) -> dict[str, str]:
    """Return the tags that the study's run and its trials' runs share."""
    from mlflow.utils.git_utils import get_git_commit

    user = ""
    with suppress(OSError, KeyError):  # a user in a container may have no name
        user = getpass.getuser()
    tags = {
        STUDY: facts.name,
        SOURCE: facts.dataset.source,
        WARNING: facts.dataset.warning,
        SPLITS: splits_text(facts.dataset.splits),
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


def searched_from(tags: Mapping[str, str]) -> list[str]:
    """Return the searched parameters that the tags of a study's run name, the most important first."""
    return [name for name in tags.get(SEARCHED, "").split(",") if name]


def removed_model(study: str, number: int) -> str:
    """Return the message about a model that the study does not keep."""
    return (
        f"the model of trial {number} of '{study}' was removed, because the study keeps the models of its "
        f"best trials only ([search] keep_models). `zoo train {study} --trial {number}` trains it again."
    )


def plugin_tags(plugins: Mapping[str, str]) -> dict[str, str]:
    """Return a version tag for each distribution; keys are `DISTRIBUTION` or `DISTRIBUTION:PLUGIN`."""
    return {f"zoo.plugin.{name.partition(':')[0]}": version for name, version in plugins.items()}


def flat_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a trial's configuration as MLflow parameters, one for each active value.

    `dataset`, `architecture` and `augmentation` are names; `dataset.X`, `conv_net.filters`,
    `affine.rotation`, `training.optimizer` are values. Text stays text, other values are JSON. MLflow sorts
    and draws only numbers, so a list also has `conv_net.filters.length` and its items, `conv_net.filters.1`
    …. The digest and the plugins are tags, not parameters.
    """
    inactive = set(config.get("inactive", ()))
    flat: dict[str, str] = {}
    for key, value in config.items():
        if key in _NOT_PARAMETERS:
            continue
        prefix, values = key, value
        if key in _COMPONENT_KEYS:
            flat[key] = value["name"]
            prefix = parameter_prefix(key, value["name"], config["architecture"]["name"])
            values = value["parameters"]
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


def is_item(key: str, name: str) -> bool:
    """Return True if the parameter `key` is the length or an item of the list `name`."""
    prefix, _, item = key.rpartition(".")
    return prefix == name and (item == "length" or item.isdigit())


def trial_note(config: Mapping[str, Any], facts: StudyFacts, event: Finished) -> str:
    """Return a trial's description in one line: its searched parameters, and its result."""
    flat = flat_parameters(config)
    searched = [
        f"{name} {parameter_text(from_text(flat[name]), '-')}" for name in facts.searched if name in flat
    ]
    what = ", ".join(searched) or flat.get("architecture", "configuration lost")
    if event.state != "complete":
        state = "" if event.reason.startswith(event.shown_state) else f"{event.shown_state}, "
        return shorten(f"{what}: {state}{event.reason}")
    results = {**{one.result: one.metric for one in facts.objectives}, "parameters": "parameters"}
    values = [
        f"{name} {format_value(name, event.summary[key])}"
        for key, name in results.items()
        if key in event.summary
    ]
    return shorten(f"{what}: {', '.join(values)}, epoch {event.summary.get('best_epoch', 0):.0f}")


def as_text(value: Any) -> str:
    """Return a parameter's value as MLflow stores it."""
    return value if isinstance(value, str) else json.dumps(value)


def from_text(text: str) -> Any:
    """Return the value that `as_text` wrote. Text that is valid JSON is read as JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def shorten(text: str, length: int = 4000) -> str:
    """Return `text`, cut off after `length` characters. A tag in MLflow has at most 8000."""
    return text if len(text) <= length else text[: length - 1] + "…"


def milliseconds(seconds: float) -> int:
    """Return an event's time in MLflow's unit: whole milliseconds since 1970."""
    return round(seconds * 1000)
