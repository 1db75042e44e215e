"""The line of a key in a study file."""

from __future__ import annotations

import pytest

from zoo.study._document import Document

TEXT = """\
# a comment, then an empty line

dataset = "mnist"   # [training]
objective.direction = "minimize"

[architecture]   # and more
name = { choices = [
    ["x"],   # [training]
    "b",
] }
"quoted key" = 3
[ architecture . conv_net ]
filters = [
  16,

  [1, 2],
# [search]
]
note = \"\"\"
[search]
trials = 3
\"\"\"
[training]
epochs = { low = 1, high = 3 }
[[twice]]
key = 1
"""


def place_in(text, *keys):
    document = Document(text, "s.toml", [])
    document.report(keys, "wrong")
    return document.problems[0].removesuffix(": wrong")


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ("dataset", "s.toml:3: dataset"),
        ("objective direction", "s.toml:4: [objective] direction"),
        ("architecture", "s.toml:6: architecture"),
        ("architecture name", "s.toml:7: [architecture] name"),
        ("architecture conv_net", "s.toml:12: [architecture] conv_net"),
        ("architecture conv_net filters", "s.toml:13: [architecture.conv_net] filters"),
        ("architecture conv_net note", "s.toml:19: [architecture.conv_net] note"),
        ("training", "s.toml:23: training"),
        ("training epochs", "s.toml:24: [training] epochs"),
        ("training epochs high", "s.toml:24: [training.epochs] high"),
        ("twice key", "s.toml:26: [twice] key"),
        # A missing key has the line of its table.
        ("training momentum", "s.toml:23: [training] momentum"),
        ("search", "s.toml: search"),
        ("search trials", "s.toml: [search] trials"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_key_has_file_line_and_table(keys, place, newline):
    assert place_in(TEXT.replace("\n", newline), *keys.split()) == place


def test_quoted_key_has_its_line():
    assert place_in(TEXT, "architecture", "quoted key") == "s.toml:11: [architecture] quoted key"


def test_lines_are_counted_like_editors_do():
    text = 'note = "\u2028 and \x85"\nkey = 1\n'
    assert place_in(text, "key") == "s.toml:2: key"
