"""Checksums of the small files of the local record, and of the lines of event logs.

A JSON object ends with the key `zoo.check`, a text begins with a comment. Both stay readable for people:

    {"version": 3, "event": "started", "time": 1764460800.1, "zoo.check": "57 3886c58c"}

    # zoo.check: 33 0284d366
    5f0c7a0d4be14b0c9f3f0d8f8f6a2e11

The two values are the length in bytes and the CRC-32 of the checked part: in JSON, everything before the
key; in a text, everything after the comment. Documents without a checksum, which older versions of zoo wrote,
are read without a check.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import RecordError
from zoo.files import write_atomically

KEY = "zoo.check"  # has a dot, so it cannot be the name of a parameter
_JSON_MARK = f'"{KEY}": "'.encode()
_TEXT_MARK = f"# {KEY}: ".encode()
MISMATCH = "its checksum does not match"


def checked_json(document: Mapping[str, Any], indent: int | None = None) -> str:
    """Return a JSON object as text, with its checksum as the last key."""
    comma = "," if document else ""
    body = json.dumps(document, indent=indent)[:-1].rstrip() + comma
    body += (" " if comma else "") if indent is None else "\n" + indent * " "
    return f'{body}"{KEY}": "{_check_of(body.encode())}"' + ("}" if indent is None else "\n}")


def has_checksum(data: str | bytes) -> bool:
    """Return True if a JSON document has a checksum, correct or not."""
    return _JSON_MARK in (data.encode() if isinstance(data, str) else data)


def parse_json(data: str | bytes) -> Any:
    """Return a JSON document without its checksum; raise ValueError if it is damaged."""
    content = data.encode() if isinstance(data, str) else data
    body, mark, rest = content.rpartition(_JSON_MARK)
    if mark and rest.replace(b"\n", b"") != f'{_check_of(body)}"}}'.encode():
        raise ValueError(MISMATCH)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # including UnicodeDecodeError
        raise ValueError("it is not JSON") from error
    if document is None:
        raise ValueError("it is null")
    if mark:
        del document[KEY]
    return document


def checked_text(text: str) -> str:
    """Return `text` below a comment with its checksum."""
    body = text.rstrip("\n") + "\n"
    return f"# {KEY}: {_check_of(body.encode())}\n{body}"


def parse_text(content: bytes) -> str:
    """Return a text without its checksum; raise ValueError if it is damaged."""
    first, _, body = content.partition(b"\n")
    is_cut_off = content and _TEXT_MARK.startswith(content)  # the file ends within the comment
    if first.startswith(_TEXT_MARK) or is_cut_off:
        if first.removeprefix(_TEXT_MARK).decode("utf-8", "replace") != _check_of(body):
            raise ValueError(MISMATCH)
        content = body
    try:
        return content.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error


def write_json(path: Path, document: Mapping[str, Any], indent: int | None = None) -> None:
    """Replace `path` by a JSON object with its checksum."""
    write_atomically(path, checked_json(document, indent) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a text with its checksum."""
    write_atomically(path, checked_text(text))


def read_json(path: Path, advice: str) -> Any:
    """Return the JSON document in `path`, or None if there is no file.

    Raise RecordError if the file is damaged; the message ends with `advice`: what is lost, and what to do.
    """
    return _read(path, parse_json, advice)


def read_text(path: Path, advice: str) -> str | None:
    """Return the text in `path`, or None if there is no file. Raise RecordError as `read_json` does."""
    text: str | None = _read(path, parse_text, advice)
    return text


def _read(path: Path, parse: Any, advice: str) -> Any:
    try:
        return parse(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}). {advice}") from error
    except ValueError as error:
        raise RecordError(f"{path} is damaged: {error}. {advice}") from error


def _check_of(content: bytes) -> str:
    return f"{len(content)} {zlib.crc32(content):08x}"
