"""A study file as nested tables, with overrides applied, and problems collected with their lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from zoo.errors import StudyError
from zoo.space import show

Keys = tuple[str, ...]

# The key that the short form of a table sets: `dataset = "mnist"` sets `name`.
_SHORT_FORM = {"dataset": "name", "architecture": "name", "augmentation": "name", "objective": "metric"}


class Document:
    """A parsed study file: its tables, and the problems that were found in it so far."""

    def __init__(self, text: str, file: str, overrides: Sequence[str]) -> None:
        try:
            self.tables = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise StudyError(_syntax_error(file, text, error)) from None
        self.problems: list[str] = []
        self._file, self._text = file, text
        self._overrides: dict[str, str] = {}  # dotted key to the override as it was typed
        for override in overrides:
            self._apply(override)

    def table(self, key: str) -> dict[str, Any]:
        """Return the table `key`, or {} if it is missing or invalid; report an invalid one."""
        value = self.tables.get(key, {})
        if isinstance(value, dict):
            return value
        self.report((key,), f"expected a table [{key}], got {show(value)}")
        return {}

    def is_override(self, *keys: str) -> bool:
        """Return True if exactly this key was given on the command line."""
        return ".".join(keys) in self._overrides

    def has_override(self, table: str) -> bool:
        """Return True if the command line sets this table, or a key in it."""
        return any(key.partition(".")[0] == table for key in self._overrides)

    def report(self, keys: Keys, problem: str) -> None:
        """Add a line to `problems`: the location of the key, and the problem."""
        line = f"{self._location(keys)}: {problem}"
        self.problems.append("\\n".join(line.splitlines()))  # a key may contain a line break

    def _location(self, keys: Keys) -> str:
        """Return the start of an error line: `study.toml:7: [training] epochs`.

        A key that is missing has the line of its table.
        """
        dotted = ".".join(keys)
        for key, override in self._overrides.items():
            if dotted == key or dotted.startswith(key + ".") or key.startswith(dotted + "."):
                return f"--set {override}"
        *tables, last = keys
        shown = f"[{'.'.join(tables)}] {last}" if tables else last
        prefixes = (keys[:end] for end in range(len(keys), 0, -1))
        line = next((self._lines[prefix] for prefix in prefixes if prefix in self._lines), None)
        return f"{self._file}:{line}: {shown}" if line else f"{self._file}: {shown}"

    @cached_property
    def _lines(self) -> dict[Keys, int]:
        """The number of the first line of every key, at every level."""
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

    def _apply(self, override: str) -> None:
        """Set the value that `override` gives, in `tables`."""
        path, equals, text = override.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise StudyError(f"--set {override}: expected TABLE.KEY=VALUE, such as training.epochs=3")
        table = self.tables
        for depth, key in enumerate(keys[:-1]):
            inner = table.get(key, {})
            if not isinstance(inner, dict):
                # `dataset = "mnist"` becomes `dataset.name = "mnist"`; any other value is replaced.
                inner = {_SHORT_FORM[key]: inner} if depth == 0 and key in _SHORT_FORM else {}
            table[key] = inner
            table = inner
        table[keys[-1]] = parse_value(text)
        self._overrides[".".join(keys)] = override


def parse_setting(setting: str, example: str) -> tuple[str, Any]:
    """Return key and value of `KEY=VALUE`; raise StudyError, which names the `example`, for another text."""
    key, equals, text = setting.partition("=")
    if not equals:
        raise StudyError(f"--set {setting}: expected KEY=VALUE, such as {example}")
    return key.strip(), parse_value(text)


def parse_value(text: str) -> Any:
    """Return the value of `text` as TOML; text that is not TOML is a string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()
    # No key of a study takes a date, but a path may look like one.
    return value if isinstance(value, bool | int | float | str | list | dict) else text.strip()


def _syntax_error(file: str, text: str, error: Exception) -> str:
    """Return the error line about a text that is not TOML."""
    position = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    if position is None:
        return f"{file}: not TOML: {error}"
    line = position[1] or len(_split_lines(text.rstrip()))
    problem = str(error)[: position.start()]
    hint = '. Write text in quotes ("adam"), and true and false in lower case.'
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
    """Yield the keys that lead to each value, outer ones first."""
    for key, value in document.items():
        yield (*prefix, key)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]
        if isinstance(value, dict):
            yield from _paths(value, (*prefix, key))


def _split_lines(text: str) -> list[str]:
    """Split at the line ends of TOML and of editors; `str.splitlines` splits at others too."""
    return text.replace("\r\n", "\n").split("\n")
