"""Reader of study files. It reports all problems at once, one line each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.data import Dataset
from zoo.errors import PluginError, StudyError, did_you_mean
from zoo.registry import IN_MEMORY, PluginFile, Registry, merge_files, plugin_file
from zoo.space import Space, is_real, show
from zoo.study._definition import StudyDefinition
from zoo.study._document import Document
from zoo.study._objectives import Objective
from zoo.study._read_components import narrow_space, read_component_space
from zoo.study._read_metrics import MetricReader
from zoo.study._recorded import is_record, kept_copy, with_settings
from zoo.study._search import Search, integer_problem, search_problems
from zoo.training import STATED_ONLY, training_space

_TABLES = (
    *("plugins", "dataset", "objective", "validation"),
    *("architecture", "augmentation", "training", "search"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_NAME_LENGTH = 100  # a file name has at most 255 bytes, and MLflow appends to it


def name_problem(name: str) -> str:
    """Return why a study cannot be recorded under `name`; "" if it can."""
    if _NAME.fullmatch(name) and not name.endswith(".toml") and len(name) <= _MAX_NAME_LENGTH:
        return ""
    return (
        f"a study's name consists of up to {_MAX_NAME_LENGTH} letters, digits, '_', '-' and '.', begins with "
        f"a letter or digit, and does not end with .toml; got '{name}'"
    )


def parse_study(
    text: str,
    registry: Registry,
    name: str,
    file: str = "study",
    overrides: Sequence[str] = (),
    in_memory: Dataset | None = None,
    folder: Path | None = None,
    default_dataset: str | None = None,
) -> StudyDefinition:
    """Return the validated study of a study file; raise StudyError with one line per problem.

    Args:
        file: the name of the file in these lines.
        in_memory, default_dataset: as for `load_study`.
        folder: of the file; paths of plugin files are relative to it. The working folder by default.
    """
    if problem := name_problem(name):
        raise StudyError(f"{file}: {problem}; rename the file, or give a name with --name")
    document = Document(text, file, overrides)
    is_replaced = in_memory is not None and _use_dataset_in_memory(document)
    for key in document.tables:
        if key not in _TABLES:
            document.report((key,), f"no such key. {did_you_mean(key, _TABLES)}")
    registry = _with_plugin_files(document, registry, folder)
    dataset = read_component_space(document, registry, "dataset", default_dataset)
    validation = _read_validation(document)
    architecture = read_component_space(document, registry, "architecture", reserved=["training"])
    reserved = ["training", *(architecture.spaces if architecture else ())]
    augmentation = read_component_space(document, registry, "augmentation", "none", reserved)
    training = _read_training(document)
    metrics = MetricReader(document, registry)
    objectives, listed = metrics.objectives(), metrics.listed()
    search = _read_search(document, objectives)
    if document.problems or dataset is None or architecture is None or augmentation is None:
        raise StudyError("\n".join(document.problems))
    definition = StudyDefinition(
        name=name,
        text=with_settings(text, overrides, is_replaced),
        dataset=dataset.baseline(),
        dataset_component=dataset.components[dataset.baseline().name],
        validation=validation,
        architecture=architecture,
        augmentation=augmentation,
        training=training,
        objectives=objectives,
        search=search,
        metrics=metrics.components([*(one.metric for one in objectives), *listed]),
        in_memory=in_memory,
    )
    used = definition.plugin_versions()
    return replace(definition, plugin_files=tuple(one for one in registry.files if one.name in used))


def _with_plugin_files(document: Document, registry: Registry, folder: Path | None) -> Registry:
    """Return the registry with the plugin files that the study names; raise StudyError for a bad one."""
    paths = document.tables.get("plugins", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        document.report(("plugins",), f'expected a list of plugin files, ["my_net.py"], got {show(paths)}')
        return registry
    files: list[PluginFile] = []
    num_before = len(document.problems)
    for path in paths:
        try:
            files += _named_files(path, folder, registry)
        except PluginError as error:
            document.report(("plugins",), str(error))
    try:
        if len(document.problems) == num_before:
            return registry.with_files(merge_files((), files))
    except PluginError as error:
        for problem in str(error).splitlines():
            document.report(("plugins",), problem)
    raise StudyError("\n".join(document.problems))  # without the files, every name of theirs is unknown


def _named_files(path: str, folder: Path | None, registry: Registry) -> list[PluginFile]:
    """Return the plugin file at `path`; in the record of a study its copy, or [] if one was given."""
    if folder is None or not is_record(folder) or (folder / path).is_file():
        return [plugin_file(path, folder)]
    if Path(path).name in [file.name for file in registry.files]:
        return []
    return [plugin_file(kept_copy(path, folder) or path, folder)]


def _use_dataset_in_memory(document: Document) -> bool:
    """Replace the file's dataset; return True unless the file says the same."""
    if document.has_override("dataset"):
        document.report(
            ("dataset",), "the dataset is passed in Python (dataset=…); remove this setting or that argument"
        )
    before, document.tables["dataset"] = document.tables.get("dataset"), IN_MEMORY
    name = before.get("name") if isinstance(before, dict) else before
    return bool(name != IN_MEMORY)


