"""Places in a plugin's own files: `zoo_x/nets.py:12`."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from zoo.errors import ZooError, one_line


def top_level(module: str) -> str:
    """Return the package of a module or entry point: `zoo_x` of `zoo_x.nets` and `zoo_x.nets:net`."""
    return re.split(r"[.:\s]", module, maxsplit=1)[0]


def path_in_package(path: str, package: str) -> str | None:
    """Return the path of a file from the package's folder on; None if the file is not in the package."""
    parts = Path(path).with_suffix("").parts
    if package not in parts:
        return None
    start = len(parts) - 1 - parts[::-1].index(package)
    return "/".join(Path(path).parts[start:])


def source_location(error: BaseException, package: str) -> str:
    """Return the innermost line of `package` in the traceback, `zoo_x/nets.py:12`; "" if there is none.

    Args:
        package: a module, or the first part of its name: `zoo_x`, `zoo.builtin`. The path begins with the
            top-level folder: `zoo/builtin/architectures/_parts.py:12`.
    """
    lines = [
        f"{path}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if f"{frame.f_globals.get('__name__', '')}.".startswith(f"{package}.")
        and (path := path_in_package(frame.f_code.co_filename, top_level(package)))
    ]
    return lines[-1] if lines else ""


def describe_error(error: BaseException, package: str) -> str:
    """Return the error and the innermost line of the plugin: `KeyError: 'a' (zoo_x/nets.py:12)`."""
    # The class of zoo's own errors adds nothing to their text.
    text = one_line(error) if isinstance(error, ZooError) else type_and_text(error)
    location = source_location(error, package)
    if isinstance(error, SyntaxError) and (path := path_in_package(error.filename or "", package)):
        text, location = f"{type(error).__name__}: {error.msg}", f"{path}:{error.lineno}"
    return f"{text.removesuffix('.')} ({location})" if location else text


def type_and_text(error: BaseException) -> str:
    """Return the type of an error and its text, in one line."""
    text = one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
