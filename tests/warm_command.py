"""Run the installed `zoo` in a process forked from one that has imported its libraries already.

To import Keras and MLflow takes some six seconds of processor time for each command. `WarmCommand` starts one
process that imports them and then forks: once for each command, and the command again where
`multiprocessing` would start a fresh interpreter (the fork server, the reader of a dataset). A forked process
gets the modules, environment, folder, streams, signal handlers and file descriptors of a new interpreter,
and it is a real child of its parent.

Tests of signals and of the time to start use the real command. So does the first `zoo tune` of
the longest story.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import json
import os
import pkgutil
import runpy
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence, Set
from multiprocessing.util import spawnv_passfds as _start_interpreter
from pathlib import Path
from typing import Any

LIBRARIES = (
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "optuna.importance._fanova",
    "optuna.visualization.matplotlib",
    "pandas",
    "plotly.graph_objects",
    "sklearn.ensemble",
)
"""Imported before Keras, as zoo is: the command itself sees only these and what they import."""

# A command with other values of these starts like in a terminal: they are read when Python or Keras starts.
_READ_AT_START = (
    *("KERAS_BACKEND", "KERAS_HOME", "TF_USE_LEGACY_KERAS", "XLA_FLAGS"),
    *("LANG", "LC_ALL", "PYTHONHASHSEED", "PYTHONIOENCODING", "PYTHONUTF8"),
)


class WarmClient:
    """Runs commands in forks of the process that listens at an address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def run(
        self,
        command: Sequence[object],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float = 240.0,
        terminal: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command like `subprocess.run(..., capture_output=True, text=True)`.

        Args:
            command: the script `zoo`, or Python with a file or with `-c` and a program; and arguments.
            terminal: a descriptor that becomes its stdin and stderr.
        """
        command = [*map(str, command)]
        if _settings(env) != _settings(os.environ):
            return subprocess.run(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if terminal is None else terminal,
                text=True,
                timeout=timeout,
                check=False,
            )
        request = json.dumps({"command": command, "cwd": str(cwd), "env": dict(env)}).encode()
        with (
            Path(os.devnull).open("rb") as stdin,
            tempfile.TemporaryFile() as stdout,
            tempfile.TemporaryFile() as stderr,
            socket.socket(socket.AF_UNIX) as connection,
        ):
            connection.settimeout(timeout)
            connection.connect(self.address)
            streams = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
            if terminal is not None:
                streams[0] = streams[2] = terminal
            socket.send_fds(connection, [b"%10d" % len(request)], streams)
            connection.sendall(request)
            answer = connection.recv(100)
            assert answer, "the process from which commands are forked has died"
            output = [os.pread(file.fileno(), 10**9, 0).decode() for file in (stdout, stderr)]
        return subprocess.CompletedProcess(command, int(answer), *output)

    def pytest(
        self, *arguments: object, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run pytest like `python -m pytest`, with Keras imported already."""
        program = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
        options = ("-q", "-p", "no:cacheprovider")
        return self.run([sys.executable, "-c", program, *options, *arguments], cwd=cwd, env=env, timeout=400)


class WarmCommand(WarmClient):
    """The process from which commands are forked; before the first it imports nothing. Close it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zoo-warm-")
        super().__init__(str(Path(self._folder.name) / "socket"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen()
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self._listener.fileno())],
            pass_fds=[self._listener.fileno()],
            stdin=subprocess.PIPE,  # its end is the end of this process
            cwd=self._folder.name,
        )
        self._listener.close()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def _serve(listener: socket.socket) -> None:
    """Import the libraries, then fork a process for each request, for ever."""
    import gc
    import signal
    import threading

    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which it is not under nohup
    if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:  # no test runs a command
        return
    gc.disable()  # until everything is imported
    for library in LIBRARIES:
        __import__(library)
    _import_zoo()
    before_keras = dict(sys.modules)
    assert "keras" not in before_keras, "the command itself never imports Keras"
    known = {*map(_package, before_keras), *sys.stdlib_module_names} - {"zoo"}
    importlib.import_module("zoo.training.preload")

    # The command never imports Keras and what only Keras needs, except in the processes that it starts.
    of_commands = before_keras | {name: one for name, one in sys.modules.items() if _package(name) in known}
    # A fresh interpreter runs the preload module itself, for what it does besides its imports.
    of_interpreters = {name: module for name, module in sys.modules.items() if name != "zoo.training.preload"}
    paths = [path for path in sys.path if path not in ("", str(Path(__file__).parent))]
    gc.freeze()
    gc.enable()
    assert threading.active_count() == 1, "threads do not survive a fork"
    running: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor that is ready at the command's end
    while sys.stdin not in (ready := select.select([listener, sys.stdin, *running], [], [])[0]):
        for ended in running.keys() & ready:
            _answer(ended, *running.pop(ended))
        if listener in ready:
            connection = listener.accept()[0]
            if (pid := os.fork()) == 0:
                _close_all_but({0, 1, 2, connection.fileno()})
                _become_command(connection, of_commands, of_interpreters, paths)
            running[os.pidfd_open(pid)] = pid, connection


def _import_zoo() -> None:
    """Import every package of zoo and every command, which import their modules, but not Keras."""
    import zoo.cli
    from zoo.builtin import MODULES

    packages = [one.name for one in pkgutil.walk_packages(zoo.__path__, "zoo.") if one.ispkg]
    commands = [one.name for one in pkgutil.walk_packages(zoo.cli.__path__, "zoo.cli.")]
    for name in (*packages, *commands, *MODULES):
        importlib.import_module(name)


def _answer(ended: int, pid: int, connection: socket.socket) -> None:
    """Send the exit status of a command that has ended."""
    os.close(ended)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):  # a test that waits no longer has closed its end
        connection.sendall(str(status).encode())
    connection.close()


def _settings(environment: Mapping[str, str]) -> list[str | None]:
    return [environment.get(name) for name in _READ_AT_START]


def _package(name: str) -> str:
    return name.partition(".")[0]


def _become_command(
    connection: socket.socket,
    of_commands: dict[str, Any],
    of_interpreters: dict[str, Any],
    paths: list[str],
) -> None:
    """Turn this process into the command that `connection` asks for, and end with its exit status."""
    size, streams, *_ = socket.recv_fds(connection, 10, 3)
    text = b""
    while len(text) < int(size):
        text += connection.recv(10**6)
    request = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    connection.close()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    command = request["command"]
    if command[0] == sys.executable:
        is_text = command[1] == "-c"
        _reset_interpreter(of_interpreters, ["" if is_text else str(Path(command[1]).parent)], paths)
        _fork_interpreters(of_interpreters, paths, only_without_threads=True)  # which Keras starts
        sys.argv = ["-c", *command[3:]] if is_text else command[1:]
        if is_text:
            _exit_after(lambda: exec(command[2], {"__name__": "__main__"}))
        _exit_after(lambda: runpy.run_path(command[1], run_name="__main__"))
    _reset_interpreter(of_commands, [str(Path(command[0]).parent)], paths)
    _unlink_submodules(of_interpreters.keys() - of_commands.keys())
    hidden = {name: module for name, module in of_interpreters.items() if name not in of_commands}
    sys.meta_path.insert(0, _Hidden({name: hidden[name] for name in hidden if _package(name) != "zoo"}))
    _fork_interpreters(of_interpreters, paths)
    sys.argv = command
    _exit_after(lambda: runpy.run_path(command[0], run_name="__main__"))


class _Hidden(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of Keras, which cannot be imported twice, when a command imports one of them."""

    def __init__(self, modules: dict[str, Any]) -> None:
        self._modules = modules
        self._specs = {name: module.__spec__ for name, module in modules.items()}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._modules:
            return None
        from multiprocessing import util

        util.spawnv_passfds = _start_interpreter  # since its threads do not survive a fork
        sys.meta_path.remove(self)
        sys.modules.update({other: one for other, one in self._modules.items() if other != name})
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec: Any) -> Any:
        return self._modules[spec.name]

    def exec_module(self, module: Any) -> None:
        module.__spec__ = self._specs[module.__name__]


