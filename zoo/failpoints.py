"""Named steps at which a test makes a process fail. They do nothing unless $ZOO_FAILPOINTS names them.

    ZOO_FAILPOINTS="worker.epoch=kill@2,final.logged=full" zoo tune digits_cnn

An action is one of `kill` (SIGKILL), `exit` (status 3), `full` (the disk is full) and `hang`. `@N` means the
N-th time that the process reaches the step. If $ZOO_FAILPOINTS_DIR is a folder, each step fails only once in
all processes together, and an empty file with the name of the step appears there. CONTRIBUTING.md lists the
names.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from pathlib import Path

_visits: Counter[str] = Counter()  # number of visits of each named step in this process


def failpoint(name: str) -> None:
    """Execute the action of $ZOO_FAILPOINTS for the step `name`; by default there is none."""
    if specification := os.environ.get("ZOO_FAILPOINTS"):
        for item in specification.split(","):
            step, _, rest = item.partition("=")
            if step == name:
                action, _, visit = rest.partition("@")
                _visits[name] += 1
                if _visits[name] == int(visit or 1) and _is_first(name):
                    _fail(name, action)


def _is_first(name: str) -> bool:
    """Return True if no process has failed at this step."""
    folder = os.environ.get("ZOO_FAILPOINTS_DIR")
    try:
        if folder:
            Path(folder, name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _fail(name: str, action: str) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"failpoint {name}")
        case "hang":
            while True:
                time.sleep(3600)
        case _:
            raise ValueError(f"failpoint {name}={action}: expected kill, exit, full or hang")
