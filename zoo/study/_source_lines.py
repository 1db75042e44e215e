"""The line of every key in a study file, for error messages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

Keys = tuple[str, ...]


class SourceLines:
    """The text of a study file, with the line of every key."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text

    def place(self, keys: Keys) -> str:
        """Return the start of an error line: `study.toml:7: [training] epochs`.

        A key that is missing has the line of its table.
        """
        *tables, last = keys
        shown = f"[{'.'.join(tables)}] {last}" if tables else last
        prefixes = (keys[:end] for end in range(len(keys), 0, -1))
        line = next((self._lines[prefix] for prefix in prefixes if prefix in self._lines), None)
        return f"{self._file}:{line}: {shown}" if line else f"{self._file}: {shown}"

    @cached_property
    def _lines(self) -> dict[Keys, int]:
        """The first line of every key, at every level."""
        lines: dict[Keys, int] = {}
        table: Keys = ()
        for number, statement in _statements(self._text):
            paths = list(_paths(tomllib.loads(statement)))
            if statement.lstrip().startswith("["):
                table = paths[-1]
                paths = [table[: depth + 1] for depth in range(len(table))]
            else:
                paths = [(*table, *path) for path in paths]
            for path in paths:
                lines.setdefault(path, number)
        return lines


def syntax_error(file: str, text: str, error: Exception) -> str:
    """Return the error line about a text that is not TOML."""
    position = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    if position is None:
        return f"{file}: not TOML: {error}"
    line = position[1] or len(_split_lines(text.rstrip()))
    problem = str(error)[: position.start()]
    hint = ' (write text in quotes, "adam", and true and false in lower case)'
    return f"{file}:{line}: not TOML: {problem}{hint if problem == 'Invalid value' else ''}"


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield every header and every `key = value` with its first line; a value may span several lines."""
    statement, first = "", 1
    for number, line in enumerate(_split_lines(text), start=1):
        statement, first = (f"{statement}\n{line}", first) if statement else (line, number)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # the value continues in the next line
        if statement.strip():
            yield first, statement
        statement = ""


def _paths(document: dict[str, Any], prefix: Keys = ()) -> Iterator[Keys]:
    for key, value in document.items():
        yield (*prefix, key)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]
        if isinstance(value, dict):
            yield from _paths(value, (*prefix, key))


def _split_lines(text: str) -> list[str]:
    """Split at the line ends of TOML and of editors; `str.splitlines` knows several more."""
    return text.replace("\r\n", "\n").split("\n")
