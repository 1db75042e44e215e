"""When a search ends: `[search] timeout` and `target`."""

from __future__ import annotations

import math

import pytest

from zoo.study import Objective, Search
from zoo.study._search import search_problems
from zoo.trial import EPOCH_METRICS, METRIC_BOUNDS

ACCURACY, LOSS = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")
BOTH = [ACCURACY, Objective("parameters", "minimize")]
DURATION = 'expected a duration > 0 such as "30m", "1h30m" or 90 for seconds, got '


@pytest.mark.parametrize(
    ("timeout", "shown"),
    [
        ("3 parsecs", '"3 parsecs"'),
        ("-30m", '"-30m"'),
        (0, "0"),
        (-1.5, "-1.5"),
        (math.nan, "NaN"),
        (True, "true"),
    ],
)
def test_other_timeout_is_refused(timeout, shown):
    assert search_problems({"timeout": timeout}, [ACCURACY]) == {"timeout": DURATION + shown}


@pytest.mark.parametrize(
    ("target", "objectives", "problem"),
    [
        (math.nan, [ACCURACY], "expected a number from 0 to 1, a value of val_accuracy, got NaN"),
        (99.5, [ACCURACY], "expected a number from 0 to 1, a value of val_accuracy, got 99.5"),
        ("0.9", [ACCURACY], 'expected a number from 0 to 1, a value of val_accuracy, got "0.9"'),
        (-0.1, [LOSS], "expected a number >= 0, a value of val_loss, got -0.1"),
        (math.inf, [LOSS], "expected a number >= 0, a value of val_loss, got Infinity"),
        (True, [Objective("own", "maximize")], "expected a number, a value of own, got true"),
        (0.9, BOTH, "a target needs one objective, but the study has 2; remove the key"),
    ],
)
def test_other_target_is_refused(target, objectives, problem):
    assert search_problems({"target": target}, objectives) == {"target": problem}


def test_durations_become_seconds():
    table = {"timeout": "1h30m", "target": 0.995, "trials": 3}
    assert search_problems(table, [ACCURACY]) == {}
    assert Search().with_table(table) == Search(trials=3, timeout=5400.0, target=0.995)
    assert Search().with_table({}) == Search()


def test_every_metric_of_an_epoch_has_bounds():
    assert METRIC_BOUNDS.keys() >= EPOCH_METRICS.keys()


def test_target_is_reached_by_equal_and_better_values():
    assert [ACCURACY.reaches(value, 0.9) for value in (0.89, 0.9, 0.91)] == [False, True, True]
    assert [LOSS.reaches(value, 0.9) for value in (0.89, 0.9, 0.91)] == [True, True, False]


def test_stall_timeout_is_a_duration_or_off():
    assert search_problems({"stall_timeout": "off"}, [ACCURACY]) == {}
    assert search_problems({"stall_timeout": "0s"}, [ACCURACY]) == {
        "stall_timeout": DURATION.replace("seconds,", 'seconds, or "off",') + '"0s"'
    }
    assert Search().with_table({"stall_timeout": "10m"}).stall_timeout == 600
    assert Search().with_table({"stall_timeout": "off"}).stall_timeout == float("inf")
