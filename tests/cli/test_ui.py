"""`zoo ui`: the server that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from zoo import tracking
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
    assert ui_command._serve(SLEEPS, dict(os.environ), None, lambda: False, lambda: calls.append(1)) == 0
    assert calls == []
    assert servers[0].returncode == -signal.SIGTERM
    assert signal.getsignal(signum) is before


def test_exit_status_of_the_server_is_returned():
    calls = []
    fails = [sys.executable, "-c", "raise SystemExit(3)"]
    assert ui_command._serve(fails, dict(os.environ), None, lambda: False, lambda: calls.append(1)) == 3
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

    assert ui_command._serve(SLEEPS, dict(os.environ), None, answers, print_address) == 0
    assert addresses == [3]


@pytest.mark.timeout(240)
def test_closed_stdout_stops_the_server(monkeypatch):
    servers = []
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **o: servers.append(start(*a, **o)) or servers[0])

    def print_address():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        ui_command._serve(SLEEPS, dict(os.environ), None, lambda: True, print_address)
    assert servers[0].wait() == -signal.SIGTERM


@pytest.fixture
def serve_with(tmp_path, monkeypatch):
    """`zoo ui` in an empty folder, with a Python program in place of MLflow's server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def serve(program, *, answers=False):
        monkeypatch.setattr(tracking, "ui_command", lambda *_: [sys.executable, "-c", program])
        monkeypatch.setattr(tracking, "ui_answers", lambda *_: answers)
        done = CliRunner().invoke(ui_command.command, [], standalone_mode=False, catch_exceptions=False)
        log_path = tmp_path / "mlruns" / "ui.log"
        log = log_path.read_text() if log_path.exists() else None
        return SimpleNamespace(status=done.return_value, stdout=done.stdout, stderr=done.stderr, log=log)

    return serve


@pytest.mark.timeout(240)
def test_output_of_the_server_is_in_a_file(serve_with, tmp_path):
    program = "import sys; print('on stdout', flush=True); print('on stderr', file=sys.stderr)"
    done = serve_with(program, answers=True)
    assert (done.status, done.log) == (0, "on stdout\non stderr\n")
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stderr.splitlines() == [
        "starting MLflow's UI …",
        f"showing sqlite:///{tmp_path}/mlflow.db; press Ctrl-C to stop",
        "MLflow's log: mlruns/ui.log",
    ]
    assert serve_with("print('again')").log == "again\n"


@pytest.mark.timeout(240)
def test_failed_server_is_reported_with_its_last_line(serve_with):
    done = serve_with("print('loading'); raise SystemExit('port 1 is taken')")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == [
        "error: MLflow's UI ended with exit status 1: port 1 is taken. All of its output is in mlruns/ui.log."
    ]


@pytest.mark.timeout(240)
def test_folder_that_cannot_be_written_has_no_log(serve_with, tmp_path):
    (tmp_path / "mlruns").touch()
    done = serve_with("raise SystemExit(4)")
    assert (done.status, done.log) == (4, None)
    assert done.stderr.splitlines()[1:] == ["error: MLflow's UI ended with exit status 4."]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--optuna"], "--optuna opens one study"),
        (["example", "--storage", "sqlite:///o.db"], "is for --optuna"),
    ],
)
def test_options_of_the_dashboard_belong_together(arguments, problem):
    with pytest.raises(click.UsageError, match=problem):
        ui_command.command.main(arguments, standalone_mode=False)
