"""`zoo.progress`: it yields every item and reports the fraction done to a listener."""

from __future__ import annotations

import pytest

import zoo
from zoo.data import reporting
from zoo.data.reporting import report_to


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves: clock[0] += seconds."""
    now = [100.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def reports():
    received = []
    with report_to(lambda what, fraction: received.append((what, fraction))):
        yield received


def test_without_listener_nothing_is_shown(capfd):
    assert list(zoo.progress(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert list(zoo.progress(iter("ab"), "spelling", total=2)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_start_end_and_ten_reports_a_second(clock, reports):
    for _ in zoo.progress(range(100), "counting"):
        clock[0] += 0.0625
    assert reports[0] == ("counting", 0.0)
    assert reports[-1] == ("counting", 1.0)
    shares = [fraction for _, fraction in reports]
    assert shares == sorted(shares)
    assert len(reports) == 1 + 50 + 1


def test_items_without_length_need_a_total(clock, reports):
    for total in (None, 4):
        for _ in zoo.progress(iter(range(4)), "counting", total=total):
            clock[0] += 1
    assert [fraction for _, fraction in reports] == [None] * 5 + [1.0] + [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_fraction_stops_at_one(clock, reports):
    for _ in zoo.progress(iter(range(4)), "counting", total=2):
        clock[0] += 1
    assert [fraction for _, fraction in reports] == [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("items", [[], ["one"]])
def test_single_step_has_no_fraction(items, reports):
    assert list(zoo.progress(items, "downloading")) == items
    assert reports == [("downloading", None), ("downloading", 1.0)]


def test_after_an_error_the_end_is_not_reported(reports):
    with pytest.raises(ZeroDivisionError):
        list(zoo.progress((1 / number for number in range(3)), "dividing", total=3))
    assert reports == [("dividing", 0.0)]


def test_inner_listener_replaces_the_outer():
    inner, outer = [], []
    with report_to(lambda *report: outer.append(report)):
        with report_to(lambda *report: inner.append(report)):
            list(zoo.progress([], "inside"))
        list(zoo.progress([], "outside"))
    assert {what for what, _ in inner} == {"inside"}
    assert {what for what, _ in outer} == {"outside"}
