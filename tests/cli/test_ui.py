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
    assert ui_command._serve(SLEEPS, dict(os.environ)) == 0
    assert begun[0].returncode == -signal.SIGTERM
    assert signal.getsignal(signum) is before


def test_a_server_that_ends_by_itself_says_with_which_status():
    assert ui_command._serve([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ)) == 3
