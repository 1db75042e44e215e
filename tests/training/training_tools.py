"""Shared by the tests of zoo.training."""

from __future__ import annotations

from pathlib import Path

FAULTY = Path(__file__).parents[1] / "plugins" / "zoo-faulty" / "src" / "zoo_faulty" / "__init__.py"


def line_of(path, text):
    """Return the number of the line of a file that contains `text`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return 1 + next(index for index, line in enumerate(lines) if text in line)