def _fork_interpreters(
    modules: dict[str, Any], paths: list[str], *, only_without_threads: bool = False
) -> None:
    """Let `multiprocessing` fork this process where it would start a fresh interpreter."""
    import threading
    from multiprocessing import util

    settings = _settings(os.environ)

    def fork(path: Any, arguments: Sequence[Any], passed: Sequence[int]) -> int:
        words = [os.fsdecode(word) for word in arguments]
        code = words[words.index("-c") + 1]
        num_threads = len(list(Path("/proc/self/task").iterdir()))
        is_unsafe = only_without_threads and num_threads > threading.active_count()
        if is_unsafe or "resource_tracker" in code or _settings(os.environ) != settings:
            return int(_start_interpreter(path, arguments, passed))
        if pid := os.fork():
            return pid

        def interpret() -> None:
            _close_all_but({0, 1, 2, *map(int, passed)})
            forgotten = _reset_multiprocessing(), dict(sys.modules)  # kept: their ends close descriptors
            _reset_interpreter(modules, [""], paths)
            sys.argv = ["-c", *words[words.index("-c") + 2 :]]
            exec(code, {"__name__": "__main__", "forgotten": forgotten})

        _exit_after(interpret)
        return 0

    util.spawnv_passfds = fork


def _close_all_but(kept: set[int]) -> None:
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number not in kept:
            with contextlib.suppress(OSError):  # the one with which the folder was read is closed already
                os.close(number)


def _reset_interpreter(modules: dict[str, Any], first: list[str], paths: list[str]) -> None:
    """Give this process the modules, search path, streams and signal handlers of a new interpreter."""
    import atexit
    import signal

    atexit._clear()
    sys.modules.clear()
    sys.modules.update(modules)
    _link_submodules(modules)
    extra = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*first, *extra, *paths]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    for signum in signal.valid_signals():
        if callable(signal.getsignal(signum)):
            signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def _unlink_submodules(names: Set[str]) -> None:
    """Remove attributes of packages, so that `from zoo.training import loop` imports the module again."""
    for name in names:
        package, _, attribute = name.rpartition(".")
        if package in sys.modules:
            vars(sys.modules[package]).pop(attribute, None)


def _link_submodules(modules: dict[str, Any]) -> None:
    """Give packages of zoo the attributes that `_unlink_submodules` has removed."""
    for name, module in modules.items():
        package, _, attribute = name.rpartition(".")
        if _package(name) == "zoo" and package:
            vars(modules[package]).setdefault(attribute, module)


def _reset_multiprocessing() -> list[Any]:
    """Forget the children and connections of the process that this one was forked from, and return them."""
    import gc
    from multiprocessing import forkserver, process, resource_tracker, util

    forgotten = [process._children, dict(util._finalizer_registry)]
    for server in (forkserver._forkserver, resource_tracker._resource_tracker):
        forgotten.append(dict(vars(server)))
        server.__init__()
    util._finalizer_registry.clear()
    process._children = set()
    process._current_process = type(process._current_process)()
    gc.freeze()
    return forgotten


def _exit_after(function: Any) -> None:
    """Call the function, then end this process as the interpreter does."""
    import atexit
    import threading
    import traceback

    status = 0
    try:
        function()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
