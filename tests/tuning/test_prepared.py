"""Trials whose processes are started ahead; what they do is in `executor_children.py`."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import psutil
import pytest
from test_local_executor import CONFIG, TIMEOUT_S, gone, make, next_event, pid_of

from zoo.trial import PluginConfig
from zoo.tuning.executors import local as executor_module
from zoo.tuning.executors.local import LocalExecutor

WAITS = replace(CONFIG, architecture=PluginConfig("waits_for_an_answer"))
TRAINS = replace(CONFIG, architecture=PluginConfig("sends_epochs_until_stopped"))


@pytest.fixture
def make_executor(monkeypatch):
    """make_executor(1, cores=2) -> an executor of a machine with these cores and GPUs"""
    executors = []

    def begin(jobs=1, cores=2, gpus=(), **options):
        make(1, monkeypatch.setattr)
        monkeypatch.setattr(executor_module.backend, "available_cores", lambda: cores)
        monkeypatch.setattr(executor_module.backend, "visible_gpus", lambda: list(gpus))
        executors.append(LocalExecutor(jobs, **options))
        return executors[0]

    yield begin
    executors[0].stop_all()


@pytest.fixture
def start(tmp_path):
    """start(executor, 1) -> trial 1 runs."""

    def begin(executor, number, config=WAITS):
        (tmp_path / str(number)).mkdir()
        executor.start(number, config, tmp_path, tmp_path / str(number))

    return begin


@pytest.fixture
def prepare(tmp_path):
    """prepare(executor, 1) -> the process that waits for the turn of trial 1."""

    def begin(executor, number, config=WAITS):
        executor.prepare(number, config, tmp_path, tmp_path / str(number))
        deadline = time.monotonic() + TIMEOUT_S
        while not any(texts := [log.read_text() for log in tmp_path.glob(".*.tmp")]):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return int(texts[0].split()[-1])

    return begin


def test_prepared_trial_begins_in_its_process(make_executor, start, prepare, tmp_path):
    executor = make_executor()
    pid = prepare(executor, 1)
    assert (executor.running, executor.free_slots) == ([], 1)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    start(executor, 1)
    assert pid_of(next_event(executor, 1)) == pid
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert (tmp_path / "1" / "output.log").read_text() == f"prepared by {pid}\n"


def test_prepared_trial_begins_while_a_model_is_loaded(make_executor, start, prepare, tmp_path):
    executor = make_executor()
    start(executor, 0, replace(CONFIG, architecture=PluginConfig("good")))
    (tmp_path / "0" / "hangs").touch()  # the process that loads the model
    prepare(executor, 1)
    for _ in range(2):
        next_event(executor, 0)
    assert (executor.running, executor.free_slots) == ([0], 0)
    executor.answer(0, True)
    assert executor.wait(TIMEOUT_S) == [0]
    assert executor.read(0) is None  # its final event comes when its model has been loaded
    assert (executor.running, executor.free_slots) == ([0], 1)
    start(executor, 1)
    assert (executor.running, executor.free_slots) == ([0, 1], 0)


def test_killed_prepared_process_is_replaced(make_executor, start, prepare, tmp_path):
    executor = make_executor()
    pid = prepare(executor, 1)
    guard = psutil.Process(pid).parent()
    os.kill(pid, signal.SIGKILL)
    assert gone(guard.pid)
    start(executor, 1)
    assert pid_of(next_event(executor, 1)) != pid
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_process_that_has_no_log_yet_is_replaced(make_executor, start, prepare, tmp_path):
    executor = make_executor()
    pid = prepare(executor, 1)
    (log,) = tmp_path.glob(".*.tmp")
    log.unlink()
    start(executor, 1)
    assert pid_of(next_event(executor, 1)) != pid
    assert gone(pid)


@pytest.mark.parametrize(("number", "config"), [(2, WAITS), (1, replace(WAITS, seed=9))])
def test_other_trial_ends_the_prepared_process(make_executor, start, prepare, tmp_path, number, config):
    executor = make_executor()
    pid = prepare(executor, 1)
    start(executor, number, config)
    assert pid_of(next_event(executor, number)) != pid
    assert gone(pid)
    assert [path.name for path in tmp_path.iterdir()] == [str(number)]


def test_stop_leaves_nothing_of_a_prepared_trial(make_executor, prepare, tmp_path):
    executor = make_executor()
    pid = prepare(executor, 1)
    assert executor.stop_all() == []
    assert gone(pid)
    assert not list(tmp_path.iterdir())


def test_trial_with_a_checkpoint_is_not_prepared(make_executor, tmp_path):
    executor = make_executor()
    (tmp_path / "1" / "checkpoints").mkdir(parents=True)
    executor.prepare(1, WAITS, tmp_path, tmp_path / "1")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


class TestCanPrepare:
    def begin_epochs(self, executor, start):
        """Start a trial, and read its first epoch, after which its memory is known."""
        start(executor, 0, TRAINS)
        assert not executor.can_prepare
        next_event(executor, 0)

    def test_one_trial_while_another_trains(self, make_executor, start, prepare):
        executor = make_executor()
        assert not executor.can_prepare
        self.begin_epochs(executor, start)
        assert executor.can_prepare
        prepare(executor, 1)
        assert not executor.can_prepare

    @pytest.mark.parametrize(
        "options", [{"cores": 1}, {"jobs": 2}, {"gpus": ["0"]}, {"ahead": False}, {"jobs": "auto"}]
    )
    def test_no_trial_that_would_disturb_others(self, make_executor, start, options):
        executor = make_executor(**options)
        self.begin_epochs(executor, start)
        assert not executor.can_prepare

    def test_no_trial_beyond_the_memory(self, make_executor, start, prepare, monkeypatch):
        executor = make_executor()
        start(executor, 0, TRAINS)
        pid = prepare(executor, 1)
        monkeypatch.setattr(executor_module, "available_memory", lambda: 2**10)
        next_event(executor, 0)
        assert not executor.can_prepare
        assert gone(pid)
