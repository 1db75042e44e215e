"""The image files that the arguments of a command name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.data import is_image, natural_key
from zoo.files import is_special


def image_files(arguments: Iterable[str], listed: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Return the image files that `arguments` name, in order, and a problem for each argument without images.

    Args:
        arguments: files, also missing ones; folders, searched with their subfolders for files with the suffix
            or content of an image, except hidden ones; patterns that the shell has not expanded, such as
            `photos/**/*.jpg`; and `-` for the lines of `listed`.
        listed: more arguments, one per line.
    """
    files: list[str] = []
    problems: list[str] = []
    for argument in _with_lines(arguments, listed):
        path = Path(argument)
        is_pattern = not path.exists() and glob.has_magic(argument)
        matches = [argument]
        if is_pattern:
            matches = sorted(_expand(argument), key=natural_key)
        # `photos/**` matches a folder and the files in it.
        found = list(dict.fromkeys(file for match in matches for file in _files_in(match)))
        special = [file for file in found if is_special(Path(file)) and file != argument]
        problems += [f"{file}: a pipe, a socket or a device, so it is not read" for file in special]
        files += [file for file in found if file not in special]
        if not found:
            what = "no file matches this pattern" if is_pattern else "this folder has no images"
            problems.append(f"{argument}: {what}")
    return files, problems


def _with_lines(arguments: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    """Yield the arguments, with each `-` replaced by the lines of `listed` that are not empty."""
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\r\n") for line in listed if line.strip())
        else:
            yield argument


def _expand(pattern: str) -> Iterator[str]:
    """Yield the paths that match a pattern; `**` follows no links, because links may form a cycle."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from glob.glob(pattern)  # noqa: PTH207  # the pattern may be absolute
        return
    at = parts.index("**")
    for root in glob.glob(str(Path(*parts[:at]))) if at else ["."]:  # noqa: PTH207
        if at + 1 == len(parts):
            yield root
            continue
        for folder, subfolders, _ in os.walk(root):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            yield from _expand(str(Path(glob.escape(folder), *parts[at + 1 :])))


def _files_in(path: str) -> Iterator[str]:
    """Yield the path of a file, or of the image files in and below a folder, in natural order."""
    if not Path(path).is_dir():
        yield path
        return
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted((name for name in subfolders if not name.startswith(".")), key=natural_key)
        for name in sorted(names, key=natural_key):
            file = Path(folder, name)
            if not name.startswith(".") and (is_special(file) or is_image(file)):
                yield str(file)
