"""MLflow's own user interface, on the store that zoo records in."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import urllib.error
import urllib.request

from zoo.tracking.store import tracking_uri

PORT = 5000


def ui_address(uri: str | None = None, host: str = "127.0.0.1", port: int = PORT) -> str:
    """Where the user interface is, or will be: a tracking server shows its own."""
    uri = tracking_uri(uri)
    return uri if is_server(uri) else f"http://{host}:{port}"


def ui_command(uri: str | None = None, host: str = "127.0.0.1", port: int = PORT) -> list[str]:
    """The command that serves the user interface; empty where the store is a server and has its own.

    Run it with `ui_environment()`.
    """
    uri = tracking_uri(uri)
    if is_server(uri):
        return []
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--backend-store-uri", uri),
        *("--host", host, "--port", str(port)),
        *("--workers", "1"),  # one person looks at it; each worker is a process of 250 MB
    ]


def ui_environment() -> dict[str, str]:
    """This process's environment, without MLflow's job runner: nine processes, a gigabyte."""
    return {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": os.environ.get("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore"),
        "MLFLOW_DISABLE_TELEMETRY": os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true"),
    }


def ui_answers(address: str) -> bool:
    """Whether the server at `address`, on this machine, has come up."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/health", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True  # it answers, whatever it says
    except (OSError, http.client.HTTPException):
        return False


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def free_port(host: str = "127.0.0.1", wanted: int = PORT) -> int:
    """`wanted` where nobody listens there, else a port that the system chooses."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise OSError(f"{host} has no free port")
