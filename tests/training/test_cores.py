"""The speed of a training on all cores, relative to one."""

from __future__ import annotations

import os
import threading

import pytest

from zoo.training import cores
from zoo.training.cores import VARIABLE, CoresTimed, CoreTimer, core_timer

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity of threads")


class Training:
    """A training that proceeds by `rates` (fraction of an epoch per second) on all cores, and on one."""

    def __init__(self, monkeypatch, all_cores=0.03, one_core=0.01):
        self._rates = {False: all_cores, True: one_core}
        self._fraction = self._now = 0.0
        self._is_on_one = False
        self.switches = []
        self.results = []
        monkeypatch.setattr(cores, "_restrict", self._restrict)
        monkeypatch.setattr(cores.time, "perf_counter", lambda: self._now)
        self.timer = CoreTimer(self.results.append)

    def _restrict(self, allowed):
        self._is_on_one = allowed != os.sched_getaffinity(0)
        self.switches.append(len(allowed))

    def reports(self, epoch, count):
        for _ in range(count):
            self._now += 0.5
            self._fraction += 0.5 * self._rates[self._is_on_one]
            self.timer.progress(epoch, self._fraction)

    def ends_epoch(self, epoch):
        self.timer.end_epoch(epoch)
        self._now, self._fraction = self._now + 5.0, 0.0
        assert not self._is_on_one


def test_speedup_is_measured_once_within_an_epoch(monkeypatch):
    training = Training(monkeypatch)
    training.reports(1, 20)
    (result,) = training.results
    assert result.speedup == pytest.approx(3.0)
    everything = len(os.sched_getaffinity(0))
    assert training.switches == [1, everything, 1, everything]


def test_measurement_continues_in_the_next_epoch(monkeypatch):
    training = Training(monkeypatch)
    training.reports(1, 3)
    training.ends_epoch(1)
    assert training.results == []
    training.reports(2, 4)
    (result,) = training.results
    assert result.speedup == pytest.approx(3.0)


def test_short_epochs_give_no_speedup(monkeypatch):
    training = Training(monkeypatch)
    for epoch in (1, 2, 3):
        training.reports(epoch, 1)
        training.ends_epoch(epoch)
    assert training.results == [CoresTimed(None)]


def test_every_thread_is_restricted_and_freed():
    everything, is_over, ready = os.sched_getaffinity(0), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: ready.set() or is_over.wait())
    thread.start()
    ready.wait()
    one = {max(everything)}

    def affinities():
        return [os.sched_getaffinity(one) for one in (threading.get_native_id(), thread.native_id)]

    try:
        cores._restrict(one)
        assert affinities() == [one] * 2
    finally:
        cores._restrict(everything)
    assert affinities() == [everything] * 2
    is_over.set()
    thread.join()


def test_only_a_trial_that_is_asked_measures(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert core_timer(print) is None
    monkeypatch.setenv(VARIABLE, "1")
    assert isinstance(core_timer(print), CoreTimer)
