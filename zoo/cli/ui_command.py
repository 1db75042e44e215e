"""`zoo ui`: MLflow's user interface on the store that zoo records in."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

import click

from zoo.errors import ZooError


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

    Prints its address; where MLFLOW_TRACKING_URI names a server, that is all.
    """
    from zoo.tracking import free_port, study_page, tracking_uri, ui_address, ui_command, ui_environment

    uri = tracking_uri()
    try:
        chosen = free_port(host, port)
    except OSError as error:
        raise ZooError(f"zoo cannot listen on {host}: {error.strerror or error}") from None
    arguments = ui_command(uri, host, chosen)
    page = study_page(study) if study is not None else ""
    click.echo(ui_address(uri, host, chosen) + page)
    if not arguments:
        return 0
    click.echo(f"showing {uri}; Ctrl-C ends it", err=True)
    return _serve(arguments, ui_environment())


def _serve(arguments: list[str], environment: dict[str, str]) -> int:
    """Run the server until it ends or a signal ends it, with nothing of its own words on stdout."""
    server: subprocess.Popen[bytes] | None = None
    told = False

    def end(*_: object) -> None:
        nonlocal told
        told = True
        if server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # its workers too

    # Before the server is there: in a session of its own it does not hear a Ctrl-C that comes meanwhile.
    before = {signum: signal.signal(signum, end) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        server = subprocess.Popen(arguments, env=environment, stdout=2, start_new_session=True)
        if told:
            end()
        status = server.wait()
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    return 0 if told else status
