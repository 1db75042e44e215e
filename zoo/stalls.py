"""Worker processes that hang: detecting them, finding the place, and killing them.

A worker process shows activity when it sends messages, writes output, or calls `zoo.process.sign_of_life`, as
every batch does. Time without a watcher is not counted: zoo was stopped, or the machine was asleep.
"""

from __future__ import annotations

import re
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from zoo.durations import duration_text
from zoo.errors import ZooError
from zoo.process import WorkerProcess, wait_for_any

_MIN_TIMEOUT_S = 1800.0  # for a trial, which may load pretrained weights before its first batch
_CALL_TIMEOUT_S = 7200.0  # for a dataset or another call, which may report nothing
_FACTOR = 10
_LONGEST_STEP_S = 5.0
_STACK_TIMEOUT_S = 3.0
_timeout: ContextVar[float | None] = ContextVar("stall_timeout", default=None)


class Stalled(ZooError):
    """A worker process that hung and was killed."""

    exit_status = 1


@contextmanager
def stall_timeout(seconds: float | None) -> Iterator[None]:
    """Set the time without a sign of life after which a worker process is killed.

    None, the default, means 30 minutes for a trial, or ten times the longest silence of a trial so far if
    that is longer, and two hours for a dataset or another call. `math.inf` means no limit.
    """
    token = _timeout.set(seconds)
    try:
        yield
    finally:
        _timeout.reset(token)


def current_stall_timeout() -> float | None:
    """Return the value of `stall_timeout`. It is sent to processes on other machines."""
    return _timeout.get()


class StallLimit:
    """The time without a sign of life after which a trial counts as stalled, given the trials so far."""

    def __init__(self) -> None:
        self._longest = 0.0

    def observe(self, silent_s: float) -> None:
        """Use the length of a silence that ended with a sign of life."""
        self._longest = max(self._longest, silent_s)

    @property
    def seconds(self) -> float:
        timeout = _timeout.get()
        return max(_MIN_TIMEOUT_S, _FACTOR * self._longest) if timeout is None else timeout


class Watch:
    """The time that one worker process has been silent, and the time that it has been watched, in seconds."""

    def __init__(self, worker: WorkerProcess, limit: StallLimit | None = None) -> None:
        self.silent_s = self.total_s = 0.0
        self._worker = worker
        self._limit = limit or StallLimit()
        self._output = self._output_state()
        self._checked_at = time.monotonic()

    def update(self) -> None:
        """Add the time since the last call, at most five seconds, because this is called every second."""
        now = time.monotonic()
        step, self._checked_at = min(now - self._checked_at, _LONGEST_STEP_S), now
        self.silent_s += step
        self.total_s += step
        output = self._output_state()
        if output != self._output or self._worker.has_message():
            self._output = output
            self.restart()

    def restart(self) -> None:
        """Begin a new silence after a sign of life."""
        self._limit.observe(self.silent_s)
        self.silent_s = 0.0

    @property
    def is_stalled(self) -> bool:
        """True if the silence is too long. For a process that a user has stopped, it begins again."""
        if self.silent_s <= self._limit.seconds:
            return False
        if self._worker.is_stopped():
            self.silent_s = 0.0
        return self.silent_s > 0.0

    def _output_state(self) -> tuple[int, int] | None:
        with suppress(OSError, AttributeError):
            facts = self._worker.log_path.stat()  # type: ignore[union-attr]
            return facts.st_size, facts.st_mtime_ns
        return None


def receive(worker: WorkerProcess, what: str, fix: str = "") -> Any:
    """Return the next message, as `WorkerProcess.receive` does; raise Stalled if the process hangs.

    Args:
        what: the process in the error message, such as `the process that prepares the dataset 'mnist'`.
        fix: the last sentence of the message.
    """
    timeout = _timeout.get()
    limit = _CALL_TIMEOUT_S if timeout is None else timeout
    watch = Watch(worker)
    while not wait_for_any([worker], 1.0):
        watch.update()
        if watch.silent_s > limit and not worker.is_stopped():
            raise Stalled(f"{what} {end_stalled(worker, watch.silent_s)}. {fix}".rstrip())
    return worker.receive()


def end_stalled(worker: WorkerProcess, silent_s: float) -> str:
    """Write the stack of a process into its log, kill the process, and describe where it hung.

    Returns:
        `stalled: no sign of life for 30m, at /home/me/net.py:12, in build; its stack is in …/output.log`.
    """
    place = _place(_stack_of(worker, silent_s))
    worker.kill()
    worker.finish()
    where = f", {place}" if place else ""
    log = f"; its stack is in {worker.log_path}" if place else f"; its output is in {worker.log_path}"
    return f"stalled: no sign of life for {duration_text(silent_s)}{where}{log}"


def _stack_of(worker: WorkerProcess, silent_s: float) -> str:
    """Append the stack of all threads to the log of a process, and return it; "" if it does not react."""
    if worker.log_path is None:
        return ""
    text = ""
    with suppress(OSError):
        with worker.log_path.open("a", encoding="utf-8") as log:
            log.write(f"\nzoo: no sign of life for {duration_text(silent_s)}; the stack of all threads:\n")
            log.flush()
            size = log.tell()
        worker.write_stack()
        deadline = time.monotonic() + _STACK_TIMEOUT_S
        while time.monotonic() < deadline:
            before = text
            time.sleep(0.1)
            text = worker.log_path.read_bytes()[size:].decode(errors="replace")
            if text and text == before:
                break
    return text


def _place(stack: str) -> str:
    """Return the last call in a plugin's code, `at net.py:12, in build`, else the last call in any code."""
    threads = re.split(r"^(?:Current thread|Thread) 0x.*$", stack, flags=re.MULTILINE)[1:]
    frames = [re.findall(r'^  File "(.+)", line (\d+) in (.+)$', one, re.MULTILINE) for one in threads]
    frames = [one for one in frames if one][::-1]  # the main thread first
    in_plugins = [frame for one in frames for frame in one if _is_plugin(Path(frame[0]))]
    for path, line, function in in_plugins[:1] or [one[0] for one in frames[:1]]:
        return f"at {path}:{line}, in {function}"
    return ""


def _is_plugin(path: Path) -> bool:
    """Return True if a file belongs to a plugin: not to Python, to zoo, or to another installed package."""
    paths = sysconfig.get_paths()
    own = Path(__file__).parent
    if not path.is_absolute() or (path.is_relative_to(own) and not path.is_relative_to(own / "builtin")):
        return False
    for packages in (Path(paths["purelib"]), Path(paths["platlib"])):
        if path.is_relative_to(packages):
            return path.relative_to(packages).parts[0].removesuffix(".py") in _plugin_packages()
    return not any(path.is_relative_to(paths[name]) for name in ("stdlib", "platstdlib"))


def _plugin_packages() -> set[str]:
    return {one.value.partition(":")[0].partition(".")[0] for one in entry_points(group="zoo")}
