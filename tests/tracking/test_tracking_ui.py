"""The command for MLflow's user interface; other tests start a server with it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from zoo.tracking import free_port, tracking_uri, ui_answers, ui_command, ui_environment


def test_local_store_is_served(working_folder: Path) -> None:
    command = ui_command(tracking_uri(), port=5001)
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
    environment = ui_environment(tracking_uri())
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{working_folder}/mlflow.db"
    assert command[command.index("--port") + 1] == "5001"


def test_server_needs_no_command() -> None:
    assert ui_command("http://tracking.example:5000") == []


def test_job_runner_is_off_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", raising=False)
    assert ui_environment("sqlite:///mlflow.db")["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    assert ui_environment("sqlite:///mlflow.db")["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "true"


def test_taken_port_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(wanted=port) not in (0, port)
    assert free_port(wanted=port) == port


def test_listening_server_is_found() -> None:
    port = free_port(wanted=0)
    assert not ui_answers("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)):
        assert ui_answers("127.0.0.1", port)
