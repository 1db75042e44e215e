"""The process in which a plugin is loaded for the first time, and what it does there is looked at.

It reads what to load from stdin, and says `begun`, then its verdict as JSON, on stdout. A plugin that
takes the process down leaves no verdict; one that hangs is ended by faulthandler's own thread, which
needs no lock of Python's. Either leaves on stderr where it was.
"""

from __future__ import annotations

import builtins
import faulthandler
import gc
import json
import locale
import logging
import multiprocessing
import os
import random
import signal
import socket
import sys
import sysconfig
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

import numpy as np

from zoo.registry._place import raised_at, shown_place, top_level
from zoo.registry._plugin import HOOKS, Plugin
from zoo.registry._registry import Registry

# Seconds each, which no `zoo list` may take; and a supervisor with Keras in it would hold a GPU.
HEAVY = ("jax", "keras", "matplotlib", "mlflow", "optuna", "pandas", "tensorflow", "torch")

_LONGEST = 60  # characters of what a plugin printed, in its error
_MOST = 5  # changes


def probe(request: Mapping[str, Any]) -> NoReturn:
    """Load one plugin and say what came of it."""
    verdict = os.fdopen(os.dup(1), "w", encoding="utf-8")
    last_words = os.fdopen(os.dup(2), "wb", buffering=0)
    printed = _take_output()
    process = os.getpid()
    point = EntryPoint(*request["entry_point"])
    plugin = Plugin(point.name, request["distribution"], request["version"], top_level(point.value))
    refusing = Refusing(plugin.package)
    sys.meta_path.insert(0, refusing)
    warnings.showwarning = _unheard
    known = set(sys.modules)
    before = state()
    print("begun", file=verdict, flush=True)
    faulthandler.enable(last_words)
    faulthandler.dump_traceback_later(request["seconds"], exit=True, file=last_words)
    try:
        Registry().add(plugin, point.load)
    except KeyboardInterrupt as error:  # nobody's but its own: no terminal reaches this process
        plugin.problem = f"{plugin.told} could not be loaded: {raised_at(error, plugin.package)}"
    faulthandler.cancel_dump_traceback_later()
    if os.getpid() != process:
        os._exit(0)  # the plugin forked, and this is the other one
    problem = _problem(plugin, refusing.refused, _text(printed), changes(before, state()))
    files = _files(set(sys.modules) - known, plugin.package)
    print(json.dumps({"problem": problem, "files": files}), file=verdict, flush=True)
    os._exit(0)  # whatever threads it left


def state() -> dict[str, Any]:
    """What all that runs in a process share, by the words that an error uses for it."""
    logger = logging.getLogger()
    mask = os.umask(0)
    os.umask(mask)
    return {
        **{f"the environment variable {name}": value for name, value in os.environ.items()},
        "the working folder": Path.cwd(),
        "the umask": mask,
        "the state of random": random.getstate(),
        "the state of numpy.random": _numpy_random(),
        "numpy's handling of errors": np.geterr(),
        "the warnings filters": list(warnings.filters),
        "warnings.showwarning": warnings.showwarning,
        "the root logger": (logger.level, list(logger.handlers), list(logger.filters)),
        "what logging keeps silent": logger.manager.disable,
        "a signal's handler": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "sys.path": list(sys.path),
        "how modules are found": (list(sys.meta_path), list(sys.path_hooks)),
        "the streams": (sys.stdin, sys.stdout, sys.stderr),
        "sys.excepthook": sys.excepthook,
        "threading.excepthook": threading.excepthook,
        "the trace function": (sys.gettrace(), sys.getprofile()),
        "the recursion limit": sys.getrecursionlimit(),
        "the garbage collector": (gc.isenabled(), gc.get_threshold()),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the default timeout of sockets": socket.getdefaulttimeout(),
        "the start method of multiprocessing": multiprocessing.get_start_method(allow_none=True),
        "the builtins": {name: id(value) for name, value in vars(builtins).items() if name != "_"},
        "the list of running threads": threading.enumerate(),
        "the list of child processes": _has_children(),
    }


def _numpy_random() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return (name, np.asarray(keys).tobytes(), *rest)


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The words for everything that is not as it was."""
    absent = object()
    return [name for name in {**before, **after} if before.get(name, absent) != after.get(name, absent)]


class Refusing:
    """A finder that lets no heavy package be imported, and remembers where that was tried."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.refused: list[tuple[str, str]] = []  # the heavy package, and where: `zoo_x/nets.py:3`

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in HEAVY or PathFinder.find_spec(name) is None:  # asking whether it is there is no harm
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> NoReturn:
        self.refused.append((spec.name, _where(sys._getframe(1), self._package)))
        raise ImportError(f"{spec.name} is not to be imported while plugins are loaded")

    def exec_module(self, module: ModuleType) -> None: ...


def _where(frame: FrameType | None, package: str) -> str:
    """The line of the plugin that is running, whose code it called, and the hook that led there.

    `zoo_x.py:1, through sklearn`, or `zoo_x/nets.py:3, called by register_architectures, zoo_x.py:9`.
    """
    through = place = ""
    while frame is not None:
        path, line = frame.f_code.co_filename, frame.f_lineno
        if (shown := shown_place(path, package)) is not None:
            if not place:
                place = f"{shown}:{line}{through}"
            elif frame.f_code.co_name in HOOKS.values():
                return f"{place}, called by {frame.f_code.co_name}, {shown}:{line}"
        elif not place and not through and not path.startswith("<frozen"):
            through = f", through {top_level(frame.f_globals.get('__name__') or path)}"
        frame = frame.f_back
    return place or through.removeprefix(", ")


def _problem(plugin: Plugin, refused: list[tuple[str, str]], printed: str, changed: list[str]) -> str:
    """The worst that it did, in one line; "" if it did nothing wrong."""
    if refused:
        heavy, place = refused[0]
        return (
            f"{plugin.told} imports {heavy} when it is loaded ({place}), which takes seconds; "
            "import it inside the function that needs it."
        )
    if plugin.problem:
        return plugin.problem
    if printed:
        return f"{plugin.told} prints when it is loaded: {printed}; print inside a function, or not at all."
    if changed:
        return (
            f"{plugin.told} changes what others use when it is loaded: {_listed(changed)}; do that, "
            "or import the package that does it, inside the function that needs it."
        )
    return ""


def _listed(changed: list[str]) -> str:
    shown = ", ".join(changed[:_MOST])
    return f"{shown} and {len(changed) - _MOST} more" if len(changed) > _MOST else shown


def _take_output() -> int:
    """From now on both streams, of Python and of native code, go to a file without a name."""
    with tempfile.TemporaryFile() as file:
        taken = os.dup(file.fileno())
    os.dup2(taken, 1)
    os.dup2(taken, 2)
    return taken


def _text(printed: int) -> str:
    """The beginning of what was printed, in quotes; "" if nothing was."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a stream of the plugin's own
            stream.flush()
    text = " ".join(os.pread(printed, 4 * _LONGEST, 0).decode(errors="replace").split())
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…") if text else ""


def _files(modules: set[str], package: str) -> list[str]:
    """The files that ran, of the plugin and of whatever else may change without pip's doing."""
    paths = sysconfig.get_paths()
    steady = tuple(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    return sorted(
        str(Path(file))
        for name, file in files.items()
        if file and (top_level(name) == package or not file.startswith(steady))
    )


def _unheard(*_: object, **__: object) -> None:
    """A warning is no print: some come only when a file is compiled for the first time."""
