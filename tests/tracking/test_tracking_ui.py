"""The command for MLflow's user interface; other tests start a server with it."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from zoo.tracking import free_port, ui_address, ui_answers, ui_command, ui_environment


def test_local_store_is_served(working_folder: Path) -> None:
    command = ui_command(port=5001)
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{working_folder}/mlflow.db"
    assert command[command.index("--port") + 1] == "5001"
    assert ui_address(port=5001) == "http://127.0.0.1:5001"


def test_server_needs_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert ui_address() == "http://tracking.example:5000"
    assert ui_command() == []


def test_job_runner_is_off_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", raising=False)
    assert ui_environment()["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    assert ui_environment()["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "true"


def test_taken_port_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(wanted=port) not in (0, port)
    assert free_port(wanted=port) == port


class NoPages(BaseHTTPRequestHandler):
    """A server without pages."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_running_server_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy that does not exist
    assert not ui_answers(f"http://127.0.0.1:{free_port(wanted=0)}")
    with HTTPServer(("127.0.0.1", 0), NoPages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert ui_answers(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_server_of_another_protocol_is_not_ours() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def answer() -> None:
            connection, _ = other.accept()
            connection.sendall(b"220 smtp.example ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert not ui_answers(f"http://127.0.0.1:{other.getsockname()[1]}")
        thread.join()
