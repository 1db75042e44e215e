"""`zoo ui`: the server that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from zoo.cli import ui_command

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_the_server_starts_ends_it(signum, monkeypatch):
    begun = []
    start = subprocess.Popen

    def interrupted(*arguments, **options):
        begun.append(start(*arguments, **options))
        os.kill(os.getpid(), signum)
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.getsignal(signum)
    told = []
    assert ui_command._serve(SLEEPS, dict(os.environ), lambda: False, lambda: told.append(1)) == 0
    assert told == []
    assert begun[0].returncode == -signal.SIGTERM
    assert signal.getsignal(signum) is before


def test_a_server_that_ends_by_itself_says_with_which_status():
    told = []
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    assert ui_command._serve(fails, dict(os.environ), lambda: False, lambda: told.append(1)) == 3
    assert told == []


@pytest.mark.timeout(30)
def test_the_address_is_told_once_when_the_server_answers():
    asked, told = [], []

    def answers():
        asked.append(1)
        return len(asked) == 3

    def tell():
        told.append(len(asked))
        os.kill(os.getpid(), signal.SIGINT)

    assert ui_command._serve(SLEEPS, dict(os.environ), answers, tell) == 0
    assert told == [3]


@pytest.mark.timeout(30)
def test_where_nobody_reads_the_address_the_server_ends_too(monkeypatch):
    begun = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **o: begun.append(start(*a, **o)) or begun[0])

    def tell():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        ui_command._serve(SLEEPS, dict(os.environ), lambda: True, tell)
    assert begun[0].wait() == -signal.SIGTERM
