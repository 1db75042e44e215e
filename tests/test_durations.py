"""Durations that people write."""

from __future__ import annotations

import math

import pytest

from zoo.durations import duration_text, parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30m", 1800),
        ("1h30m", 5400),
        ("90s", 90),
        ("2 h", 7200),
        ("1d 2h 3m 4s", 93784),
        ("1.5h", 5400),
        ("2 hours 5 min", 7500),
        ("1 hr 10 mins 5 secs", 4205),
        ("2hrs 1 minute 1 second", 7261),
        ("1H", 3600),
        ("90", 90),
        (".5", 0.5),
        (90, 90),
        (0.25, 0.25),
    ],
)
def test_duration_is_read(value, seconds):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("3 parsecs", "", " ", "m", "30m1h", "1m1m", "-30m", "-5", "0", "0s", "1e3", "nan", "1:30", "٣m"),
        *("9" * 400 + "s", 0, -1, math.nan, math.inf, True, None, [30], 10**400),
    ],
)
def test_other_values_are_refused(value):
    assert parse_duration(value) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1800, "30m"),
        (5400, "1h30m"),
        (90, "1m30s"),
        (7200, "2h"),
        (90061, "1d1h1m1s"),
        (0.5, "0.5s"),
        (59.7, "1m"),
    ],
)
def test_duration_is_written_as_it_is_read(seconds, text):
    assert duration_text(seconds) == text
    assert parse_duration(text) == pytest.approx(seconds, rel=0.01)
