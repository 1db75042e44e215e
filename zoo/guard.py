"""The guard of a worker process: its parent, which ends it and all processes that it has started.

    zoo, or its fork server ─► guard ─► worker process ─► what a plugin starts

The guard runs no code of plugins. It leads its own session and process group, so that no signal of a terminal
reaches the worker process. On Linux, it adopts every process that loses its parent, including daemons. When
the worker process or zoo ends, the guard kills the remaining processes, and exits with the same status.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import select
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

# Signals for the guard: end the worker process; write its stack.
STOP_SIGNAL, STACK_SIGNAL = signal.SIGUSR2, signal.SIGUSR1
_FORWARDED = (signal.SIGTERM, signal.SIGQUIT)
_SIGNALS = (STOP_SIGNAL, STACK_SIGNAL, *_FORWARDED, signal.SIGCHLD)
# With this signal the worker process writes its stack; plugins rarely use a real-time signal.
_DUMP_SIGNAL = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR1
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CLEANUP_TIMEOUT_S = 5.0


def guard_worker(parent: int, parent_sentinel: int) -> None:
    """Fork. The new process is the worker process and returns; this process is its guard and never returns.

    Args:
        parent: process id of zoo. If a fork server forked this process, its parent is another one.
        parent_sentinel: a file descriptor that becomes readable when `parent` has ended.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    os.setsid()
    guard = os.getpid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        # The kernel sends the signal when the thread that started this process ends. The fork server has only
        # one thread; a thread of zoo may end before the worker process.
        _prctl(_PR_SET_PDEATHSIG, STOP_SIGNAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: imported libraries have threads
        worker = os.fork()
    if worker:
        _guard(worker, parent_sentinel)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)
    # The handler needs neither Python's lock nor the main thread, so it works during native code.
    faulthandler.register(_DUMP_SIGNAL, file=2, all_threads=True, chain=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of a process, zombies included; [] if there is no `/proc`."""
    numbers = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [number for number in numbers if _stat(number)[1:2] == [str(pid)]]


def is_stopped(pid: int) -> bool:
    """Return True if a process is stopped, for example by SIGSTOP or a debugger."""
    return _stat(pid)[:1] in (["T"], ["t"])


def _stat(pid: int) -> list[str]:
    """Return state, parent and other facts about a process; [] if unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name of the process may contain spaces and parentheses


def _prctl(option: int, value: int) -> None:
    """Call `prctl`, which only Linux has."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _guard(worker: int, parent_sentinel: int) -> NoReturn:
    """Wait for the end of the worker process, kill its remaining processes, and exit with its status."""
    status = 1 << 8
    try:
        status = _wait_for(worker, parent_sentinel)
        _kill_children()
    finally:
        _exit_like(status)


def _wait_for(worker: int, parent_sentinel: int) -> int:
    """Return the wait status of the worker process; forward signals; kill it when the parent ends."""
    wakeup = _wakeup_pipe(keep=parent_sentinel)
    handles = [wakeup, parent_sentinel]
    while True:
        ready, _, _ = select.select(handles, [], [])
        signums = os.read(wakeup, 4096) if wakeup in ready else b""
        if parent_sentinel in ready:
            handles.remove(parent_sentinel)
        if parent_sentinel in ready or STOP_SIGNAL in signums:
            os.kill(worker, signal.SIGKILL)
        if STACK_SIGNAL in signums:
            os.kill(worker, _DUMP_SIGNAL)
        for signum in _FORWARDED:
            if signum in signums:
                os.kill(worker, signum)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:  # including adopted processes
                if ended[0] == worker:
                    return ended[1]


def _wakeup_pipe(keep: int) -> int:
    """Return a pipe that gets the number of each signal; close all other files except `keep`.

    A file that stays open would keep a pipe of the caller open, as in `zoo tune STUDY | tail`.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.closerange(3, keep)
    os.closerange(keep + 1, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 20))
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    for signum in _SIGNALS:
        signal.signal(signum, lambda *_: None)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return readable


def _kill_children() -> None:
    """Kill all remaining processes. The children of a killed process become children of this one."""
    deadline = time.monotonic() + _CLEANUP_TIMEOUT_S
    with suppress(ChildProcessError):  # no process is left
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
            for pid in children_of(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def _exit_like(status: int) -> NoReturn:
    """End this process as described by a wait status: by the same signal, or with the same exit status."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL has no handler
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
