"""Where a key of a study came from: a line of the file, or an override on the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from zoo.errors import StudyError

# What the short form `dataset = "mnist"` of a table says.
_SHORT_FOR = {"dataset": "name", "architecture": "name", "augmentation": "name", "objective": "metric"}


class Places:
    """Where in the file a key stands, for error lines."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self.overridden: dict[str, str] = {}

    def of(self, *keys: str) -> str:
        """The start of an error line about a key: `study.toml:7: [training] epochs`."""
        dotted = ".".join(keys)
        for given, override in self.overridden.items():
            if dotted == given or dotted.startswith(given + ".") or given.startswith(dotted + "."):
                return f"--set {override}"
        *tables, last = keys
        shown = f"[{'.'.join(tables)}] {last}" if tables else last
        line = self._line(keys)
        return f"{self._file}:{line}: {shown}" if line else f"{self._file}: {shown}"

    def is_override(self, *keys: str) -> bool:
        """Whether this very key was given on the command line."""
        return ".".join(keys) in self.overridden

    def _line(self, keys: tuple[str, ...]) -> int | None:
        """The line of a key; of what is missing, that of the table in which it is."""
        known = (self._lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in self._lines)
        return next(known, None)

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        """The first line of every key, however deep."""
        lines: dict[tuple[str, ...], int] = {}
        header: tuple[str, ...] = ()
        for number, statement in _statements(self._text):
            paths = list(_paths(tomllib.loads(statement)))
            if statement.lstrip().startswith("["):
                header = paths[-1]
                found = [header[: depth + 1] for depth in range(len(header))]
            else:
                found = [(*header, *path) for path in paths]
            for keys in found:
                lines.setdefault(keys, number)
        return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Every header and every `key = value` of a TOML text, with its first line; a value may take several."""
    begun, first = "", 1
    for number, line in enumerate(_lines_of(text), start=1):
        begun, first = (f"{begun}\n{line}", first) if begun else (line, number)
        try:
            tomllib.loads(begun)
        except tomllib.TOMLDecodeError:
            continue  # a value that goes on in the next line
        if begun.strip():
            yield first, begun
        begun = ""


def _paths(document: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        yield (*prefix, key)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]
        if isinstance(value, dict):
            yield from _paths(value, (*prefix, key))


def _lines_of(text: str) -> list[str]:
    """The lines as TOML and editors count them, which is not how `str.splitlines` does."""
    return text.replace("\r\n", "\n").split("\n")


def syntax_error(file: str, text: str, error: Exception) -> str:
    """The error line about a text that is not TOML."""
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    if place is None:
        return f"{file}: not TOML: {error}"
    line = place[1] or len(_lines_of(text.rstrip()))
    said = str(error)[: place.start()]
    hint = ' (text needs quotes: "adam"; true and false are small)' if said == "Invalid value" else ""
    return f"{file}:{line}: not TOML: {said}{hint}"


def override_value(document: dict[str, Any], override: str, places: Places) -> None:
    """`training.epochs=3` into the document; a value that is not TOML is taken as a string.

    Raises:
        StudyError: it is not of that form.
    """
    path, equals, text = override.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        raise StudyError(f"--set {override}: expected TABLE.KEY=VALUE, such as training.epochs=3")
    table = document
    for depth, key in enumerate(keys[:-1]):
        inner = table.get(key, {})
        if not isinstance(inner, dict):
            # The short form of a table keeps what it says; a pinned value gives way to a range.
            inner = {_SHORT_FOR[key]: inner} if depth == 0 and key in _SHORT_FOR else {}
        table[key] = inner
        table = inner
    table[keys[-1]] = parse_value(text)
    places.overridden[".".join(keys)] = override


def parse_value(text: str) -> Any:
    """The value that `text` is in TOML; what is not TOML is a string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()
    # Nothing in a study is a date; a path may look like one.
    return value if isinstance(value, bool | int | float | str | list | dict) else text.strip()
