"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        subject: what was checked: `keras`, `free space`, `study mnist_cnn` …
        is_ok: True if nothing has to be done.
        text: what was found.
        fix: what to do, as a sentence or a command; "" if `is_ok`, or if `text` has the fix.
        can_repair: `zoo doctor --repair` can fix the problem.
    """

    subject: str
    is_ok: bool
    text: str
    fix: str = ""
    can_repair: bool = False
