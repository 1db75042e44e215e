"""Processes that belong to this one: started fresh or from the fork server, gone when it is gone.

A script or notebook that calls `zoo.tune` is not run again in them, as `multiprocessing` would.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection as mp_connection
from multiprocessing import forkserver, get_context
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

_start_lock = threading.Lock()


class WorkerProcess:
    """A process and the pipe to it. Messages are whatever pickles; here, dicts and dataclasses."""

    def __init__(self, process: Any, connection: Any) -> None:
        self.process = process
        self.connection = connection
        self.log: Path | None = None  # what it prints, where whoever started it says so

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def waitables(self) -> list[Any]:
        """What `wait` looks at: a message, or the process's end."""
        return [self.connection, self.process.sentinel]

    def send(self, message: Any) -> None:
        """Tell the child something; a child that has gone hears nothing."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def receive(self) -> Any:
        """The next message, or None when the child has closed its end."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def has_message(self) -> bool:
        try:
            return bool(self.connection.poll())
        except OSError:
            return False

    @property
    def running(self) -> bool:
        return bool(self.process.exitcode is None)

    def join(self) -> str:
        """Wait for the end, and say how it came: `killed by signal 9`, `exited with status 1`."""
        self.process.join()
        self.connection.close()
        return _how_it_ended(self.process.exitcode)

    def end(self, patience: float = 5.0) -> str:
        """As `join`, for a child that has closed its end of the pipe and should be gone any moment."""
        self.process.join(patience)
        self.kill()
        return self.join()

    def kill(self) -> None:
        """End it now. SIGKILL, because a backend that hangs in a kernel hears nothing else."""
        if self.running:
            self.process.kill()


def spawn(target: Callable[..., None], arguments: Sequence[Any]) -> WorkerProcess:
    """Start `target(connection, *arguments)` in a fresh interpreter."""
    with _deaf_to_interrupts():
        return _start(get_context("spawn"), target, arguments)


class ForkServer:
    """A process with heavy modules imported, from which fresh processes are had in milliseconds.

    Python keeps one per process. It warms up on its own after `start`; the first child waits for
    that. Where there is no `fork`, every child is a fresh interpreter.
    """

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = list(preload)

    def start(self) -> None:
        """Begin to warm up; returns at once."""
        if "forkserver" in multiprocessing.get_all_start_methods():
            get_context("forkserver").set_forkserver_preload(self._preload)
            with _deaf_to_interrupts():
                forkserver.ensure_running()
            atexit.register(_end_fork_server)

    def child(self, target: Callable[..., None], arguments: Sequence[Any]) -> WorkerProcess:
        """Start `target(connection, *arguments)` in a process forked from the server.

        Raises:
            ZooError: the server died, most likely of what it imports.
        """
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        try:
            return _start(get_context(method), target, arguments)
        except (EOFError, ConnectionError):
            imports = f"import {', '.join(self._preload)}" if self._preload else "pass"
            raise ZooError(
                "The process from which trials are forked died while it started; "
                f'what it says is told by: {Path(sys.executable).name} -c "{imports}"'
            ) from None


def _end_fork_server() -> None:
    """Not left to itself: what it imported takes seconds to free, and it may be importing still."""
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait(children: Sequence[WorkerProcess], timeout: float) -> list[WorkerProcess]:
    """Those of `children` that have a message or have ended, after `timeout` seconds at most."""
    ready = set(
        map(id, mp_connection.wait([one for child in children for one in child.waitables()], timeout))
    )
    return [child for child in children if any(id(one) in ready for one in child.waitables())]


def enter_worker(environment: Mapping[str, str], log: Path) -> None:
    """First thing in a child: its environment, its own log, its end with the parent's.

    A Ctrl-C in the terminal reaches every process of the group, and so does its end; here they are
    ignored, because the parent answers them.
    """
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    os.environ.update(environment)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    end_with_parent()


def exit_worker(connection: Any) -> None:
    """Last thing in a child: gone at once, whatever threads a plugin or a backend left behind."""
    connection.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def end_with_parent() -> None:
    """Have this process die when the one that started it does, however that dies."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux" and os.getppid() != parent.pid:
        # From the fork server. Once the supervisor and its children let go of the server's pipe, it
        # goes; the kernel then ends its children, even one that hangs in native code with Python's
        # lock held. 1 is PR_SET_PDEATHSIG. Not for a direct child: there the kernel would look at
        # the thread that started it, which may end long before the process.
        _let_fork_server_go()
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
    threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _let_fork_server_go() -> None:
    """Close our copy of the pipe for whose last end the fork server waits."""
    alive = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_alive_fd", None)
    if isinstance(alive, int):
        with contextlib.suppress(OSError):
            os.close(alive)


def _exit_after(sentinel: Any) -> None:
    mp_connection.wait([sentinel])
    os._exit(1)


def _start(context: Any, target: Callable[..., None], arguments: Sequence[Any]) -> WorkerProcess:
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    with _start_lock, _without_main():
        process.start()
    theirs.close()
    return WorkerProcess(process, ours)


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started in here never hears what the terminal tells all of its group.

    That is Ctrl-C, and that it was closed; the parent answers for all of them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's script, or `multiprocessing` would import it again in every child."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is None:
        return "still running"
    return f"killed by signal {-exitcode}" if exitcode < 0 else f"exited with status {exitcode}"
