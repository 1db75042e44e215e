"""MLflow's user interface, on the store in which zoo records."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import urllib.error
import urllib.request

from zoo.tracking._connection import tracking_uri

PORT = 5000


def ui_address(uri: str | None = None, host: str = "127.0.0.1", port: int = PORT) -> str:
    """Return the address of the user interface. A tracking server serves it itself."""
    uri = tracking_uri(uri)
    return uri if _is_server(uri) else f"http://{host}:{port}"


def ui_command(uri: str | None = None, host: str = "127.0.0.1", port: int = PORT) -> list[str]:
    """Return the command that serves the user interface; [] if the store is a server, which serves its own.

    Run the command with `ui_environment()`.
    """
    uri = tracking_uri(uri)
    if _is_server(uri):
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


def ui_answers(address: str) -> bool:
    """Return True if an HTTP server on this machine answers at `address`."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}/health", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True  # an error is an answer too
    except (OSError, http.client.HTTPException):
        return False


def free_port(host: str = "127.0.0.1", wanted: int = PORT) -> int:
    """Return `wanted` if it is free, else a free port that the system selects.

    Raises:
        OSError: there is no free port.
    """
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise OSError(f"{host} has no free port")


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))
