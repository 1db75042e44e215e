"""Loads each plugin in a process of its own first, and remembers which plugins did no harm there.

A plugin's code runs in every `zoo` command. A plugin that exits, crashes, hangs or changes global state
would break the command itself, so it is first loaded in a process that does nothing else (`_probe.py`). A
good result is kept in `~/.cache/zoo/plugins` until one of these changes: a file that the plugin ran, its
version, zoo's or Python's, the installed packages. A problem is not kept, so that a fix shows at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from zoo._version import __version__
from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.registry._plugin import Plugin, path_in_package

TIMEOUT = "ZOO_PLUGIN_SECONDS"
_DEFAULT_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 120.0  # for the process itself, on a busy machine

_PROBE = (
    "import json, sys; request = json.loads(sys.argv[1]); sys.path[:] = request['path']; "
    "from zoo.registry._probe import probe; probe(request)"
)


def try_loading(plugins: Sequence[Plugin]) -> None:
    """Set the `problem` of each plugin that must not be loaded."""
    timeout = _timeout()
    untried = [plugin for plugin in plugins if not _is_known_good(plugin)]
    at_once = max(1, os.cpu_count() or 1)
    for start in range(0, len(untried), at_once):
        _try_at_once(untried[start : start + at_once], timeout)


def forget(plugin: Plugin) -> None:
    """Forget the plugin's good result, so that it is tried again the next time."""
    with suppress(OSError, RuntimeError):
        _result_path(plugin).unlink(missing_ok=True)


def _timeout() -> float:
    text = os.environ.get(TIMEOUT) or str(_DEFAULT_TIMEOUT_S)
    with suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise ZooError(f"{TIMEOUT}: expected a number of seconds above 0, got '{text}'")


def _try_at_once(plugins: Sequence[Plugin], timeout: float) -> None:
    """Load the plugins, each in a process, at the same time."""
    with ExitStack() as stack:
        probes = []
        for plugin in plugins:
            with suppress(OSError):  # no process can be started: the plugin is loaded without a try
                probes.append(stack.enter_context(_Probe(plugin, timeout)))
        for probe in probes:
            probe.plugin.problem, files = probe.result()
            if files is not None:
                _remember(probe.plugin, files)


class _Probe:
    """A process that loads a plugin, and the files of its output.

    Reading from pipes would wait for the processes that the plugin leaves running.
    """

    def __init__(self, plugin: Plugin, timeout: float) -> None:
        self.plugin = plugin
        self.timeout = timeout

    def __enter__(self) -> _Probe:
        request = {
            "path": [str(Path(folder).absolute()) for folder in sys.path],
            "plugin": [self.plugin.name, self.plugin.distribution, self.plugin.version, self.plugin.value],
            "timeout": self.timeout,
        }
        self.answer, self.traceback = TemporaryFile(), TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROBE, json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=self.answer,
            stderr=self.traceback,
            start_new_session=True,  # so that the processes it starts can be killed with it
        )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.answer.close()
        self.traceback.close()

    def result(self) -> tuple[str, list[str] | None]:
        """Wait for the end; return the problem ("" if none), and the plugin's files if it did no harm."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(self.timeout + _START_TIMEOUT_S)
        started, *answer = _text(self.answer).splitlines() or [""]
        if started != "started":
            return "", None  # zoo's own part failed, so nothing is known against the plugin
        if answer:
            found = json.loads(answer[0])
            return found["problem"], None if found["problem"] else found["files"]
        return f"{self.plugin.title} {self._abrupt_end()}", None

    def _abrupt_end(self) -> str:
        from zoo.process import describe_exit  # multiprocessing takes 20 ms, and is seldom needed here

        traceback = _text(self.traceback)
        location = _location(traceback, self.plugin.package)
        if self.process.returncode is None or traceback.startswith("Timeout"):
            return (
                f"took longer than {self.timeout:g} s to load{location}; do less when it is imported, or set "
                f"{TIMEOUT} to more seconds."
            )
        return f"ended the process that loaded it: {describe_exit(self.process.returncode)}{location}."


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _location(traceback: str, package: str) -> str:
    """Return the line of the plugin in a traceback of faulthandler: `, at zoo_x/nets.py:12`."""
    for path, line in re.findall(r'File "(.+?)", line (\d+)', traceback):
        if (shown := path_in_package(path, package)) is not None:
            return f", at {shown}:{line}"
    return ""


def _is_known_good(plugin: Plugin) -> bool:
    try:
        known = json.loads(_result_path(plugin).read_text(encoding="utf-8"))
        return bool(known == _facts(plugin, known["paths"]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return False


def _remember(plugin: Plugin, files: Sequence[str]) -> None:
    with suppress(OSError, RuntimeError):  # no writable home: the plugin is tried again the next time
        path = _result_path(plugin)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(_facts(plugin, files)))


def _facts(plugin: Plugin, files: Iterable[str]) -> dict[str, Any]:
    """Return all that a good result depends on, in its present state."""
    folders = [plugin.folder, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    statuses = {path: Path(path).stat() for path in {*folders, *files} if path}
    return {
        "version": plugin.version,
        "zoo": __version__,
        "python": sys.version,
        # A folder changes with its list of files.
        "paths": {path: [one.st_mtime_ns, one.st_size] for path, one in statuses.items()},
    }


def _result_path(plugin: Plugin) -> Path:
    """Return the file for a plugin's good result in this installation; RuntimeError if there is no home."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    identity = [sys.prefix, plugin.folder, plugin.distribution, plugin.name, plugin.value]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    return cache / "zoo" / "plugins" / f"{name}.json"