def _read_training(document: Document) -> Space:
    """Return the parameters of `[training]`; some of them only if the study states them."""
    table = document.table("training")
    space = narrow_space(document, ("training",), training_space(), table)
    return Space([one for name, one in space.items() if name in table or name not in STATED_ONLY])


def _read_validation(document: Document) -> dict[str, Any]:
    """Return the `[validation]` settings: `fraction` or `folds`, `seed`, and `group` if it is set."""
    table = {key: value for key, value in document.table("validation").items() if key != "metrics"}
    values: dict[str, Any] = {"fraction": 0.1, "seed": 0}
    if "fraction" in table and "folds" in table:
        overrides = [key for key in ("fraction", "folds") if document.is_override("validation", key)]
        if len(overrides) != 1:
            document.report(("validation", "folds"), "expected fraction or folds, got both; remove one")
        table.pop("folds" if overrides == ["fraction"] else "fraction")
    for key, value in table.items():
        if problem := _validation_problem(key, value):
            document.report(("validation", key), problem)
        else:
            values[key] = float(value) if key == "fraction" else value
    if "folds" in values:
        del values["fraction"]
    return values


def _validation_problem(key: str, value: Any) -> str:
    if key == "fraction":
        is_share = is_real(value) and 0 < value < 1
        return "" if is_share else f"expected a number > 0 and < 1, got {show(value)}"
    if key == "folds":
        hint = "; for a single validation split, write fraction" if value == 1 else ""
        problem = integer_problem(value, 2)
        return problem and f"{problem}{hint}"
    if key == "seed":
        return integer_problem(value, 0)
    if key == "group":
        is_text = isinstance(value, str) and bool(value.strip())
        expected = "expected the name of a column, or a regular expression for names of files"
        return "" if is_text else f"{expected}, got {show(value)}"
    return f"no such key. {did_you_mean(key, ('fraction', 'folds', 'seed', 'group', 'metrics'))}"


def _read_search(document: Document, objectives: Sequence[Objective]) -> Search:
    """Return `[search]`; the default pruner of a study with several objectives is `none`.

    New objectives of the command line leave out what the file set for its own: the pruner and the target.
    """
    default = Search() if len(objectives) == 1 else Search(pruner="none")
    table = dict(document.table("search"))
    is_override = document.is_override
    has_new_objectives = is_override("objective") or is_override("objective", "metric")
    if len(objectives) > 1 and has_new_objectives and not is_override("search", "pruner"):
        table.pop("pruner", None)  # the file set the pruner for a single objective
    if has_new_objectives and not is_override("search", "target"):
        table.pop("target", None)  # a good val_accuracy is no good val_loss
    problems = search_problems(table, objectives)
    for key, problem in problems.items():
        document.report(("search", key), problem)
    return default if problems else default.with_table(table)
