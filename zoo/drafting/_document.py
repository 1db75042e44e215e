"""The text of a study file: tables of keys and values, with the reasons for the values as comments."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import ZooError

WIDTH = 110


@dataclass
class Table:
    """A table of a study file; `comment` becomes the text above the table."""

    name: str
    comment: str = ""
    lines: list[tuple[str, Any, str]] = field(default_factory=list)  # key, value, reason

    def set(self, key: str, value: Any, reason: str = "") -> None:
        self.lines.append((key, value, reason))


def render(title: Iterable[str], tables: Iterable[Table]) -> str:
    """Return the text of a study file; raise ZooError for a value that TOML cannot represent."""
    parts = ["\n".join(f"# {_printable(line)}".rstrip() for line in title)]
    for table in tables:
        lines = [*_comment(table.comment), *([f"[{table.name}]"] if table.name else [])]
        for key, value, reason in table.lines:
            setting = f"{key} = {toml(value)}"
            if reason and len(setting) + len(reason) + 3 > WIDTH:
                lines += [*_comment(reason), setting]
            else:
                lines.append(f"{setting} # {_printable(reason)}" if reason else setting)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def toml(value: Any) -> str:
    """Return a value as TOML; a mapping is an inline table."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ZooError(
                f"{value!r} is not valid Unicode, so no study file can contain it. Rename the file or folder."
            ) from None
    # JSON's strings, booleans and numbers are valid in TOML, except for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(_printable(text), WIDTH - 2, break_on_hyphens=False)]


def _printable(text: str) -> str:
    """Return the text without control characters, which TOML does not allow in comments."""
    return "".join(character if character.isprintable() else "�" for character in text)
