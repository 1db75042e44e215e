"""Ctrl-C, SIGTERM and SIGHUP, sent for real to a process of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from zoo.tuning.interrupts import Interrupted, Interrupts

WAITS = """
import signal
from zoo.tuning.interrupts import Interrupted, Interrupts

with Interrupts() as interrupts:
    try:
        with interrupts.interruptible():
            print("waiting", flush=True)
            while True:
                signal.pause()
    except Interrupted:
        print("ended with", interrupts.exit_status, flush=True)
"""

# The signal comes outside of an interruptible block.
WRITES = """
import os, signal
from zoo.tuning.interrupts import Interrupted, Interrupts

with Interrupts() as interrupts:
    print("half", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("whole", flush=True)
    try:
        with interrupts.interruptible():
            print("never here", flush=True)
    except Interrupted:
        print("ended with", interrupts.exit_status, flush=True)
"""

# The signal comes between the check for an earlier one and the block.
BETWEEN = """
import os, signal
from zoo.tuning.interrupts import Interrupted, Interrupts

class Sudden(Interrupts):
    @property
    def signum(self):
        came = self._signum
        if came is None and self._armed:
            self._armed = False
            os.kill(os.getpid(), signal.SIGINT)
        return came
    @signum.setter
    def signum(self, number):
        self._signum = number
    _armed = False

with Sudden() as interrupts:
    print("started", flush=True)
    interrupts._armed = True
    try:
        with interrupts.interruptible():
            print("never here", flush=True)
    except Interrupted:
        print("ended with", interrupts.exit_status, flush=True)
"""

HANGS = """
import time
from zoo.tuning.interrupts import Interrupted, Interrupts

with Interrupts() as interrupts:
    try:
        with interrupts.interruptible():
            print("waiting", flush=True)
            time.sleep(600)
    except Interrupted:
        print("ending", flush=True)
        time.sleep(600)  # a slow end
"""


@pytest.fixture
def start():
    """Starts a script and waits for its first line."""
    started = []

    def begin(script):
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def output_of(process):
    """Stdout and stderr after the first line, until the end."""
    return process.stdout.read(), process.stderr.read()


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_interrupts_an_interruptible_block(start, signum, status):
    process = start(WAITS)
    process.send_signal(signum)
    assert output_of(process) == (f"ended with {status}\n", "")
    assert process.wait(timeout=240) == 0


def test_signal_does_not_interrupt_other_code(start):
    assert output_of(start(WRITES)) == ("whole\nended with 130\n", "")


def test_signal_just_before_a_block_interrupts_it(start):
    assert output_of(start(BETWEEN)) == ("ended with 130\n", "")


def test_nohup_ignores_a_closed_terminal(start):
    process = start("import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + WAITS)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert output_of(process) == ("ended with 143\n", "")


def test_second_signal_ends_it_with_a_closed_terminal(start):
    process = start(HANGS)
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=240) == 129


@pytest.mark.parametrize(
    ("second", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)], ids=["SIGINT", "SIGTERM"]
)
def test_second_signal_ends_it_at_once(start, second, status):
    process = start(HANGS)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(second)
    _, stderr = output_of(process)
    assert process.wait(timeout=240) == status
    assert stderr.strip() == "stopped at once; the next run of the study records what is missing"


def test_handlers_are_restored():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(number) for number in numbers] == before


def test_other_threads_leave_handlers_alone():
    """Python allows handlers in the main thread only."""
    seen = []

    def work():
        with Interrupts() as interrupts, interrupts.interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_interrupt_that_compiled_code_has_turned_into_a_system_error_is_raised():
    interrupts = Interrupts()
    error = SystemError("a call returned a result with an exception set")  # as Python's C API raises it
    error.__cause__ = Interrupted()
    with pytest.raises(Interrupted), interrupts.interruptible():
        raise error
    with pytest.raises(SystemError, match="another"), interrupts.interruptible():
        raise SystemError("another error")
