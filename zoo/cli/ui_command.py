"""`zoo ui`: MLflow's user interface on the store that zoo records in."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

import click

from zoo.errors import ZooError

_ASK_AGAIN_SECONDS = 0.1


@click.command("ui")
@click.option(
    "--study", metavar="STUDY", help="Print the address of this study's trials, charts beside them."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port; the next free one if it is taken.",
)
def command(study: str | None, host: str, port: int) -> int:
    """Open MLflow's UI on the record, until Ctrl-C.

    Prints its address once it answers; where MLFLOW_TRACKING_URI names a server, that is all.
    """
    from zoo.tracking import (
        free_port,
        study_page,
        tracking_uri,
        ui_address,
        ui_answers,
        ui_command,
        ui_environment,
    )

    uri = tracking_uri()
    try:
        chosen = free_port(host, port)
    except OSError as error:
        raise ZooError(f"zoo cannot listen on {host}: {error.strerror or error}") from None
    arguments = ui_command(uri, host, chosen)
    address = ui_address(uri, host, chosen)
    page = address + (study_page(study) if study is not None else "")
    if not arguments:
        click.echo(page)
        return 0
    click.echo("starting MLflow's UI …", err=True)

    def tell() -> None:
        click.echo(page)
        click.echo(f"showing {uri}; Ctrl-C ends it", err=True)

    return _serve(arguments, ui_environment(), lambda: ui_answers(address), tell)


def _serve(
    arguments: list[str], environment: dict[str, str], answers: Callable[[], bool], tell: Callable[[], None]
) -> int:
    """Run the server until it ends or a signal ends it, with nothing of its own words on stdout.

    Args:
        tell: called once, when it `answers`.
    """
    server: subprocess.Popen[bytes] | None = None
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        if server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # its workers too

    # Before the server is there: in a session of its own it does not hear a Ctrl-C that comes meanwhile.
    before = {signum: signal.signal(signum, end) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        server = subprocess.Popen(arguments, env=environment, stdout=2, start_new_session=True)
        if ended:
            end()
        while server.poll() is None and not ended:
            if answers():
                tell()
                break
            time.sleep(_ASK_AGAIN_SECONDS)
        status = server.wait()
    except BaseException:  # nobody reads the address any more
        end()
        raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    return 0 if ended else status
