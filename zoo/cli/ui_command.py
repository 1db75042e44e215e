"""`zoo ui`: MLflow's user interface on the store in which zoo records."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

import click

from zoo.cli import common
from zoo.errors import ZooError

_POLL_INTERVAL_S = 0.1


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

    def print_address() -> None:
        click.echo(page)
        click.echo(f"showing {uri}; press Ctrl-C to stop", err=True)

    environment = tracking.ui_environment()
    return _serve(arguments, environment, lambda: tracking.ui_answers(host, port), print_address)


def _serve(
    arguments: list[str],
    environment: dict[str, str],
    answers: Callable[[], bool],
    on_ready: Callable[[], None],
) -> int:
    """Run the server until it ends or a signal ends it; return its exit status.

    Its output goes to stderr. `on_ready` is called once, when `answers` returns True.
    """
    from zoo.tuning.interrupts import Interrupted, Interrupts

    server: subprocess.Popen[bytes] | None = None
    try:
        with Interrupts() as interrupts, contextlib.suppress(Interrupted):
            server = subprocess.Popen(arguments, env=environment, stdout=2, start_new_session=True)
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
