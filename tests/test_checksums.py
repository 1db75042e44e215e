"""Checksums of JSON documents and texts."""

from __future__ import annotations

import json

import pytest

from zoo.checksums import (
    checked_json,
    checked_text,
    has_checksum,
    parse_json,
    parse_text,
    read_json,
    read_text,
    write_json,
    write_text,
)
from zoo.errors import RecordError

DOCUMENT = {"name": "größer", "zoo": {"check": '"zoo.check": "1 2"'}, "sizes": [1, 2.5, None]}


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("document", [DOCUMENT, {}])
def test_json_has_its_checksum_as_last_key(document, indent):
    text = checked_json(document, indent)
    assert list(json.loads(text)) == [*document, "zoo.check"]
    assert has_checksum(text)
    assert parse_json(text) == document


def test_documents_without_checksum_are_read():
    assert parse_json('[{"a": 1}]\n') == [{"a": 1}]
    assert parse_json(b'{"a": 1}') == {"a": 1}
    assert parse_text(b"5f0c\n") == "5f0c"
    assert parse_text(b"") == ""
    assert not has_checksum('{"a": 1}')


@pytest.mark.parametrize("indent", [None, 1])
def test_every_changed_bit_in_json_is_found(indent):
    content = checked_json({"a": 12, "b": "x"}, indent).encode()
    for position in range(content.index(b'"zoo.check') - 2):
        for bit in range(8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            with pytest.raises(ValueError, match=r"^its checksum does not match$"):
                parse_json(bytes(changed))


def test_every_shorter_file_is_found():
    content = checked_json(DOCUMENT).encode()
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"not JSON|checksum"):
            parse_json(content[:length])
    content = checked_text("one line\nand another").encode()
    for length in range(1, len(content)):
        with pytest.raises(ValueError, match="checksum"):
            parse_text(content[:length])


@pytest.mark.parametrize("content", [b'{"a": 1', b'{"a": "\xff"}', b"", b"\0" * 30])
def test_what_is_not_json_is_refused(content):
    with pytest.raises(ValueError, match=r"^it is not JSON$"):
        parse_json(content)


def test_deeply_nested_json_is_refused():
    with pytest.raises(ValueError, match="it is not JSON"):
        parse_json("[" * 100_000)


def test_null_is_refused():
    with pytest.raises(ValueError, match=r"^it is null$"):
        parse_json("null")


def test_text_that_is_not_utf_8_is_refused():
    with pytest.raises(ValueError, match=r"^it is not UTF-8$"):
        parse_text(b"5f\xff\n")


def test_text_is_below_a_comment():
    assert checked_text("5f0c").splitlines()[1:] == ["5f0c"]
    assert parse_text(checked_text("a\nb\n\n").encode()) == "a\nb"
    assert parse_text(checked_text("").encode()) == ""


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "uid"
    assert read_text(path, "") is read_json(path, "") is None
    write_text(path, "5f0c")
    assert read_text(path, "") == "5f0c"
    path.write_text(path.read_text().replace("5f", "5e"))
    with pytest.raises(RecordError) as damaged:
        read_text(path, "Restore it.")
    assert str(damaged.value) == f"{path} is damaged: its checksum does not match. Restore it."
    write_json(path, {"a": 1}, indent=1)
    assert read_json(path, "") == {"a": 1}
    with pytest.raises(RecordError, match=r"cannot be read \(Is a directory\)\. Restore it\.$"):
        read_json(tmp_path, "Restore it.")
