"""The process in which a plugin is loaded for the first time and watched.

It gets a request as its argument, and writes `started` and then the result as JSON to stdout. A plugin that
ends the process leaves no result. A plugin that hangs is ended by faulthandler's own thread, which needs no
lock of Python's. In both cases stderr has the traceback.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from zoo.global_state import changes, random_states, snapshot
from zoo.registry._plugin import HOOKS, Plugin, describe_error, path_in_package, top_level
from zoo.registry._registry import Registry

# They take seconds to import, too long for `zoo list`; and a supervisor with Keras would hold a GPU.
HEAVY = ("jax", "keras", "matplotlib", "mlflow", "optuna", "pandas", "tensorflow", "torch")

_MAX_OUTPUT = 60  # characters of a plugin's output that its error shows
_MAX_CHANGES = 5


def probe(request: Mapping[str, Any]) -> NoReturn:
    """Load one plugin and write what it did."""
    result = os.fdopen(os.dup(1), "w", encoding="utf-8")
    traceback = os.fdopen(os.dup(2), "wb", buffering=0)
    output = _redirect_output()
    plugin = Plugin(*request["plugin"])
    finder = HeavyImportFinder(plugin.package)
    sys.meta_path.insert(0, finder)
    warnings.showwarning = lambda *_, **__: None  # some come only when a file is compiled the first time
    modules = set(sys.modules)
    before = {**snapshot(), **random_states()}
    print("started", file=result, flush=True)
    faulthandler.enable(traceback)
    faulthandler.dump_traceback_later(request["timeout"], exit=True, file=traceback)
    try:
        Registry().add(plugin, plugin.load)
    except KeyboardInterrupt as error:  # the plugin raised it: no terminal reaches this process
        plugin.problem = f"{plugin.title} could not be loaded: {describe_error(error, plugin.package)}"
    faulthandler.cancel_dump_traceback_later()
    changed = [change.setting for change in changes(before, {**snapshot(), **random_states()})]
    problem = _problem(plugin, finder.refused, _text(output), changed)
    files = _files(set(sys.modules) - modules, plugin.package)
    print(json.dumps({"problem": problem, "files": files}), file=result, flush=True)
    os._exit(0)  # even if the plugin left threads running


class HeavyImportFinder:
    """A finder that refuses to import heavy packages, and records where that was tried."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.refused: list[tuple[str, str]] = []  # the heavy package and the place: `zoo_x/nets.py:3`

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name not in HEAVY or PathFinder.find_spec(name) is None:
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> NoReturn:
        self.refused.append((spec.name, _location(sys._getframe(1), self._package)))
        raise ImportError(f"{spec.name} must not be imported while plugins are loaded")

    def exec_module(self, module: ModuleType) -> None: ...


def _location(frame: FrameType | None, package: str) -> str:
    """Return the plugin's line that imports, the package between, and the hook that led to it.

    Examples: `zoo_x.py:1, through sklearn`; `zoo_x/nets.py:3, called by register_architectures, zoo_x.py:9`.
    """
    through = location = ""
    while frame is not None:
        path, line = frame.f_code.co_filename, frame.f_lineno
        if (shown := path_in_package(path, package)) is not None:
            if not location:
                location = f"{shown}:{line}{through}"
            elif frame.f_code.co_name in HOOKS.values():
                return f"{location}, called by {frame.f_code.co_name}, {shown}:{line}"
        elif not location and not through and not path.startswith("<frozen"):
            through = f", through {top_level(frame.f_globals.get('__name__') or path)}"
        frame = frame.f_back
    return location or through.removeprefix(", ")


def _problem(plugin: Plugin, refused: list[tuple[str, str]], output: str, changed: list[str]) -> str:
    """Return the most important problem in one line; "" if there is none."""
    if refused:
        heavy, location = refused[0]
        return (
            f"{plugin.title} imports {heavy} when it is loaded ({location}), which takes seconds; "
            "import it inside the function that needs it."
        )
    if plugin.problem:
        return plugin.problem
    if output:
        return f"{plugin.title} prints when it is loaded: {output}; print inside a function, or do not print."
    if changed:
        more = f" and {len(changed) - _MAX_CHANGES} more" if len(changed) > _MAX_CHANGES else ""
        listed = ", ".join(changed[:_MAX_CHANGES]) + more
        return (
            f"{plugin.title} changes global state when it is loaded: {listed}; "
            "do that, or import the package that does it, inside the function that needs it."
        )
    return ""


def _redirect_output() -> int:
    """Send stdout and stderr, of Python and of native code, to an unnamed file; return its descriptor."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    return descriptor


def _text(output: int) -> str:
    """Return the start of the output in quotes; "" if there was none."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the plugin may have replaced it
            stream.flush()
    text = " ".join(os.pread(output, 4 * _MAX_OUTPUT, 0).decode(errors="replace").split())
    return repr(text if len(text) <= _MAX_OUTPUT else text[: _MAX_OUTPUT - 1] + "…") if text else ""


def _files(modules: set[str], package: str) -> list[str]:
    """Return the files of the plugin, and of other modules that change without an installation."""
    paths = sysconfig.get_paths()
    installed = tuple(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    return sorted(
        str(Path(file))
        for name, file in files.items()
        if file and (top_level(name) == package or not file.startswith(installed))
    )
