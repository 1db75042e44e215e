"""Durations as users write them: `30m`, `1h30m`, `90s`, or a number of seconds."""

from __future__ import annotations

import re

from zoo.space import is_real

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_DURATION = re.compile(
    rf"(?:(?P<d>{_NUMBER})\s*d(?:ays?)?)?\s*(?:(?P<h>{_NUMBER})\s*h(?:(?:ou)?rs?)?)?\s*"
    rf"(?:(?P<m>{_NUMBER})\s*m(?:in(?:ute)?s?)?)?\s*(?:(?P<s>{_NUMBER})\s*s(?:ec(?:ond)?s?)?)?",
    re.IGNORECASE | re.ASCII,
)


def parse_duration(value: object) -> float | None:
    """Return the seconds of a duration > 0 such as "1h30m", "2 h", "90" or 90; None for any other value."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(_NUMBER, text):
            return parse_duration(float(text))
        found = _DURATION.fullmatch(text) if text else None
        if found is None:
            return None
        return parse_duration(sum(float(found[unit] or 0) * factor for unit, factor in _UNITS.items()))
    return float(value) if is_real(value) and value > 0 else None


def duration_text(seconds: float) -> str:
    """Return a duration as text for `parse_duration`: `1h30m`, `45s`, `0.5s`; fractions only below 10 s."""
    if seconds < 10:
        return f"{seconds:.2g}s"
    rest, parts = round(seconds), []
    for unit, factor in _UNITS.items():
        number, rest = divmod(rest, factor)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts)
