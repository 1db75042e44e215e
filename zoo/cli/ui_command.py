"""`zoo ui`: MLflow's user interface on the store that zoo records in."""

from __future__ import annotations

import os
import sys

import click

from zoo.errors import ZooError


@click.command("ui")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Port; the next free one if it is taken.",
)
def command(host: str, port: int) -> None:
    """Open MLflow's UI on the record, until Ctrl-C.

    Prints its address; where MLFLOW_TRACKING_URI names a server, that is all.
    """
    from zoo.tracking import free_port, tracking_uri, ui_address, ui_command, ui_environment

    uri = tracking_uri()
    try:
        chosen = free_port(host, port)
    except OSError as error:
        raise ZooError(f"zoo cannot listen on {host}: {error.strerror or error}") from None
    arguments = ui_command(uri, host, chosen)
    click.echo(ui_address(uri, host, chosen))
    if not arguments:
        return
    click.echo(f"showing {uri}; Ctrl-C ends it", err=True)
    sys.stdout.flush()
    os.dup2(2, 1)  # what the server says is no result
    os.execvpe(arguments[0], arguments, ui_environment())
