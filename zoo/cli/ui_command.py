"""`zoo ui`: MLflow's user interface on the store in which zoo records."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click

from zoo.cli import common
from zoo.errors import ZooError

_POLL_INTERVAL_S = 0.1
_LOG_PATH = Path("mlruns", "ui.log")  # output of MLflow's server


@click.command("ui")
@common.study_argument()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port to listen on; the next free one if it is taken.",
)
def command(study: str | None, host: str, port: int) -> int:
    """Open MLflow's UI on the recorded studies, until Ctrl-C.

    Prints the address when the page can be opened. With STUDY, the page shows its trials and charts.
    If MLFLOW_TRACKING_URI names a server, only prints the address on that server.
    """
    from zoo import tracking

    uri = tracking.tracking_uri()
    try:
        port = tracking.free_port(host, port)
    except OSError as error:
        reason = error.strerror or error
        raise ZooError(f"zoo cannot listen on {host}: {reason}; choose another --host") from None
    arguments = tracking.ui_command(uri, host, port)
    address = f"http://{host}:{port}" if arguments else uri
    page = address + (tracking.study_page(study) if study is not None else "")
    if not arguments:
        click.echo(page)
        return 0
    click.echo("starting MLflow's UI …", err=True)

    log = _open_log()

    def print_address() -> None:
        click.echo(page)
        click.echo(f"showing {uri}; press Ctrl-C to stop", err=True)
        if log is not None:
            click.echo(f"MLflow's log: {_LOG_PATH}", err=True)

    with log or contextlib.nullcontext():
        environment = tracking.ui_environment()
        status = _serve(arguments, environment, log, lambda: tracking.ui_answers(host, port), print_address)
    if status > 0:
        lines = _LOG_PATH.read_text(encoding="utf-8", errors="replace").split("\n") if log is not None else []
        reason = next((f": {line.strip()}" for line in reversed(lines) if line.strip()), "")
        where = f" All of its output is in {_LOG_PATH}." if lines else ""
        common.print_note(f"error: MLflow's UI ended with exit status {status}{reason}.{where}")
    return status


def _open_log() -> IO[bytes] | None:
    """Open an empty log file; return None if this folder cannot be written."""
    try:
        _LOG_PATH.parent.mkdir(exist_ok=True)
        _LOG_PATH.write_bytes(b"")
        return _LOG_PATH.open(
            "ab"
        )  # if two servers run in this folder, neither overwrites lines of the other
    except OSError:
        return None


def _serve(
    arguments: list[str],
    environment: dict[str, str],
    log: IO[bytes] | None,
    answers: Callable[[], bool],
    on_ready: Callable[[], None],
) -> int:
    """Run the server until it ends or a signal ends it; return its exit status.

    Its output goes to `log`, or to stderr if `log` is None. `on_ready` is called once, when `answers`
    returns True.
    """
    from zoo.tuning.interrupts import Interrupted, Interrupts

    server: subprocess.Popen[bytes] | None = None
    try:
        with Interrupts() as interrupts, contextlib.suppress(Interrupted):
            output = 2 if log is None else log
            server = subprocess.Popen(
                arguments, env=environment, stdout=output, stderr=output, start_new_session=True
            )
            with interrupts.interruptible():
                while server.poll() is None:
                    if answers():
                        on_ready()
                        break
                    time.sleep(_POLL_INTERVAL_S)
                return server.wait()
        return 0
    finally:  # also after an error, such as a closed pipe on stdout
        if server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # including its workers
            server.wait()
