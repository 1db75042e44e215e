"""The image files that the arguments of a command name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.data.images import is_image


def image_files(arguments: Iterable[str], listed: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Return the paths of image files, in the order of `arguments`, and a problem for each without any.

    An argument is a file, a folder, which is searched with its subfolders, a pattern that the shell has not
    expanded, such as `photos/**/*.jpg`, or `-` for the lines of `listed`. A file in a folder counts if its
    suffix or its content is that of an image; hidden ones are left out. A file that is named itself counts
    always, also if it does not exist.
    """
    files: list[str] = []
    problems: list[str] = []
    for argument in _with_lines(arguments, listed):
        path = Path(argument)
        is_pattern = not path.exists() and glob.has_magic(argument)
        matches = [argument]
        if is_pattern:
            matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  # it may be absolute
        # `photos/**` matches a folder and the files in it.
        found = list(dict.fromkeys(file for match in matches for file in _files_in(match)))
        files += found
        if not found:
            what = "no file matches this pattern" if is_pattern else "this folder has no images"
            problems.append(f"{argument}: {what}")
    return files, problems


def _with_lines(arguments: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    """Yield the arguments, with the lines of `listed` in the place of each `-`; empty lines are left out."""
    for argument in arguments:
        if argument == "-":
            yield from (line.rstrip("\r\n") for line in listed if line.strip())
        else:
            yield argument


def _files_in(path: str) -> Iterator[str]:
    """Yield the path itself, or the image files in and below a folder, sorted."""
    if not Path(path).is_dir():
        yield path
        return
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and is_image(file):
                yield str(file)
