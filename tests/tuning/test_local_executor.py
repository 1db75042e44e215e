"""Trials in real processes of a real fork server; what they do is in `executor_children.py`."""

from __future__ import annotations

import os
import re
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
from zoo.events import EpochEnd, Finished, Started
from zoo.logs import cap_log
from zoo.process import ForkServer
from zoo.stalls import stall_timeout
from zoo.trial import PluginConfig, TrialConfig
from zoo.tuning.executors import local as executor_module
from zoo.tuning.executors.local import LocalExecutor

TIMEOUT_S = 240.0  # only a test that would hang waits so long

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
from test_local_executor import CONFIG, replace, PluginConfig, make, pid_of
executor = make(2)
for number in range(2):
    folder = Path(sys.argv[2], str(number))
    folder.mkdir()
    executor.start(number, replace(CONFIG, architecture=PluginConfig("waits_for_an_answer")), folder, folder)
for number in range(2):
    while number not in executor.wait(5): pass
    print(pid_of(executor.read(number)), flush=True)
sys.stdin.read()
"""

STOPPED_SUPERVISOR = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_local_executor import CONFIG, replace, PluginConfig, make, pid_of, stall_timeout
executor = make(1)
folder = Path(sys.argv[2])
executor.start(0, replace(CONFIG, architecture=PluginConfig("sleeps")), folder, folder)
while 0 not in executor.wait(5): pass
print(os.getpid(), pid_of(executor.read(0)), flush=True)
with stall_timeout(10.0):
    while 0 not in executor.wait(1) or (event := executor.read(0)) is None: pass
    print(type(event).__name__, event.state, flush=True)
    sys.stdin.read()
"""


def make(jobs, set_name=setattr):
    """An executor whose processes import nothing that is large."""
    set_name(executor_module, "fork_server", lambda: ForkServer([]))
    set_name(executor_module, "run_trial_process", executor_children.run_trial_process)
    set_name(executor_module, "call_process", executor_children.call_process)
    return LocalExecutor(jobs)


@pytest.fixture
def executor(monkeypatch):
    executor = make(2, monkeypatch.setattr)
    yield executor
    executor.stop_all()


@pytest.fixture
def automatic(monkeypatch):
    """automatic(16) -> an executor that chooses the number of trials on 16 cores, and its reports"""
    executors = []

    def begin(cores):
        reports = []
        make(1, monkeypatch.setattr)
        monkeypatch.setattr(executor_module.backend, "available_cores", lambda: cores)
        monkeypatch.setattr(executor_module.backend, "visible_gpus", lambda: [])
        executors.append(LocalExecutor("auto", reports.append))
        return executors[0], reports

    yield begin
    executors[0].stop_all()


@pytest.fixture
def start(executor, tmp_path):
    """start(7, "waits_for_an_answer") -> trial 7 runs, and this is its folder."""

    def begin(number, what, num_left=None):
        folder = tmp_path / f"{number:03d}"
        folder.mkdir()
        executor.start(number, replace(CONFIG, architecture=PluginConfig(what)), tmp_path, folder, num_left)
        return folder

    return begin


def next_event(executor, number):
    """The next event of one trial; others stay unread."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if number in executor.wait(timeout=1.0) and (event := executor.read(number)) is not None:
            return event
    raise AssertionError(f"trial {number} sends nothing")


def pid_of(event):
    """The process's id, which the trials of these tests send in their events."""
    return int(event.device if isinstance(event, Started) else event.metrics["pid"])


def gone(pid):
    """Return True if a finished process ends; under load the kernel takes a while."""
    try:
        psutil.Process(pid).wait(timeout=TIMEOUT_S)
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


def test_events_and_answers_are_exchanged(executor, start):
    folder = start(7, "good")
    assert (executor.running, executor.free_slots) == ([7], 1)
    assert isinstance(next_event(executor, 7), Started)
    assert isinstance(next_event(executor, 7), EpochEnd)
    executor.answer(7, True)
    finished = next_event(executor, 7)
    assert (finished.state, finished.summary["answer"]) == ("complete", True)
    assert (executor.running, executor.free_slots) == ([], 2)
    assert gone(finished.summary["pid"])
    assert sorted((folder / "output.log").read_text().splitlines()) == [
        "printed by the trial",
        "warned by the trial",
    ]


def test_answer_stops_a_trial(executor, start):
    start(0, "sends_epochs_until_stopped")
    for epoch in (1, 2, 3):
        assert next_event(executor, 0).epoch == epoch
        executor.answer(0, epoch < 3)
    assert next_event(executor, 0).summary["epochs"] == 3


