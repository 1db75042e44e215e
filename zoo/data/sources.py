"""The files a dataset is read from: as long as they stay as they were, it is not read again."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.errors import one_line

if TYPE_CHECKING:
    from zoo.registry import Component

Function = TypeVar("Function", bound=Callable[..., Any])

_ATTRIBUTE = "zoo_files"


def reads(files: Callable[..., Iterable[str | Path]]) -> Callable[[Function], Function]:
    """Says of a dataset function which files it reads: `@reads(files)` above it.

    zoo then takes what it prepared before, unless a file, a parameter, the plugin's version or its
    code has changed. A file counts as changed when its path, size or one of its
    times did, so nothing but the list is read.

    Args:
        files: takes the dataset's own parameters, as keywords, and gives the path of every file
            (and of every folder, where an empty one matters) that decides what the dataset is.
    """

    def mark(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, files)
        return function

    return mark


def fingerprint(entry: Component, parameters: Mapping[str, Any]) -> str | None:
    """A digest that is the same only if reading the dataset again would give the same.

    None where the dataset does not say what it reads.
    """
    files = getattr(entry.function, _ATTRIBUTE, None)
    if files is None:
        return None
    facts = {
        "plugin": [entry.distribution, entry.version, _code_digest(entry.function)],
        "dataset": entry.name,
        "parameters": dict(parameters),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in files(**parameters):
        digest.update(f"{Path(path).absolute()}\0{_state(Path(path))}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _state(path: Path) -> str:
    """What changes when a file does; its last time cannot be set back, as the other can."""
    try:
        stat = path.stat()
    except OSError as error:  # for the dataset to tell
        return str(error.errno)
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _code_digest(function: Callable[..., Any]) -> str:
    """Of the text of its module, or of its package: while it is written, its version stays the same."""
    function = inspect.unwrap(function)
    try:
        module = Path(inspect.getsourcefile(function) or "")
        files = sorted(module.parent.glob("*.py")) if function.__globals__.get("__package__") else [module]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    except (OSError, TypeError) as error:  # it was typed into a notebook
        return one_line(error)
