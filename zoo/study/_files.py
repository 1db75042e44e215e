"""The files that a study's dataset reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import StudyError, ZooError, one_line
from zoo.registry import Component
from zoo.study._definition import StudyDefinition


def missing_files(component: Component, parameters: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that a dataset reads and that do not exist.

    A dataset declares its files with `zoo.reads`; for one that does not, the list is empty. The function
    that the dataset declares may raise, as those of zoo's own datasets do about a missing file.
    """
    files = getattr(component.function, "zoo_files", None)  # set by zoo.reads
    return [] if files is None else [Path(file) for file in files(**parameters) if not Path(file).exists()]


def check_files(definition: StudyDefinition) -> None:
    """Raise StudyError if the study's dataset reads a file that does not exist."""
    component = definition.dataset_entry
    prefix = f"study '{definition.name}': dataset '{component.name}'"
    try:
        missing = missing_files(component, definition.dataset.parameters)
    except Exception as error:  # a plugin's function may raise anything
        kind = "" if isinstance(error, ZooError) else f"{component.origin}: {type(error).__name__}: "
        raise StudyError(f"{prefix}: {kind}{one_line(error)}") from None
    if missing:
        raise StudyError("\n".join(f"{prefix}: there is no file {path}" for path in missing))
