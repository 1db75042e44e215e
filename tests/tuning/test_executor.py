"""Trials in real processes of a real fork server; what they do is in `executor_children.py`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import executor_children
import psutil
import pytest

from zoo import process as process_module
from zoo.process import ForkServer
from zoo.trial import PluginConfig, TrialConfig
from zoo.tuning import executor as executor_module
from zoo.tuning.executor import LocalExecutor, ended

CONFIG = TrialConfig(
    dataset=PluginConfig("digits"),
    digest="d" * 64,
    validation={"fraction": 0.1, "seed": 0},
    architecture=PluginConfig("good"),
    augmentation=PluginConfig("none"),
    training={},
    objective="val_accuracy",
    direction="maximize",
    seed=0,
)

# A supervisor that is killed while its trial runs.
SUPERVISOR = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_executor import CONFIG, replace, PluginConfig, make
executor = make(2)
for number in range(2):
    folder = Path(sys.argv[2], str(number))
    folder.mkdir()
    executor.start(number, replace(CONFIG, architecture=PluginConfig("listens")), folder, folder)
for number in range(2):
    while number not in executor.wait(5): pass
    print(executor.read(number)["pid"], flush=True)
sys.stdin.read()
"""


def make(jobs, set_name=setattr):
    """An executor whose processes import nothing that is large."""
    set_name(executor_module, "fork_server", lambda: ForkServer([]))
    for name in ("run_trial_process", "evaluation_process"):
        set_name(executor_module, name, getattr(executor_children, name))
    return LocalExecutor(jobs)


@pytest.fixture
def executor(monkeypatch):
    executor = make(2, monkeypatch.setattr)
    yield executor
    executor.stop_all()


@pytest.fixture
def start(executor, tmp_path):
    """start(7, "listens") -> trial 7 runs, and this is its folder."""

    def begin(number, what):
        folder = tmp_path / f"{number:03d}"
        folder.mkdir()
        executor.start(number, replace(CONFIG, architecture=PluginConfig(what)), tmp_path, folder)
        return folder

    return begin


def next_event(executor, number):
    """The next event of one trial; others stay unread."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if number in executor.wait(timeout=1.0):
            return executor.read(number)
    raise AssertionError(f"trial {number} says nothing")


def gone(pid):
    """Whether a process that said it was finished goes; under load the kernel takes a while."""
    try:
        psutil.Process(pid).wait(timeout=60)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_trial_says_its_events_and_hears_the_answer(executor, start):
    folder = start(7, "good")
    assert (executor.running, executor.free) == ([7], 1)
    assert next_event(executor, 7)["event"] == "started"
    assert next_event(executor, 7)["event"] == "epoch"
    executor.answer(7, True)
    finished = next_event(executor, 7)
    assert (finished["state"], finished["summary"]["answer"]) == ("complete", True)
    assert (executor.running, executor.free) == ([], 2)
    assert gone(finished["summary"]["pid"])
    assert sorted((folder / "output.log").read_text().splitlines()) == [
        "said by the trial",
        "warned by the trial",
    ]


def test_a_trial_is_told_to_stop(executor, start):
    start(0, "talks_until_told")
    for epoch in (1, 2, 3):
        assert next_event(executor, 0)["epoch"] == epoch
        executor.answer(0, epoch < 3)
    assert next_event(executor, 0)["summary"]["epochs"] == 3


def test_trials_run_at_once_each_in_a_fresh_process_with_its_share_of_the_cores(executor, start):
    start(0, "good")
    start(1, "good")
    assert executor.free == 0
    shares = [next_event(executor, number)["threads"] for number in (0, 1)]
    assert shares == [str(max(1, len(os.sched_getaffinity(0)) // 2))] * 2
    pids = []
    for number in (0, 1):
        next_event(executor, number)
        executor.answer(number, True)
        pids.append(next_event(executor, number)["summary"]["pid"])
    assert len({*pids, os.getpid()}) == 3
    assert "TF_NUM_INTRAOP_THREADS" not in os.environ


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("exits", "exited with status 3"),
        ("says_and_is_killed", "killed by signal 9 (SIGKILL)"),
        ("no_such_function", "exited with status 1"),
    ],
)
def test_a_trial_that_dies_is_told_as_failed_with_how_it_died(executor, start, what, reason):
    start(0, what)
    event = next_event(executor, 0)
    if what == "says_and_is_killed":  # what it said before is not lost
        assert event["event"] == "started"
        event = next_event(executor, 0)
    assert (event["event"], event["state"], event["reason"]) == ("finished", "failed", reason)
    assert event["summary"] == {}
    assert "interrupted" not in event
    assert executor.running == []


def test_a_trial_that_is_killed_from_outside(executor, start):
    start(0, "listens")
    pid = next_event(executor, 0)["pid"]
    start(1, "talks_until_told")
    os.kill(pid, signal.SIGKILL)
    assert next_event(executor, 0)["reason"] == "killed by signal 9 (SIGKILL)"
    assert executor.running == [1]
    assert next_event(executor, 1)["epoch"] == 1  # the other goes on
    executor.answer(0, True)  # nobody is there to hear it


def test_a_trial_that_closes_the_pipe_and_stays_is_ended(executor, start, monkeypatch):
    monkeypatch.setattr(process_module.WorkerProcess.finish, "__defaults__", (0.1,))
    start(0, "closes_its_end")
    assert next_event(executor, 0)["reason"] == "killed by signal 9 (SIGKILL)"


def test_what_happens_to_the_terminal_is_not_for_the_trials(executor, start):
    """It reaches every process of the group, and so does its end; the supervisor answers them."""
    start(0, "talks_until_told")
    pid = next_event(executor, 0)["pid"]
    for signum in (signal.SIGINT, signal.SIGHUP):
        os.kill(pid, signum)
    executor.answer(0, True)
    assert next_event(executor, 0)["epoch"] == 2


def test_stopping_leaves_no_process(executor, start):
    for number in (3, 4):
        start(number, "listens")
    pids = [next_event(executor, number)["pid"] for number in (3, 4)]
    assert executor.stop_all() == [3, 4]
    assert not any(map(alive, pids))
    assert executor.running == []
    assert executor.stop_all() == []


def test_waiting_takes_no_longer_than_it_may(executor, start):
    began = time.monotonic()
    assert executor.wait(timeout=0.01) == []
    assert time.monotonic() - began < 5


def test_an_evaluation_gives_metrics_or_how_it_died(executor, tmp_path):
    model = tmp_path / "model.keras"
    log = tmp_path / "output.log"
    assert executor.evaluate(model, tmp_path, "d", log) == "killed by signal 9 (SIGKILL)"
    model.touch()
    assert executor.evaluate(model, tmp_path, "d", log)["test_accuracy"] == 0.5


def test_no_trial_outlives_a_supervisor_that_is_killed(tmp_path):
    command = [sys.executable, "-c", SUPERVISOR, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as supervisor:
        pids = [int(supervisor.stdout.readline()) for _ in range(2)]
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert {process.pid for process in family} >= set(pids)
        supervisor.kill()
    deadline = time.monotonic() + 5
    while any(alive(process.pid) for process in family):
        assert time.monotonic() < deadline, "a process of the supervisor lives on"
        time.sleep(0.02)


def test_the_event_of_a_trial_that_did_not_speak():
    event = ended("failed", "killed by signal 9 (SIGKILL)")
    assert {**event, "time": 0} == {
        "event": "finished",
        "time": 0,
        "state": "failed",
        "reason": "killed by signal 9 (SIGKILL)",
        "summary": {},
    }
    assert ended("failed", "interrupted", interrupted=True)["interrupted"] is True
