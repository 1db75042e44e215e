"""The files that a dataset is read from: while they are unchanged, the cached dataset is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from zoo.registry import Component

Function = TypeVar("Function", bound=Callable[..., Any])

_ATTRIBUTE = "zoo_files"


def reads(files: Callable[..., Iterable[str | Path]]) -> Callable[[Function], Function]:
    """Declare the files that a dataset function reads: `@reads(files)` above the function.

    zoo then calls the function again only if one of these has changed: a declared file, a parameter, the
    plugin's version, or a Python file of the plugin's package, sub-packages included. zoo does not read the
    declared files for this: it compares their paths, sizes and times.

    Declare every other file that the dataset depends on too, such as a list of class names in the package.

    Args:
        files: takes the parameters of the dataset as keywords and returns the paths of its files; also
            those of its folders, if a file that is added there changes the dataset.
    """

    def mark(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, files)
        return function

    return mark


def fingerprint(entry: Component, parameters: Mapping[str, Any]) -> str | None:
    """Return a digest of everything that the dataset depends on; None if it does not declare its files."""
    from zoo.registry import component_code_digest

    files = getattr(entry.function, _ATTRIBUTE, None)
    if files is None:
        return None
    facts = {
        "plugin": [entry.distribution, entry.version, component_code_digest(entry)],
        "dataset": entry.name,
        "parameters": dict(parameters),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in files(**parameters):
        digest.update(f"{Path(path).absolute()}\0{_state(Path(path))}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _state(path: Path) -> str:
    """Return a text that changes when the file does, even if its modification time is set back."""
    try:
        stat = path.stat()
    except OSError as error:  # the dataset function reports it
        return str(error.errno)
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