def test_trials_share_cores_in_processes_of_their_own(executor, start):
    start(0, "good")
    start(1, "good")
    assert executor.free_slots == 0
    shares = [next_event(executor, number).backend for number in (0, 1)]
    assert shares == [str(max(1, len(os.sched_getaffinity(0)) // 2))] * 2
    pids = []
    for number in (0, 1):
        next_event(executor, number)
        executor.answer(number, True)
        pids.append(next_event(executor, number).summary["pid"])
    assert len({*pids, os.getpid()}) == 3
    assert "TF_NUM_INTRAOP_THREADS" not in os.environ


def test_last_trial_gets_every_core(executor, start):
    start(0, "good", num_left=1)
    start(1, "good", num_left=0)
    cores = len(os.sched_getaffinity(0))
    threads = [next_event(executor, number).backend for number in (0, 1)]
    assert threads == [str(max(1, cores // 2)), str(cores)]


def begin(executor, folder, number, what):
    (folder / str(number)).mkdir()
    config = replace(CONFIG, architecture=PluginConfig(what))
    executor.start(number, config, folder, folder / str(number), 9 - number)


def test_more_trials_run_when_the_first_has_measured(automatic, tmp_path):
    executor, reports = automatic(16)
    assert executor.free_slots == 1
    begin(executor, tmp_path, 0, "measures_its_cores")
    assert (executor.free_slots, reports) == (0, [])
    assert next_event(executor, 0).epoch == 1
    assert executor.free_slots == 3
    (report,) = reports
    assert re.fullmatch(
        r"4 trials at once: 12\.0 x faster on 16 cores than on 1; "
        r"4 of 16 cores and \d+ MiB of [\d.]+ GiB each",
        report,
    )
    begin(executor, tmp_path, 1, "good")
    assert next_event(executor, 1).backend == "4"  # threads


def test_trials_too_short_to_measure_get_one_core(automatic, tmp_path):
    executor, _ = automatic(16)
    begin(executor, tmp_path, 0, "good")
    next_event(executor, 0)
    next_event(executor, 0)
    executor.answer(0, True)
    next_event(executor, 0)
    assert executor.free_slots == 16


def test_large_trial_leaves_room_for_fewer(automatic, tmp_path, monkeypatch):
    executor, reports = automatic(2)
    monkeypatch.setattr(executor_module, "private_memory", lambda pid: 900 * 2**20)
    monkeypatch.setattr(executor_module, "available_memory", lambda: 100 * 2**20)
    assert executor.free_slots == 2
    begin(executor, tmp_path, 0, "good")
    begin(executor, tmp_path, 1, "waits_for_an_answer")
    for number in (0, 1):  # both processes exist, so that the memory of both is counted
        next_event(executor, number)
    assert isinstance(next_event(executor, 0), EpochEnd)
    assert executor.free_slots == 0
    executor.answer(0, True)
    next_event(executor, 0)
    assert (executor.running, executor.free_slots) == ([1], 0)
    assert reports == ["1 trial at once: memory for no more; 2 of 2 cores and 900 MiB of 1.9 GiB each"]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("exits", "exited with status 3"),
        ("sends_and_is_killed", "killed by signal 9 (SIGKILL)"),
        ("no_such_function", "exited with status 1"),
    ],
)
def test_dead_trial_is_failed_with_its_exit(executor, start, what, reason):
    start(0, what)
    event = next_event(executor, 0)
    if what == "sends_and_is_killed":  # its event before that is not lost
        assert isinstance(event, Started)
        event = next_event(executor, 0)
    assert event == Finished(event.time, "failed", reason, is_killed="SIGKILL" in reason)
    assert executor.running == []


def test_killed_trial_leaves_others_running(executor, start):
    start(0, "waits_for_an_answer")
    pid = pid_of(next_event(executor, 0))
    start(1, "sends_epochs_until_stopped")
    os.kill(pid, signal.SIGKILL)
    event = next_event(executor, 0)
    assert (event.reason, event.is_killed) == ("killed by signal 9 (SIGKILL)", True)
    assert executor.running == [1]
    assert next_event(executor, 1).epoch == 1  # the other goes on
    executor.answer(0, True)  # ignored, since the process has ended


def test_trial_that_closes_its_pipe_is_killed(executor, start, monkeypatch):
    monkeypatch.setattr(process_module.WorkerProcess.finish, "__defaults__", (0.1,))
    start(0, "closes_its_pipe")
    event = next_event(executor, 0)
    assert (event.reason, event.is_killed) == ("killed by signal 9 (SIGKILL)", False)  # by zoo


def test_crash_of_a_trial_is_its_own(executor, start):
    start(0, "waits_for_an_answer")
    os.kill(pid_of(next_event(executor, 0)), signal.SIGSEGV)
    event = next_event(executor, 0)
    assert re.fullmatch(r"killed by signal 11 \(SIGSEGV\) at tuning/executor_children\.py:\d+", event.reason)
    assert not event.is_killed


def test_long_output_is_shortened_while_the_trial_runs(executor, start, monkeypatch):
    monkeypatch.setattr(executor_module, "cap_log", lambda path: cap_log(path, 1000))
    folder = start(0, "chatters")
    next_event(executor, 0)
    assert "[zoo: 99" in (folder / "output.log").read_text()
    assert (folder / "output.log").stat().st_size < 3000


class TestModel:
    """A complete trial's model is loaded by another process before the trial counts."""

    def answered(self, executor, start, file):
        folder = start(0, "good")
        if file:
            (folder / file).touch()
        for _ in range(2):
            next_event(executor, 0)
        executor.answer(0, True)
        return next_event(executor, 0)

    def test_model_that_loads_completes_its_trial(self, executor, start):
        assert self.answered(executor, start, "").state == "complete"

    def test_model_that_does_not_load_fails_its_trial(self, executor, start):
        event = self.answered(executor, start, "unloadable")
        assert (event.state, event.reason) == ("failed", "the model cannot be loaded: a Lambda layer")
        assert event.is_plugin_error
        assert (executor.running, executor.free_slots) == ([], 2)

    def test_process_that_dies_while_it_loads_fails_the_trial(self, executor, start):
        event = self.answered(executor, start, "crashes")
        assert (event.state, event.is_killed) == ("failed", False)
        assert event.reason == "the process that loads its model again ended: killed by signal 11 (SIGSEGV)"

    def test_process_that_hangs_while_it_loads_is_killed(self, executor, start, monkeypatch):
        monkeypatch.setattr(executor_module, "_LOADING_TIMEOUT_S", 0.2)
        event = self.answered(executor, start, "hangs")
        assert (event.state, event.is_killed) == ("failed", False)  # not by something else, so not retried
        assert event.reason == "loading its model again took longer than 0.2 s"
        assert (executor.running, executor.free_slots) == ([], 2)

    def test_stopped_study_waits_for_the_model(self, executor, start):
        start(0, "good")
        for _ in range(2):
            next_event(executor, 0)
        executor.answer(0, True)
        while 0 not in executor.wait(1) or executor.read(0) is None:
            if executor._unchecked:
                break
        assert executor.wait(timeout=0) == [0]  # as the supervisor calls it when it stops
        assert executor.read(0).state == "complete"


@pytest.mark.faults
class TestHangingTrial:
    @pytest.mark.parametrize("what", ["hangs", "hangs_in_native_code"])
    def test_is_killed_and_says_where_it_hung(self, executor, start, what):
        folder = start(0, what)
        pid = pid_of(next_event(executor, 0))
        with stall_timeout(0.5):  # not while the process imports its modules, which may take longer
            event = next_event(executor, 0)
        place = rf"executor_children\.py:\d+, in {'hang_here' if what == 'hangs' else what}"
        assert re.fullmatch(
            rf"stalled: no sign of life for \S+s, at \S+{place}; its stack is in {folder / 'output.log'}",
            event.reason,
        )
        assert (event.state, event.is_killed, executor.running) == ("failed", True, [])
        assert gone(pid)
        assert "(most recent call first):" in (folder / "output.log").read_text()

    def test_other_trials_continue(self, executor, start):
        start(0, "hangs")
        start(1, "is_slow")  # four seconds, with signs of life
        for number in range(2):
            assert isinstance(next_event(executor, number), Started)
        with stall_timeout(2.0):
            assert next_event(executor, 0).reason.startswith("stalled: ")
            assert next_event(executor, 1).state == "complete"

    def test_stopped_trial_is_left_alone(self, executor, start):
        start(0, "waits_for_an_answer")
        pid = pid_of(next_event(executor, 0))
        os.kill(pid, signal.SIGSTOP)
        with stall_timeout(0.5):
            for _ in range(3):
                assert executor.wait(1.0) == []
            os.kill(pid, signal.SIGCONT)
            assert next_event(executor, 0).reason.startswith("stalled: ")

    def test_stopped_supervisor_kills_no_trial(self, tmp_path):
        """Both are stopped, as when a machine sleeps, for longer than the trial may be silent."""
        command = [sys.executable, "-c", STOPPED_SUPERVISOR, str(Path(__file__).parent), str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as supervisor:
            processes = [psutil.Process(int(pid)) for pid in supervisor.stdout.readline().split()]
            for signum in (signal.SIGSTOP, signal.SIGCONT):
                for process in processes:
                    process.send_signal(signum)
                if signum == signal.SIGSTOP:
                    time.sleep(12)  # the silence itself is the fault
            assert supervisor.stdout.readline() == "Finished complete\n"
            supervisor.stdin.close()


def test_exit_status_255_is_no_kill(executor, start):
    start(0, "exits_with_255")
    event = next_event(executor, 0)
    assert (event.reason, event.is_killed) == ("exited with status 255", False)


def test_death_of_the_fork_server_is_no_fault_of_its_trials(executor, start):
    start(0, "waits_for_an_answer")
    guard = psutil.Process(pid_of(next_event(executor, 0))).parent()
    start(1, "waits_for_an_answer")
    next_event(executor, 1)
    os.kill(guard.ppid(), signal.SIGKILL)
    for number in (0, 1):
        event = next_event(executor, number)
        assert event.is_killed
        assert event.reason == "killed with the process from which trials are forked"
    start(2, "good")  # from a new server
    assert isinstance(next_event(executor, 2), Started)


@pytest.mark.parametrize(
    ("beside", "fix"), [(True, "use fewer --jobs"), (False, "use a smaller batch_size or a smaller network")]
)
def test_out_of_memory_is_retried_only_beside_others(executor, start, monkeypatch, beside, fix):
    kills = [3]
    monkeypatch.setattr(executor_module, "oom_kills", lambda: kills[0])
    start(0, "waits_for_an_answer")
    pid = pid_of(next_event(executor, 0))
    if beside:
        start(1, "waits_for_an_answer")
    os.kill(pid, signal.SIGKILL)
    kills[0] = 4
    event = next_event(executor, 0)
    assert event.is_killed is beside
    assert event.reason == (f"killed by signal 9 (SIGKILL) because the memory of this machine ran out; {fix}")


def test_trials_ignore_signals_of_the_terminal(executor, start):
    """A terminal sends them to every process of its group; the supervisor handles them."""
    start(0, "sends_epochs_until_stopped")
    pid = pid_of(next_event(executor, 0))
    for signum in (signal.SIGINT, signal.SIGHUP):
        os.kill(pid, signum)
    executor.answer(0, True)
    assert next_event(executor, 0).epoch == 2


def test_stop_all_leaves_no_process(executor, start):
    for number in (3, 4):
        start(number, "waits_for_an_answer")
    pids = [pid_of(next_event(executor, number)) for number in (3, 4)]
    assert executor.stop_all() == [3, 4]
    assert not any(map(alive, pids))
    assert executor.running == []
    assert executor.stop_all() == []


def test_wait_respects_its_timeout(executor, start):
    assert executor.wait(timeout=0.01) == []  # without a timeout, it would wait forever


def test_no_trial_outlives_a_killed_supervisor(tmp_path):
    command = [sys.executable, "-c", SUPERVISOR, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as supervisor:
        pids = [int(supervisor.stdout.readline()) for _ in range(2)]
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert {process.pid for process in family} >= set(pids)
        supervisor.kill()
    deadline = time.monotonic() + TIMEOUT_S
    while any(alive(process.pid) for process in family):
        assert time.monotonic() < deadline, "a process of the supervisor is still running"
        time.sleep(0.02)


class TestStopping:
    """A running trial writes a checkpoint before it ends, even while its main thread hangs in native code."""

    def test_trial_writes_its_checkpoint(self, executor, start):
        folder = start(0, "writes_at_sigterm")
        pid = pid_of(next_event(executor, 0))
        assert executor.stop_all() == [0]
        assert (folder / "output.log").read_text() == "checkpoint\n"
        assert gone(pid)

    def test_trial_that_does_not_finish_it_is_killed(self, executor, start, monkeypatch):
        monkeypatch.setattr(executor_module, "_CHECKPOINT_TIMEOUT_S", 0.2)
        start(0, "never_finishes_its_checkpoint")
        pid = pid_of(next_event(executor, 0))
        executor.stop_all()
        assert gone(pid)

    def test_sigterm_from_outside_is_a_kill_from_outside(self, executor, start):
        folder = start(0, "writes_at_sigterm")
        os.kill(pid_of(next_event(executor, 0)), signal.SIGTERM)
        event = next_event(executor, 0)
        assert (event.reason, event.is_killed) == ("killed by signal 15 (SIGTERM)", True)
        assert (folder / "output.log").read_text() == "checkpoint\n"
