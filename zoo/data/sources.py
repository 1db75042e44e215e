"""Declaration of the files that a dataset is read from, and a fingerprint that changes when they change."""

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


def reads(files: Callable[..., Iterable[str | Path] | None]) -> Callable[[Function], Function]:
    """Declare the files that a dataset function reads: `@reads(files)` above the function.

    zoo uses the cached dataset until something changes. It calls the function again after a change of a
    declared file, a parameter, the plugin's version, or a Python file of the plugin's package and
    sub-packages. zoo compares the paths, sizes and times of the declared files; it does not read them.

    Declare every file that the dataset depends on, including a list of class names in the package.

    Args:
        files: a function that takes the parameters of the dataset as keywords and returns the paths of its
            files, and of each folder in which a new file changes the dataset; or None if the dataset depends
            on something else this time, such as a server: then zoo calls the function.
    """

    def mark(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, files)
        return function

    return mark


def declared_files(function: Callable[..., Any], parameters: Mapping[str, Any]) -> list[Path] | None:
    """Return the files that a dataset function declares; None if it declares none for these parameters."""
    files = getattr(function, _ATTRIBUTE, None)
    paths = None if files is None else files(**parameters)
    # `Path(path)` would parse a Path again, which takes longer than `stat`.
    return None if paths is None else [path if isinstance(path, Path) else Path(path) for path in paths]


def fingerprint(component: Component, parameters: Mapping[str, Any]) -> str | None:
    """Return a digest of everything that the dataset depends on; None if it declares no files."""
    from zoo.registry import component_code_digest

    paths = declared_files(component.function, parameters)
    if paths is None:
        return None
    facts = {
        "plugin": [component.distribution, component.version, component_code_digest(component)],
        "dataset": component.name,
        "parameters": dict(parameters),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in paths:
        digest.update(f"{path.absolute()}\0{_file_state(path)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _file_state(path: Path) -> str:
    """Return a text that changes with the file, even if the file's modification time is set back."""
    try:
        stat = path.stat()
    except OSError as error:  # the dataset function reports the error
        return str(error.errno)
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
