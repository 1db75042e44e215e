"""`zoo.progress`: every item, and to whoever listens how far they are."""

from __future__ import annotations

import pytest

import zoo
from zoo.data import reporting
from zoo.data.reporting import listening


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still until it is moved: clock[0] += seconds."""
    now = [100.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def heard():
    told = []
    with listening(lambda what, fraction: told.append((what, fraction))):
        yield told


def test_where_nobody_listens_it_only_gives_the_items(capfd):
    assert list(zoo.progress(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert list(zoo.progress(iter("ab"), "spelling", total=2)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_it_tells_the_start_the_end_and_ten_times_a_second(clock, heard):
    for _ in zoo.progress(range(100), "counting"):
        clock[0] += 0.0625
    assert heard[0] == ("counting", 0.0)
    assert heard[-1] == ("counting", 1.0)
    shares = [fraction for _, fraction in heard]
    assert shares == sorted(shares)
    assert len(heard) == 1 + 50 + 1


def test_items_without_a_length_need_a_total_or_have_no_share(clock, heard):
    for total in (None, 4):
        for _ in zoo.progress(iter(range(4)), "counting", total=total):
            clock[0] += 1
    assert [fraction for _, fraction in heard] == [None] * 5 + [1.0] + [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_total_that_is_too_low_goes_to_the_end_and_no_further(clock, heard):
    for _ in zoo.progress(iter(range(4)), "counting", total=2):
        clock[0] += 1
    assert [fraction for _, fraction in heard] == [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("items", [[], ["one"]])
def test_of_nothing_and_of_one_step_there_is_no_share(items, heard):
    assert list(zoo.progress(items, "downloading")) == items
    assert heard == [("downloading", None), ("downloading", 1.0)]


def test_an_error_comes_through_and_the_end_is_not_told(heard):
    with pytest.raises(ZeroDivisionError):
        list(zoo.progress((1 / number for number in range(3)), "dividing", total=3))
    assert heard == [("dividing", 0.0)]


def test_listeners_are_heard_one_inside_the_other():
    inner, outer = [], []
    with listening(lambda *told: outer.append(told)):
        with listening(lambda *told: inner.append(told)):
            list(zoo.progress([], "inside"))
        list(zoo.progress([], "outside"))
    assert {what for what, _ in inner} == {"inside"}
    assert {what for what, _ in outer} == {"outside"}
