"""`zoo ui`: MLflow's user interface on the store in which zoo records."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click

from zoo.cli import common
from zoo.errors import ZooError
from zoo.redaction import redact

_POLL_INTERVAL_S = 0.1
_LOG_PATH = Path("mlruns", "ui.log")  # output of the server


@click.command("ui")
@common.study_argument()
@common.host_option
@common.port_option(5000, "the next free one if it is taken")
@click.option("--optuna", "is_optuna", is_flag=True, help="Open optuna-dashboard on STUDY instead of MLflow.")
@common.storage_option
def command(study: str | None, host: str, port: int, is_optuna: bool, storage: str | None) -> int:
    """Open MLflow's UI on the recorded studies, until Ctrl-C.

    Prints the address when the page can be opened. With STUDY, or if there is only one study, the page
    shows its trials and charts. If MLFLOW_TRACKING_URI names a server, only prints the page's address there.
    """
    from zoo import tracking

    if is_optuna and study is None:
        raise click.UsageError("--optuna opens one study; add its name")
    if storage is not None and not is_optuna:
        raise click.UsageError("--storage is for --optuna; MLFLOW_TRACKING_URI names MLflow's store")
    try:
        port = tracking.free_port(host, port)
    except OSError as error:
        reason = error.strerror or error
        raise ZooError(f"zoo cannot listen on {host}: {reason}; choose another --host") from None
    if is_optuna:
        from zoo.tuning.dashboard import dashboard_command

        arguments, environment, path = dashboard_command(str(study), host, port, storage)
        server = _Server("optuna-dashboard", "optuna-dashboard", arguments, environment)
        return server.run(host, port, f"http://{host}:{port}{path}", f"the Optuna study '{study}'")
    uri = tracking.tracking_uri()
    arguments = tracking.ui_command(uri, host, port)
    study = study or (tracking.only_study() if arguments else None)
    path = tracking.study_page(study) if study is not None else ""
    if not arguments:
        click.echo(redact(uri + path))
        return 0
    page = f"http://{host}:{port}{path}"
    return _Server("MLflow's UI", "MLflow", arguments, tracking.ui_environment(uri)).run(
        host, port, page, uri
    )


@dataclass(frozen=True)
class _Server:
    """A server with its names in messages, its command and its environment."""

    title: str
    product: str
    arguments: list[str]
    environment: dict[str, str]

    def run(self, host: str, port: int, page: str, what: str) -> int:
        """Run the server; print the address `page` when it answers. Return its exit status."""
        from zoo.tracking import ui_answers

        click.echo(f"starting {self.title} …", err=True)
        log = _open_log()

        def print_address() -> None:
            click.echo(page)
            click.echo(redact(f"showing {what}; press Ctrl-C to stop"), err=True)
            if log is not None:
                click.echo(f"{self.product}'s log: {_LOG_PATH}", err=True)

        with log or contextlib.nullcontext():
            status = _serve(
                self.arguments, self.environment, log, lambda: ui_answers(host, port), print_address
            )
        if status > 0:
            text = _LOG_PATH.read_text(encoding="utf-8", errors="replace") if log is not None else ""
            lines = [line.strip() for line in text.split("\n") if line.strip()]
            reason = f": {lines[-1]}" if lines else ""
            where = f" All of its output is in {_LOG_PATH}." if lines else ""
            common.print_note(f"error: {self.title} ended with exit status {status}{reason}.{where}")
        return status


def _open_log() -> IO[bytes] | None:
    """Open an empty log file; return None if this folder cannot be written."""
    try:
        _LOG_PATH.parent.mkdir(exist_ok=True)
        _LOG_PATH.write_bytes(b"")
        # Append mode: two servers in this folder do not overwrite each other's lines.
        return _LOG_PATH.open("ab")
    except OSError:
        return None


def _serve(
    arguments: list[str],
    environment: dict[str, str],
    log: IO[bytes] | None,
    answers: Callable[[], bool],
    on_ready: Callable[[], None],
) -> int:
    """Run the server until it ends, or a signal ends it; return its exit status.

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
                while not (is_ready := answers()) and server.poll() is None:
                    time.sleep(_POLL_INTERVAL_S)
                if is_ready:
                    on_ready()
                return server.wait()
        return 0
    finally:  # even after an error, such as a closed pipe on stdout
        if server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # including its workers
            server.wait()
