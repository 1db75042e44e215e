"""MLflow's user interface, on the store in which zoo records."""

from __future__ import annotations

import os
import socket
import sys

PORT = 5000


def ui_command(uri: str, host: str = "127.0.0.1", port: int = PORT) -> list[str]:
    """Return the command that serves the user interface; [] if the store is a server, which serves its own.

    Run the command with `ui_environment()`.
    """
    if uri.startswith(("http://", "https://")):
        return []
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--backend-store-uri", uri),
        *("--host", host, "--port", str(port)),
        *("--workers", "1"),  # enough for one person; each worker is a process of 250 MB
    ]


def ui_environment() -> dict[str, str]:
    """Return this process's environment, with MLflow's job runner off: it takes nine processes and 1 GB."""
    defaults = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return {**defaults, **os.environ}


def ui_answers(host: str, port: int) -> bool:
    """Return True if the server listens; MLflow's does when its pages can be opened."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port(host: str = "127.0.0.1", wanted: int = PORT) -> int:
    """Return `wanted` if it is free, else a free port that the system selects.

    Raises:
        OSError: there is no free port.
    """
    try:
        listener = socket.create_server((host, wanted))
    except OSError:
        listener = socket.create_server((host, 0))
    with listener:
        return int(listener.getsockname()[1])
