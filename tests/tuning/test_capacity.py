"""The number of trials at once."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from zoo.errors import StudyError
from zoo.tuning.executors import capacity
from zoo.tuning.executors.capacity import AUTO, Capacity, choose_jobs, local_jobs, parse_jobs, useful_jobs

MIB = 2**20


def study(*metrics):
    return SimpleNamespace(objectives=[SimpleNamespace(metric=metric) for metric in metrics])


@pytest.fixture
def reports():
    return []


@pytest.mark.parametrize(
    ("cores", "speedup", "jobs"),
    [
        (1, None, 1),
        (2, 1.4, 2),
        (2, 2.0, 2),  # while one trial is built or saved, the other one trains
        (3, 2.9, 3),
        (4, 4.0, 2),
        (4, 1.0, 4),
        (8, 7.5, 2),
        (8, 5.0, 4),
        (16, 3.0, 16),
        (16, 9.0, 8),
        (16, None, 16),
        (16, 0.7, 16),  # slower on all cores than on one
        (16, 20.0, 2),  # a measurement on a busy machine
    ],
)
def test_number_follows_cores_and_speedup(cores, speedup, jobs):
    assert choose_jobs(cores, speedup) == jobs


@pytest.mark.parametrize(("most", "jobs"), [(2, 2), (3, 3), (7, 5), (100, 16)])
def test_number_is_limited_to_what_the_sampler_can_use(most, jobs):
    assert choose_jobs(16, None, most) == jobs


@pytest.mark.parametrize(
    ("sampler", "trials", "most"),
    [("tpe", 30, 7), ("nsga2", 4, 2), ("random", 4, math.inf), ("grid", 4, math.inf)],
)
def test_sampler_needs_results_of_earlier_trials(sampler, trials, most):
    search = SimpleNamespace(sampler=sampler, trials=trials)
    assert useful_jobs(SimpleNamespace(search=search)) == most


def test_first_trial_runs_alone_until_its_speedup_is_known(reports):
    machine = Capacity(AUTO, 16, [], reports.append, reports.append)
    assert machine.needs_speedup
    assert machine.jobs == 1
    machine.use_speedup(9.0)
    machine.use_memory(400 * MIB, 400 * MIB, 20 * 1024 * MIB)
    assert machine.jobs == 8
    assert reports == [
        "8 trials at once: 9.0 x faster on 16 cores than on 1; 2 of 16 cores and 400 MiB of 20 GiB each"
    ]


def test_few_cores_need_no_measurement(reports):
    machine = Capacity(AUTO, 2, [], reports.append, reports.append)
    assert not machine.needs_speedup
    assert machine.jobs == 2
    machine.use_memory(0, 0, None)  # not known on every system
    machine.use_memory(0, 0, None)
    assert reports == ["2 trials at once: 1 of 2 cores each"]


def test_memory_limits_the_number(reports):
    machine = Capacity(AUTO, 4, [], reports.append, reports.append)
    machine.use_speedup(None)
    machine.use_memory(100 * MIB, 100 * MIB, 900 * MIB)
    assert machine.jobs == 4
    machine.use_memory(400 * MIB, 500 * MIB, 500 * MIB)  # a larger network
    assert machine.jobs == 2
    machine.use_memory(100 * MIB, 500 * MIB, 500 * MIB)  # the largest one counts
    assert machine.jobs == 2
    machine.use_memory(4000 * MIB, 4000 * MIB, 10 * MIB)
    assert machine.jobs == 1
    assert reports == [
        "4 trials at once: 1 of 4 cores and 100 MiB of 1000 MiB each",
        "2 trials at once: memory for no more; 2 of 4 cores and 400 MiB of 1000 MiB each",
        "1 trial at once: memory for no more; 4 of 4 cores and 3.9 GiB of 3.9 GiB each",
    ]


def test_each_gpu_gets_a_trial(reports):
    machine = Capacity(AUTO, 16, ["0", "3"], reports.append, reports.append)
    assert (machine.jobs, machine.needs_speedup) == (2, False)
    machine.use_memory(0, 0, None)
    assert reports == ["2 trials at once: a GPU each"]


def test_one_core_runs_one_trial_without_a_word(reports):
    machine = Capacity(AUTO, 1, [], reports.append, reports.append)
    machine.use_memory(400 * MIB, 400 * MIB, 4000 * MIB)
    assert (machine.jobs, reports) == (1, [])


def test_given_number_is_kept_with_a_warning(reports):
    machine = Capacity(8, 2, [], reports.append, reports.append)
    for _ in range(2):
        machine.use_memory(400 * MIB, 800 * MIB, 1000 * MIB)
    assert machine.jobs == 8
    assert reports == ["memory may run out: 8 trials at once, 400 MiB of 1.8 GiB each; use --jobs 4"]


class TestParseJobs:
    @pytest.mark.parametrize(("value", "jobs"), [("auto", "auto"), ("3", 3), (3, 3)])
    def test_number_or_auto_is_accepted(self, value, jobs):
        assert parse_jobs(value) == jobs

    @pytest.mark.parametrize("value", [0, "-2", "many", "2.5", ""])
    def test_other_values_are_refused(self, value):
        with pytest.raises(StudyError, match="--jobs: expected auto or an integer >= 1, got"):
            parse_jobs(value)


class TestLocalJobs:
    def test_number_beyond_memory_is_refused(self, monkeypatch):
        monkeypatch.setattr(capacity, "available_memory", lambda: 1000 * MIB)
        assert local_jobs(15, study()) == 15
        message = r"--jobs 16: 16 trials at once need at least 1.0 GiB of memory, 1000 MiB are available"
        with pytest.raises(StudyError, match=f"{message}. Use at most --jobs 15, or --jobs auto"):
            local_jobs(16, study())

    def test_memory_that_is_unknown_limits_nothing(self, monkeypatch):
        monkeypatch.setattr(capacity, "available_memory", lambda: None)
        assert local_jobs(1000, study()) == 1000

    def test_trials_whose_latency_is_measured_run_one_by_one(self):
        assert local_jobs(AUTO, study("val_accuracy", "latency_ms")) == 1
        assert local_jobs(AUTO, study("val_accuracy")) == AUTO
