"""Where in a plugin's own files something happened: `zoo_x/nets.py:12`."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from zoo.errors import ZooError, one_line
from zoo.registry._plugin import raised


def top_level(module: str) -> str:
    return re.split(r"[.:\s]", module, maxsplit=1)[0]


def shown_place(path: str, package: str) -> str | None:
    """A file of the package as a path from the package on; None for any other file."""
    parts = Path(path).with_suffix("").parts
    if package not in parts:
        return None
    start = len(parts) - 1 - parts[::-1].index(package)
    return "/".join(Path(path).parts[start:])


def raised_at(error: BaseException, package: str) -> str:
    """What was raised, and the innermost line of the plugin: `KeyError: 'a' (zoo_x/nets.py:12)`."""
    # Zoo's own errors are sentences; the name of their class tells an author nothing.
    text = one_line(error) if isinstance(error, ZooError) else raised(error)
    place = _innermost(error, package)
    if isinstance(error, SyntaxError) and (file := shown_place(error.filename or "", package)):
        text, place = f"{type(error).__name__}: {error.msg}", f"{file}:{error.lineno}"
    return f"{text.removesuffix('.')} ({place})" if place else text


def _innermost(error: BaseException, package: str) -> str:
    places = [
        f"{shown}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if top_level(str(frame.f_globals.get("__name__", ""))) == package
        and (shown := shown_place(frame.f_code.co_filename, package))
    ]
    return places[-1] if places else ""
