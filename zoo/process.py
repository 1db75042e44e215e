"""Worker processes, started in a fresh interpreter or forked from a server. They end when this process ends.

Each process has a guard (see `zoo.guard`), which `multiprocessing` treats as the process itself. So a process
id and an exit status here are those of the guard.

Unlike `multiprocessing` itself, this module does not import the caller's script again in a worker.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection as mp_connection
from multiprocessing import forkserver, get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from zoo.disk_space import is_full
from zoo.errors import ZooError
from zoo.guard import STACK_SIGNAL, STOP_SIGNAL, children_of, guard_worker, is_stopped

_KILL_TIMEOUT_S = 10.0  # for the end of a guard
_IMPORT_TIMEOUT_S = 1800.0  # for the imports of the fork server, which take seconds
_SERVER_EXIT_S = 0.2  # for the end of a fork server that has closed its pipes; then exit statuses are unknown
_start_lock = threading.Lock()  # `_without_main` changes a global variable
# Signals with which a user or the kernel ends a process; others, such as SIGSEGV, come from its own code.
_KILLING_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT)
# `_forkserver_pid` and `_forkserver_alive_fd` of Python's fork server are private.
# tests/test_process.py fails if one of them disappears.
_fork_server: Any = forkserver._forkserver
_PARENT = "_ZOO_PARENT"  # an environment variable of the fork server: the process id of its parent
_life = types.SimpleNamespace(has_log=False, shown_at=0.0)  # for this process, if it is a worker process


class WorkerProcess:
    """A process and the pipe to it. The process may send any object that can be pickled, except None."""

    def __init__(self, process: Any, connection: Any) -> None:
        self.process = process
        self.connection = connection
        self.log_path: Path | None = None  # the output of the process; set by the caller
        self._server: int | None = None  # process id of the fork server that it was forked from
        self._was_killed_here = False

    def send(self, message: Any) -> None:
        """Send `message`; do nothing if the process has ended."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def receive(self) -> Any:
        """Return the next message, or None when the process has closed its end of the pipe."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def has_message(self) -> bool:
        try:
            return bool(self.connection.poll())
        except OSError:
            return False

    def finish(self, timeout: float = 5.0) -> str:
        """Wait for the end of the process, kill it after `timeout` seconds, and describe its exit."""
        self.process.join(timeout)
        self.kill()
        self.process.join(_KILL_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Ends a guard that hangs, or the processes that a killed guard has left.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.connection.close()
        if self._has_lost_its_server():  # only this parent would know the exit status
            return "killed with the process from which trials are forked"
        return describe_exit(self.process.exitcode)

    @property
    def was_killed(self) -> bool:
        """True if another process has killed the process: neither the process itself nor this one."""
        by_signal = self.process.exitcode in [-signum for signum in _KILLING_SIGNALS]
        return not self._was_killed_here and (by_signal or self._has_lost_its_server())

    def _has_lost_its_server(self) -> bool:
        """Return True if the exit status is unknown because the fork server ended before the process."""
        return (
            self._server is not None
            and self.process.exitcode == 255  # a process that exits with -1 has the same status
            and not _is_child_running(self._server, _SERVER_EXIT_S)
        )

    def terminate(self) -> None:
        """Send SIGTERM; a trial then writes a checkpoint and ends."""
        if self.process.exitcode is None:
            self._was_killed_here = True
            self.process.terminate()

    def kill(self) -> None:
        """Kill the process, and all processes that it has started; `finish` waits until they end.

        The guard sends SIGKILL, because a backend that hangs in native code reacts to no other signal.
        """
        if self.process.exitcode is None:
            self._was_killed_here = True
            for signum in (STOP_SIGNAL, signal.SIGCONT):  # the guard may have been stopped
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.process.pid, signum)

    def is_stopped(self) -> bool:
        """Return True if the process or its guard is stopped, for example by `kill -STOP`."""
        pid = self.process.pid
        return self.process.exitcode is None and any(map(is_stopped, [pid, *children_of(pid)]))

    def write_stack(self) -> None:
        """Make the process write the stack of all threads to its standard error, even in native code."""
        if self.process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, STACK_SIGNAL)


def spawn_worker(target: Callable[..., None], arguments: Sequence[Any]) -> WorkerProcess:
    """Start `target(connection, *arguments)` in a fresh interpreter."""
    with terminal_signals_blocked():
        return _start(get_context("spawn"), target, arguments)


class ForkServer:
    """A process that has imported heavy modules, and forks worker processes within milliseconds.

    Python has one fork server per process.
    """

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = list(preload)

    def start(self) -> None:
        """Start the process and its imports, and return at once; the first worker waits for the imports."""
        get_context("forkserver").set_forkserver_preload(self._preload)
        os.environ[_PARENT] = str(os.getpid())
        with terminal_signals_blocked():
            forkserver.ensure_running()
        atexit.register(_kill_fork_server)

    def start_worker(self, target: Callable[..., None], arguments: Sequence[Any]) -> WorkerProcess:
        """Start `target(connection, *arguments)` in a process forked from the server."""
        os.environ[_PARENT] = str(os.getpid())  # the server is started again if it has ended
        # The first worker waits for the imports, which may hang.
        timer = threading.Timer(_IMPORT_TIMEOUT_S, _kill_fork_server)
        timer.daemon = True
        timer.start()
        try:
            worker = _start(get_context("forkserver"), target, arguments)
            worker._server = _fork_server._forkserver_pid
            return worker
        except (EOFError, ConnectionError):
            imports = ", ".join(self._preload)
            raise ZooError(
                "the process from which trials are forked died while it started. To see its error, run: "
                f'{Path(sys.executable).name} -c "import {imports}"'
            ) from None
        finally:
            timer.cancel()


def wait_for_any(workers: Sequence[WorkerProcess], timeout: float) -> list[WorkerProcess]:
    """Return the workers that have a message or have ended, after at most `timeout` seconds."""
    worker_of: dict[Any, WorkerProcess] = {}
    for worker in workers:
        worker_of |= dict.fromkeys((worker.connection, worker.process.sentinel), worker)
    ready = {worker_of[handle] for handle in mp_connection.wait(list(worker_of), timeout)}
    return [worker for worker in workers if worker in ready]


def enter_worker(environment: Mapping[str, str], log: Path) -> None:
    """Set up a worker process: set its environment variables, and write its output to `log`.

    This is the first call in the process.
    """
    # A terminal sends these signals to every process of its group; the parent handles them.
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    os.environ.update(environment)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    sys.stdout, sys.stderr = _Log(1).as_text(), _Log(2).as_text()
    faulthandler.enable(2)  # a crash in native code leaves its stack in the log
    _life.has_log = True


class _Log(io.FileIO):
    """The log of a worker process. Output is omitted while the disk is full, without an error."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if not is_full(error):
                raise
            return len(memoryview(data).cast("B"))

    def as_text(self) -> io.TextIOWrapper:
        buffer = io.BufferedWriter(self)
        return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def sign_of_life() -> None:
    """Change the time of this worker process's log, at most once a second, so that zoo knows it works."""
    now = time.monotonic()
    if _life.has_log and now - _life.shown_at >= 1:
        _life.shown_at = now
        with contextlib.suppress(OSError):
            os.utime(1)


