"""`zoo ui`: the server that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from zoo.cli import ui_command

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_the_start_stops_the_server(signum, monkeypatch):
    servers = []
    start = subprocess.Popen

    def start_and_interrupt(*arguments, **options):
        servers.append(start(*arguments, **options))
        os.kill(os.getpid(), signum)
        return servers[0]

    monkeypatch.setattr(subprocess, "Popen", start_and_interrupt)
    before = signal.getsignal(signum)
    calls = []
    assert ui_command._serve(SLEEPS, dict(os.environ), lambda: False, lambda: calls.append(1)) == 0
    assert calls == []
    assert servers[0].returncode == -signal.SIGTERM
    assert signal.getsignal(signum) is before


def test_exit_status_of_the_server_is_returned():
    calls = []
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    assert ui_command._serve(fails, dict(os.environ), lambda: False, lambda: calls.append(1)) == 3
    assert calls == []


@pytest.mark.timeout(240)
def test_address_is_printed_once_when_the_server_answers():
    polls, addresses = [], []

    def answers():
        polls.append(1)
        return len(polls) == 3

    def print_address():
        addresses.append(len(polls))
        os.kill(os.getpid(), signal.SIGINT)

    assert ui_command._serve(SLEEPS, dict(os.environ), answers, print_address) == 0
    assert addresses == [3]


@pytest.mark.timeout(240)
def test_closed_stdout_stops_the_server(monkeypatch):
    servers = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **o: servers.append(start(*a, **o)) or servers[0])

    def print_address():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        ui_command._serve(SLEEPS, dict(os.environ), lambda: True, print_address)
    assert servers[0].wait() == -signal.SIGTERM
