"""Worker processes with Keras: each runs a trial, or calls one function.

They are forked from a server that has imported Keras. The process that starts them never imports Keras.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from zoo.disk_space import DiskFull, full_text, is_full
from zoo.errors import ZooError, one_line, portable
from zoo.failpoints import failpoint
from zoo.logs import finish_log
from zoo.process import ForkServer, call_at_sigterm, enter_worker, exit_worker
from zoo.registry import PluginFile, given_files, using_plugins
from zoo.stalls import receive
from zoo.training import backend
from zoo.trial import TrialConfig


def fork_server() -> ForkServer:
    """Return the fork server of this process; its `start` imports Keras in the background."""
    return ForkServer(["zoo.training.preload"])


def start_loading_keras() -> None:
    """Start the fork server, which imports Keras in the background, and return at once."""
    backend.check_backend()
    backend.check_gpus()
    fork_server().start()


def call_in_worker(function: Callable[..., Any], *arguments: Any, log_path: Path) -> Any:
    """Return `function(*arguments)`, called in a worker process with Keras; any error becomes a ZooError.

    Function, arguments and result are pickled, so the function has to be defined at the top of a module. The
    output of the process is appended to `log_path`. If the disk is full, the error is DiskFull.
    """
    start_loading_keras()
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = backend.worker_environment(jobs=1, slot=0, gpus=backend.visible_gpus())
    job = (function, arguments, log_path, environment, given_files())
    worker = fork_server().start_worker(call_process, job)
    worker.log_path = log_path
    try:
        answer = receive(worker, f"the worker process that calls {function.__name__}")
        exit_text = worker.finish()
    finally:
        worker.kill()
        finish_log(log_path)
    if answer is None:
        raise ZooError(f"the worker process died: {exit_text}; its output is in {log_path}")
    result, error = answer
    if error is not None:
        raise error
    return result


def call_process(
    connection: Connection,
    function: Any,
    arguments: Any,
    log_path: Path,
    environment: Mapping[str, str],
    plugin_files: Sequence[PluginFile] = (),
) -> None:
    """Run in a worker process; send `(result, None)`, or `(None, error)` if `function` raises."""
    enter_worker(environment, log_path)
    try:
        with using_plugins(plugin_files, has_keras=True):
            result = function(*arguments)
        connection.send((result, None))
    except ZooError as error:
        connection.send((None, portable(error)))
    except Exception as error:
        traceback.print_exc()  # goes into the log
        if is_full(error):
            path = Path(str(getattr(error, "filename", None) or log_path))
            connection.send((None, DiskFull(full_text(path))))
        else:
            message = f"{type(error).__name__}: {one_line(error)[:300]}; the output is in {log_path}"
            connection.send((None, ZooError(message)))
    exit_worker(connection)


def run_trial_process(
    connection: Connection,
    config: Mapping[str, Any],
    cache: Path,
    folder: Path,
    environment: Mapping[str, str],
    study: str,
    number: int | None,
    plugin_files: Sequence[PluginFile] = (),
    log_path: Path | None = None,
) -> None:
    """Run one trial in a worker process: send its events, and receive the answers to its `EpochEnd`s.

    At SIGTERM the process writes a checkpoint of the last epoch, even in the middle of the next one.

    `study` and `number` are as for `zoo.training.job.run_trial`. `plugin_files` are as they were when the
    command started. A process with a `log_path` starts early: it prepares the trial, and waits for a message
    before it sends an event or uses `folder`. By then, its log is in `folder`.
    """
    enter_worker(environment, log_path or folder / "output.log")
    failpoint("worker.entered")
    from zoo.training.checkpoints import Checkpoints
    from zoo.training.job import CHECKPOINTS, run_trial
    from zoo.training.turn import Turn

    checkpoints, pipe = Checkpoints(folder / CHECKPOINTS), (connection.send, connection.recv)
    call_at_sigterm(checkpoints.flush)
    with using_plugins(plugin_files, has_keras=True):
        run_trial(
            TrialConfig.from_json(config),
            cache,
            folder,
            *pipe,
            study=study,
            number=number,
            checkpoints=checkpoints,
            turn=Turn(connection.recv if log_path else None),
        )
    exit_worker(connection)
