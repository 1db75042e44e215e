"""A study file as nested tables, with overrides applied and problems collected."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from zoo.errors import StudyError
from zoo.space import show
from zoo.study._source_lines import Keys, SourceLines, syntax_error

# The key that a table such as `dataset = "mnist"` has in its short form.
_SHORT_FORM = {"dataset": "name", "architecture": "name", "augmentation": "name", "objective": "metric"}


class Document:
    """A parsed study file: its tables, and the problems that were found in it so far.

    Raises:
        StudyError: the text is not TOML, or an override does not have the form TABLE.KEY=VALUE.
    """

    def __init__(self, text: str, file: str, overrides: Sequence[str]) -> None:
        try:
            self.tables = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise StudyError(syntax_error(file, text, error)) from None
        self.problems: list[str] = []
        self._lines = SourceLines(file, text)
        self._overrides: dict[str, str] = {}  # dotted key to the override as it was typed
        for override in overrides:
            self._apply(override)

    def table(self, key: str) -> dict[str, Any]:
        """Return the table `key`; {} where it is missing, or is no table, which is reported."""
        value = self.tables.get(key, {})
        if isinstance(value, dict):
            return value
        self.report((key,), f"expected a table [{key}], got {show(value)}")
        return {}

    def is_override(self, *keys: str) -> bool:
        """Return True if exactly this key was given on the command line."""
        return ".".join(keys) in self._overrides

    def report(self, keys: Keys, problem: str) -> None:
        """Add a line to `problems`: the place of the key, and the problem."""
        line = f"{self._place(keys)}: {problem}"
        self.problems.append("\\n".join(line.splitlines()))  # a key may contain a line break

    def _place(self, keys: Keys) -> str:
        dotted = ".".join(keys)
        for key, override in self._overrides.items():
            if dotted == key or dotted.startswith(key + ".") or key.startswith(dotted + "."):
                return f"--set {override}"
        return self._lines.place(keys)

    def _apply(self, override: str) -> None:
        path, equals, text = override.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            raise StudyError(f"--set {override}: expected TABLE.KEY=VALUE, such as training.epochs=3")
        table = self.tables
        for depth, key in enumerate(keys[:-1]):
            inner = table.get(key, {})
            if not isinstance(inner, dict):
                # The short form of a table keeps its value; a fixed value is replaced by a range.
                inner = {_SHORT_FORM[key]: inner} if depth == 0 and key in _SHORT_FORM else {}
            table[key] = inner
            table = inner
        table[keys[-1]] = parse_value(text)
        self._overrides[".".join(keys)] = override


def parse_value(text: str) -> Any:
    """Return the value of `text` as TOML; text that is not TOML is a string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()
    # No key of a study takes a date, but a path may look like one.
    return value if isinstance(value, bool | int | float | str | list | dict) else text.strip()
