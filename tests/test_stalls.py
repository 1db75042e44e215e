"""Noticing that a worker process hangs, with a clock and processes that are stand-ins."""

from __future__ import annotations

import math
import re
import sys
import textwrap
from pathlib import Path

import pytest

from zoo import stalls
from zoo.process import spawn_worker
from zoo.stalls import Stalled, StallLimit, Watch, receive, stall_timeout

PLUGIN_FILE = "/home/ada/nets/stuck.py"
STACK = f"""Thread 0x00007f1b00000001 (most recent call first):
  File "{math.__name__}/not/absolute.py", line 1 in run

Current thread 0x00007f1b00000002 (most recent call first):
  File "{Path(stalls.__file__).parent}/training/fit.py", line 3 in fit
  File "{PLUGIN_FILE}", line 14 in wait for it
  File "{PLUGIN_FILE}", line 20 in build
"""


class Worker:
    """A process that is silent unless the test says otherwise."""

    log_path = None
    is_stopped_now = has_message_now = False

    def is_stopped(self):
        return self.is_stopped_now

    def has_message(self):
        return self.has_message_now


@pytest.fixture
def clock(monkeypatch):
    """clock(3.0) -> three seconds pass."""
    now = [100.0]
    monkeypatch.setattr(stalls.time, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


@pytest.fixture
def watch(clock):
    """watch(60) -> a minute of silence passes, watched every second."""
    watch = Watch(Worker())

    def silence(seconds):
        for _ in range(seconds):
            clock(1.0)
            watch.update()
        return watch

    return silence


def test_silence_longer_than_the_timeout_is_a_stall(watch):
    with stall_timeout(10.0):
        assert not watch(10).is_stalled
        assert watch(1).is_stalled


def test_message_and_output_end_a_silence(clock, tmp_path):
    worker = Worker()
    worker.log_path = tmp_path / "output.log"
    watch = Watch(worker)
    for sign in (
        lambda: worker.log_path.write_text("a line"),
        lambda: setattr(worker, "has_message_now", True),
    ):
        clock(4.0)
        watch.update()
        assert watch.silent_s > 0
        sign()
        watch.update()
        assert watch.silent_s == 0


def test_time_in_which_nobody_watched_does_not_count(watch, clock):
    with stall_timeout(60.0):
        watch(50)
        clock(86400.0)  # the machine slept, or zoo was stopped
        assert not watch(1).is_stalled
        assert watch(6).is_stalled  # the watched time before that still counts


def test_stopped_process_is_not_stalled(watch):
    with stall_timeout(10.0):
        stopped = watch(11)
        stopped._worker.is_stopped_now = True
        assert not stopped.is_stalled
        stopped._worker.is_stopped_now = False
        assert not watch(10).is_stalled  # after it was continued
        assert watch(1).is_stalled


def test_default_is_relative_to_the_longest_silence(clock):
    limit = StallLimit()
    assert limit.seconds == 1800
    limit.observe(170)
    assert limit.seconds == 1800
    limit.observe(600)
    limit.observe(20)
    assert limit.seconds == 6000


def test_off_is_no_limit(watch):
    with stall_timeout(math.inf):
        assert not watch(1_000).is_stalled


def test_place_is_the_last_call_in_a_plugin():
    assert stalls._place(STACK) == f"at {PLUGIN_FILE}:14, in wait for it"


def test_place_without_a_plugin_is_the_last_call():
    stack = STACK.replace(PLUGIN_FILE, math.__name__)
    assert stalls._place(stack) == f"at {Path(stalls.__file__).parent}/training/fit.py:3, in fit"


def test_no_stack_is_no_place():
    assert stalls._place("") == ""


def test_installed_packages_without_plugins_are_no_plugins():
    assert not stalls._is_plugin(Path(pytest.__file__))
    assert not stalls._is_plugin(Path(math.__spec__.origin or "built-in"))
    assert not stalls._is_plugin(Path(stalls.__file__))
    assert stalls._is_plugin(Path(stalls.__file__).parent / "builtin" / "conv_net.py")


HANGING_WORKER = """
    import time
    from pathlib import Path
    from zoo.process import enter_worker, sign_of_life

    def works_then_hangs(connection, log):
        enter_worker({}, Path(log))
        connection.send("started")
        for _ in range(8):
            time.sleep(0.5)
            sign_of_life()
        connection.send("four seconds")
        read_for_ever()

    def read_for_ever():
        time.sleep(600)
"""


@pytest.mark.faults
def test_hanging_call_is_killed_and_says_where(tmp_path, monkeypatch):
    (tmp_path / "hanging_worker.py").write_text(textwrap.dedent(HANGING_WORKER))
    monkeypatch.syspath_prepend(str(tmp_path))
    import hanging_worker

    worker = spawn_worker(hanging_worker.works_then_hangs, (str(tmp_path / "prepare.log"),))
    worker.log_path = tmp_path / "prepare.log"
    assert receive(worker, "the dataset") == "started"  # its imports may take longer than the timeout
    with stall_timeout(3.0):
        assert receive(worker, "the dataset") == "four seconds"
        with pytest.raises(Stalled) as caught:
            receive(worker, "the dataset", "Fix it.")
    assert re.fullmatch(
        r"the dataset stalled: no sign of life for \S+s, at \S+hanging_worker.py:16, in read_for_ever; "
        r"its stack is in \S+prepare.log. Fix it.",
        str(caught.value),
    )
    assert not worker.process.is_alive()
    sys.modules.pop("hanging_worker")
