"""The socket on which the server listens, and uvicorn, which runs until a signal."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp

from zoo.errors import ZooError
from zoo.tuning.interrupts import Interrupted, Interrupts

_SHUTDOWN_TIMEOUT_S = 5


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; with port 0 the system selects the port.

    Raises:
        ZooError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror or error).partition(" (while")[0]  # Python repeats the address
        raise ZooError(
            f"zoo cannot listen on {host}, port {port}: {reason}; choose another --port or --host"
        ) from None


def address(listener: socket.socket, host: str) -> str:
    """Return the URL of the server."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def run(app: ASGIApp, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; call `on_ready` when the server can answer requests.

    uvicorn logs a line for each request on stderr.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name in ("uvicorn", "zoo.serving"):
        logging.getLogger(name).addHandler(handler)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="info",
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # hides messages about the start
    # When uvicorn has stopped, it raises the signal again in its own process.
    with Interrupts() as interrupts, suppress(Interrupted), interrupts.interruptible():
        _Server(config, on_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()
