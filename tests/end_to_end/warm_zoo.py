"""The command `zoo` in a process that has imported everything, for tests that run it many times.

`WarmZoo` starts this file as a script. The script imports what `zoo tune` imports, and starts the fork server
with Keras. For each command it forks a process, which is a supervisor as any other, but starts in a moment.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

TIMEOUT_S = 180.0  # only a command that hangs takes so long


class WarmZoo:
    """A process that runs commands, one after another."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([sys.executable, __file__], env=environment, text=True, **pipes)

    def __call__(
        self, *arguments: object, folder: Path, env: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Run `zoo` in `folder`; return status (`-9` after SIGKILL), stdout and stderr."""
        outputs = [str(folder / "stdout.txt"), str(folder / "stderr.txt")]
        command = [list(map(str, arguments)), str(folder), dict(env or {}), outputs]
        print(json.dumps(command), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        stdout, stderr = (Path(path).read_text(encoding="utf-8") for path in outputs)
        return status, stdout, stderr

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _serve() -> None:
    import matplotlib.pyplot
    import mlflow.store.tracking.sqlalchemy_store
    import optuna.storages
    import pandas
    import plotly
    import scipy.stats
    import sklearn.ensemble

    import zoo.cli
    import zoo.results
    from zoo.training.worker import start_loading_keras

    assert [mlflow, optuna, pandas, plotly, matplotlib, scipy, sklearn]
    for command in zoo.cli.COMMANDS:
        zoo.cli.zoo.get_command(None, command)
    start_loading_keras()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(*json.loads(line))
        print(_status_of(pid), flush=True)


def _status_of(pid: int) -> int:
    deadline = time.monotonic() + TIMEOUT_S
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(ended[1])


def _run(arguments: list[str], folder: str, environment: Mapping[str, str], outputs: list[str]) -> None:
    """Be the command `zoo`."""
    import zoo.cli
    from zoo import process
    from zoo.training import backend

    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["zoo", *arguments]
    for descriptor, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # The fork server is shared, so that this process must neither start it nor end it.
    forkserver._forkserver.ensure_running = lambda: None
    process.ForkServer.start = lambda self: None
    atexit.unregister(process._kill_fork_server)
    original = backend.worker_environment

    def worker_environment(**options: Any) -> Mapping[str, str]:
        return {**original(**options), **environment}  # a fork server of its own would have them

    backend.worker_environment = worker_environment
    zoo.cli.run()


if __name__ == "__main__":
    _serve()
