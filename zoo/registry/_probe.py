"""The code of a probe process: it loads one plugin and reports what the plugin did.

The process gets a request as its argument, and the source of a plugin file on stdin. It writes `started` to
stdout, and then the result as JSON. If the plugin ends the process, there is no result. If the plugin hangs,
a thread of faulthandler ends the process; this thread does not need Python's interpreter lock. In both cases
stderr contains the traceback.
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
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

from zoo.errors import listed
from zoo.global_state import changes, random_states, snapshot
from zoo.registry._files import PluginFile
from zoo.registry._loading import HEAVY_PACKAGES, load_plugin
from zoo.registry._plugin import HOOKS, Plugin, describe_with_location, path_in_package, top_level_package
from zoo.registry._registry import Registry

_MAX_OUTPUT = 60  # characters of the plugin's output in the message about it
_MAX_CHANGES = 5


def probe(request: Mapping[str, Any]) -> NoReturn:
    """Load the plugin of `request`, write the result to stdout, and exit."""
    result = os.fdopen(os.dup(1), "w", encoding="utf-8")
    traceback = os.fdopen(os.dup(2), "wb", buffering=0)
    output = _redirect_output()
    plugin = Plugin(*request["plugin"])
    if request["file"]:
        # As the command read it: the file may have changed since.
        plugin = Plugin.of_file(PluginFile(Path(request["file"]), sys.stdin.buffer.read()))
    finder = HeavyImportFinder(plugin.package)
    sys.meta_path.insert(0, finder)
    # Python shows some warnings only when it compiles a file, so they do not count as output of the plugin.
    warnings.showwarning = lambda *_, **__: None
    modules = set(sys.modules)
    before = {**snapshot(), **random_states()}
    print("started", file=result, flush=True)
    faulthandler.enable(traceback)
    faulthandler.dump_traceback_later(request["timeout_s"], exit=True, file=traceback)
    try:
        Registry().add(plugin, partial(load_plugin, plugin))
    except KeyboardInterrupt as error:  # raised by the plugin: this process has no terminal
        plugin.problem = (
            f"{plugin.title} could not be loaded: {describe_with_location(error, plugin.package)}"
        )
    faulthandler.cancel_dump_traceback_later()
    changed_settings = [change.setting for change in changes(before, {**snapshot(), **random_states()})]
    problem = _problem(plugin, finder.refused_imports, _read_output(output), changed_settings)
    files = _files(set(sys.modules) - modules, plugin.package)
    print(json.dumps({"problem": problem, "files": files}), file=result, flush=True)
    os._exit(0)  # a thread that the plugin started would delay a normal exit


class HeavyImportFinder:
    """An import finder that refuses heavy packages, and records which line of the plugin imports them."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.refused_imports: list[tuple[str, str]] = []  # package and location: `zoo_x/nets.py:3`

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name not in HEAVY_PACKAGES or PathFinder.find_spec(name) is None:
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> NoReturn:
        self.refused_imports.append((spec.name, _location(sys._getframe(1), self._package)))
        raise ImportError(f"{spec.name} must not be imported while plugins are loaded")

    def exec_module(self, module: ModuleType) -> None: ...


def _location(frame: FrameType | None, package: str) -> str:
    """Return the location of an import: the plugin's line, and how the import was reached.

    Examples: `zoo_x.py:1, through sklearn` if the plugin imports scikit-learn, which imports the package;
    `zoo_x/nets.py:3, called by register_architectures, zoo_x.py:9` if a hook calls the importing function.
    """
    through = location = ""
    while frame is not None:
        path, line = frame.f_code.co_filename, frame.f_lineno
        if (short_path := path_in_package(path, package)) is not None:
            if not location:
                location = f"{short_path}:{line}{through}"
            elif frame.f_code.co_name in HOOKS.values():
                return f"{location}, called by {frame.f_code.co_name}, {short_path}:{line}"
        elif not location and not through and not path.startswith("<frozen"):
            through = f", through {top_level_package(frame.f_globals.get('__name__') or path)}"
        frame = frame.f_back
    return location or through.removeprefix(", ")


def _problem(
    plugin: Plugin, refused_imports: list[tuple[str, str]], output: str, changed_settings: list[str]
) -> str:
    """Return a message about the most important problem; "" if there is none."""
    if refused_imports:
        package, location = refused_imports[0]
        return (
            f"{plugin.title} imports {package} when it is loaded ({location}), and this import takes "
            f"seconds; import {package} inside the function that needs it."
        )
    if plugin.problem:
        return plugin.problem
    if output:
        return (
            f"{plugin.title} prints when it is loaded: {output}; remove the output, or print in a function."
        )
    if changed_settings:
        settings = listed(changed_settings, _MAX_CHANGES)
        return (
            f"{plugin.title} changes global state when it is loaded: {settings}; "
            "move this code, or the import that causes the change, into the function that needs it."
        )
    return ""


def _redirect_output() -> int:
    """Redirect stdout and stderr, also of native code, to an unnamed file; return the file's descriptor."""
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(file.fileno())
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    return descriptor


def _read_output(output: int) -> str:
    """Return the first characters of the plugin's output, in quotes; "" if there is no output."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the plugin may have replaced the stream
            stream.flush()
    text = " ".join(os.pread(output, 4 * _MAX_OUTPUT, 0).decode(errors="replace").split())
    return repr(text if len(text) <= _MAX_OUTPUT else text[: _MAX_OUTPUT - 1] + "…") if text else ""


def _files(modules: set[str], package: str) -> list[str]:
    """Return the files of the plugin's modules, and of modules that are not in one of Python's folders.

    A module in one of Python's folders changes only with an installation, which changes the folder.
    """
    paths = sysconfig.get_paths()
    python_folders = tuple(paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    return sorted(
        str(Path(file))
        for name, file in files.items()
        if file and (top_level_package(name) == package or not file.startswith(python_folders))
    )
