"""The sources of a study: its data, and the commands that reproduce it."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from zoo.data import Dataset
from zoo.data.quality import without_followed_advice
from zoo.data.split_facts import splits_text
from zoo.data.splits import split_facts
from zoo.errors import shape_text
from zoo.events import Started
from zoo.record import STATE_DIR, Run
from zoo.registry import IN_MEMORY, is_file_key, kept_path, requirement_of
from zoo.report._images import strip_address
from zoo.report._record import StudyRecord
from zoo.study import split_settings

_NUM_SAMPLES = 6  # images of each class
MAX_SHOWN = 40  # classes with samples; the others are collapsed, without samples


@dataclass(frozen=True)
class ClassRow:
    name: str
    counts: list[str]
    samples: str  # URL of an image


@dataclass(frozen=True)
class Data:
    facts: list[tuple[str, str]]
    splits: list[str]
    classes: list[ClassRow]
    warning: str


def data(record: StudyRecord) -> Data:
    """Return the facts about the dataset, and samples of each class."""
    config, dataset = record.runs[0].config, record.dataset
    parameters = ", ".join(f"{key} = {json.dumps(value)}" for key, value in config.dataset.parameters.items())
    facts = [("dataset", config.dataset.name + (f" ({parameters})" if parameters else ""))]
    if dataset is None:
        facts.append(("digest", config.digest))
        return Data(
            facts, [], [], "The dataset is not in the cache any more, so there are no images to show."
        )
    splits = dataset.splits()
    cut = split_facts(record.directory.cache_dir, config.digest, dataset, config.validation)
    shape = shape_text(dataset.train.images.shape[1:])
    facts += [
        ("source", dataset.source),
        (
            "images",
            ", ".join(f"{len(split.labels):,} {name}" for name, split in splits.items()) + f", {shape}",
        ),
        ("validation", _validation_text(record)),
        ("splits", splits_text(cut)),
        ("digest", config.digest),
    ]
    weights = config.training.get("class_weight")
    warning = without_followed_advice(dataset.warning, weights, record.objectives[0].metric)
    return Data(facts, [*splits], _classes(dataset, list(splits.values())), warning)


def _validation_text(record: StudyRecord) -> str:
    validation = record.runs[0].config.validation
    groups = f", no group of {validation['group']} is divided" if "group" in validation else ""
    if record.runs[0].config.folds > 1:
        return f"{validation['folds']} folds, seed {validation['seed']}{groups}"
    if record.dataset is not None and record.dataset.validation is not None:
        return "the dataset's own split"
    share, seed = validation["fraction"], validation["seed"]
    return f"{record.num_validated or 0:,} training images ({100 * share:.0f} %), seed {seed}{groups}"


def _classes(dataset: Dataset, splits: Sequence[Any]) -> list[ClassRow]:
    labels = np.asarray(dataset.train.labels)
    counts = [np.bincount(np.asarray(split.labels), minlength=len(dataset.class_names)) for split in splits]
    rows = []
    for label, name in enumerate(dataset.class_names):
        first = np.flatnonzero(labels == label)[:_NUM_SAMPLES]
        images = [dataset.train.images[int(index)] for index in first] if label < MAX_SHOWN else []
        samples = strip_address(images) if images else ""
        rows.append(ClassRow(name, [f"{count[label]:,}" for count in counts], samples))
    return rows


@dataclass(frozen=True)
class Reproduction:
    commands: list[tuple[str, str]]  # with their purposes
    definition: str
    manifest: str
    environment: str


def reproduction(record: StudyRecord) -> Reproduction:
    """Return the commands that reproduce the study, and the files and versions that they need."""
    study = shlex.quote(record.name)
    plugins, files = record.manifest.get("plugins", {}), _plugin_files(record)
    needed = [requirement_of(name, version) for name, version in plugins.items() if name not in files]
    install = " ".join(needed)
    commands = [(f"pip install {install}", "the versions that the study used")] if install else []
    commands += [(path, "a copy of the plugin file that the study used") for path in files.values()]
    is_in_memory = record.runs[0].config.dataset.name == IN_MEMORY
    typed = [command for command in record.directory.commands() if command.startswith("zoo ")]
    if is_in_memory:
        purpose = "the search, in Python; `dataset` has the data with the digest above"
        call = _python_call("zoo.tune", record, trials=len(record.runs), overrides=_overrides(record))
        commands.append((call, purpose))
    else:
        commands += [(command, "the search") for command in typed or [_tune_command(record)]]
    if record.best is not None:
        number = record.best.number
        again = f"zoo train {study} --trial {number}{_plugin_arguments(_files_to_give(record))}"
        if is_in_memory:
            again = _python_call("zoo.train", record, trial=number)
        commands.append((again, "the best trial again, with the same seed"))
        commands.append(
            (
                f"zoo evaluate {study} --trial {number}{_plugin_arguments(files)}",
                "its scores on the test split, class by class",
            )
        )
    commands.append((f"zoo report {study}", "this page again"))
    manifest = json.dumps(record.manifest, indent=1, ensure_ascii=False) if record.manifest else ""
    return Reproduction(commands, record.directory.definition(), manifest, _environment(record.runs))


def _plugin_files(record: StudyRecord) -> dict[str, str]:
    """Return the path of the study's copy of each plugin file that its trials used, by file name."""
    best = [] if record.best is None else [record.best]  # last, so that its versions of the files win
    return {
        name: kept_path(record.directory.path, name, version).as_posix()
        for run in [*record.runs, *best]
        for key, version in run.config.plugins.items()
        if is_file_key(key) and (name := key.partition(":")[0])
    }


def _files_to_give(record: StudyRecord) -> dict[str, str]:
    """Return the plugin files that a command must name, because the study file does not."""
    named: set[str] = set()
    with suppress(ValueError):
        paths = tomllib.loads(record.directory.definition()).get("plugins", [])
        named = {PurePath(path).name for path in paths}
    return {name: path for name, path in _plugin_files(record).items() if name not in named}


def _plugin_arguments(files: Mapping[str, str]) -> str:
    return "".join(f" --plugin {shlex.quote(path)}" for path in files.values())


def _tune_command(record: StudyRecord) -> str:
    """Return a command for a search that was started in Python with `zoo.tune`."""
    settings = (part for one in _overrides(record) for part in ("--set", one))
    command = shlex.join(["zoo", "tune", record.name, "--trials", str(len(record.runs)), *settings])
    return command + _plugin_arguments(_files_to_give(record))


def _python_call(function: str, record: StudyRecord, **options: Any) -> str:
    """Return a call of `zoo.tune` or `zoo.train` with the recorded study file and a dataset in memory.

    An option that is an empty list is left out.
    """
    file = (STATE_DIR / record.name / "study.toml").as_posix()
    options["plugins"] = list(_files_to_give(record).values())
    given = {name: value for name, value in options.items() if value != []}
    values = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]
    return f'{function}("{file}", name="{record.name}", {", ".join(values)}, dataset=dataset)'


def _overrides(record: StudyRecord) -> list[str]:
    return split_settings(record.directory.definition())[1]


def _environment(runs: Sequence[Run]) -> str:
    started = [event for run in runs for event in run.directory.events() if isinstance(event, Started)]
    found = {f"{event.backend} on {event.device}" for event in started if event.backend}
    return ", ".join(sorted(found))