def call_at_sigterm(function: Callable[[], None]) -> None:
    """Call `function` in a thread when this worker process gets SIGTERM, then let the signal end it.

    The main thread runs no handler while it waits in native code, but Python writes each signal to a pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def wait() -> None:
        while os.read(reading, 1) != bytes([signal.SIGTERM]):
            pass
        try:
            function()
        finally:
            # Only the main thread may use `signal.signal`. 0 is SIG_DFL.
            ctypes.CDLL(None).signal(int(signal.SIGTERM), 0)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def exit_worker(connection: Any) -> None:
    """End a worker process at once, even if other threads are running. This is the last call in it."""
    connection.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextlib.contextmanager
def exiting_with_parent() -> Iterator[None]:
    """End this process when its parent ends while the block runs.

    Otherwise, a fork server that still imports would not notice that zoo was killed.
    """
    parent, is_done = int(os.environ.get(_PARENT, os.getppid())), threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            if is_done.wait(0.2):
                return
        os._exit(1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:  # a thread does not survive a fork
        is_done.set()
        thread.join()


def describe_exit(status: int) -> str:
    """Return an exit status of `subprocess` or `multiprocessing` as text: `killed by signal 9 (SIGKILL)`."""
    if status >= 0:
        return f"exited with status {status}"
    name = next((one.name for one in signal.Signals if one == -status), "unknown")
    return f"killed by signal {-status} ({name})"


def _is_child_running(pid: int, timeout: float) -> bool:
    """Return True if a child of this process still runs after `timeout`. The exit status is not collected."""
    deadline = time.monotonic() + timeout
    try:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                return True
            time.sleep(0.01)
    except ChildProcessError:  # the exit status was read before
        pass
    return False


def _kill_fork_server() -> None:
    """Kill the fork server: a clean exit frees its imports for seconds, and it may still be importing."""
    if _fork_server._forkserver_pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(_fork_server._forkserver_pid, signal.SIGKILL)


def _run_guarded(connection: Any, job: bytes) -> None:
    """Run a pickled `(target, arguments)` in a new process, whose guard this process becomes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    assert parent.pid is not None
    if _fork_server._forkserver_alive_fd is not None:
        # The fork server ends when zoo and all worker processes have closed their copies of its pipe.
        os.close(_fork_server._forkserver_alive_fd)
    guard_worker(parent.pid, parent.sentinel)
    target, arguments = pickle.loads(job)  # not earlier: the guard must not import the module of the target
    target(connection, *arguments)


def _start(context: Any, target: Callable[..., None], arguments: Sequence[Any]) -> WorkerProcess:
    ours, theirs = context.Pipe()
    job = bytes(ForkingPickler.dumps((target, tuple(arguments))))
    process = context.Process(target=_run_guarded, args=(theirs, job), daemon=True)
    with _start_lock, _without_main():
        process.start()
    theirs.close()
    return WorkerProcess(process, ours)


@contextlib.contextmanager
def terminal_signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGHUP in a process started in the block, because this process handles both."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's script, which `multiprocessing` would import again in every worker."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
