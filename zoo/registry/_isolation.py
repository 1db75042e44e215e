"""Probe processes: zoo first loads each plugin in a process of its own.

A plugin's code runs in every `zoo` command. A plugin that exits, crashes, hangs or changes global state
would break the command, so it is first loaded in a probe process, which does nothing else (`_probe.py`).

A plugin passes if it loads there without a problem. A file in `~/.cache/zoo/plugins` records this. The plugin
is probed again when one of these changes: a file that it imports, its version, the version of zoo or Python,
the installed packages. A plugin that fails is probed in every command, so that a correction takes effect at
once.
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

TIMEOUT_VARIABLE = "ZOO_PLUGIN_SECONDS"
_DEFAULT_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 120.0  # a busy machine may need long to start the process

_PROBE = (
    "import json, sys; request = json.loads(sys.argv[1]); sys.path[:] = request['path']; "
    "from zoo.registry._probe import probe; probe(request)"
)


def probe_plugins(plugins: Sequence[Plugin]) -> None:
    """Probe the plugins that have not passed yet, and set the `problem` of each plugin that fails."""
    timeout_s = _timeout_s()
    pending = [plugin for plugin in plugins if not _has_passed(plugin)]
    num_parallel = max(1, os.cpu_count() or 1)
    for start in range(0, len(pending), num_parallel):
        _probe_in_parallel(pending[start : start + num_parallel], timeout_s)


def forget_result(plugin: Plugin) -> None:
    """Delete the record that the plugin passed, so that the next command probes it again."""
    with suppress(OSError, RuntimeError):
        _result_path(plugin).unlink(missing_ok=True)


def _timeout_s() -> float:
    """Return the time in which a plugin must load, in seconds."""
    text = os.environ.get(TIMEOUT_VARIABLE) or str(_DEFAULT_TIMEOUT_S)
    with suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise ZooError(f"{TIMEOUT_VARIABLE}: expected a number of seconds above 0, got '{text}'")


def _probe_in_parallel(plugins: Sequence[Plugin], timeout_s: float) -> None:
    with ExitStack() as stack:
        probes = []
        for plugin in plugins:
            with suppress(OSError):  # without a process, the plugin is loaded unprobed
                probes.append(stack.enter_context(_Probe(plugin, timeout_s)))
        for probe in probes:
            probe.plugin.problem, files = probe.result()
            if files is not None:
                _save_result(probe.plugin, files)


class _Probe:
    """A probe process, which loads one plugin, and the two files of its output.

    The output goes to files, not to pipes: a pipe stays open while a process that the plugin started runs.
    """

    def __init__(self, plugin: Plugin, timeout_s: float) -> None:
        self.plugin = plugin
        self.timeout_s = timeout_s

    def __enter__(self) -> _Probe:
        request = {
            "path": [str(Path(folder).absolute()) for folder in sys.path],
            "plugin": [self.plugin.name, self.plugin.distribution, self.plugin.version, self.plugin.value],
            "file": str(self.plugin.file.path) if self.plugin.file is not None else "",
            "timeout_s": self.timeout_s,
        }
        self.stdout, self.stderr = TemporaryFile(), TemporaryFile()
        with TemporaryFile() as source:
            if self.plugin.file is not None:
                source.write(self.plugin.file.source)
                source.seek(0)
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROBE, json.dumps(request)],
                stdin=source,  # empty for another plugin
                stdout=self.stdout,
                stderr=self.stderr,
                start_new_session=True,  # the processes that the plugin starts can be killed as one group
            )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.stdout.close()
        self.stderr.close()

    def result(self) -> tuple[str, list[str] | None]:
        """Wait for the process; return the plugin's problem, and its files if it passed.

        The problem is "" if there is none. The files are None if the plugin failed or was not loaded.
        """
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(self.timeout_s + _START_TIMEOUT_S)
        lines = _read_text(self.stdout).splitlines()
        if not lines or lines[0] != "started":
            return "", None  # the probe failed before it loaded the plugin
        if len(lines) > 1:
            answer = json.loads(lines[1])
            return answer["problem"], None if answer["problem"] else answer["files"]
        return f"{self.plugin.title} {self._describe_end()}", None

    def _describe_end(self) -> str:
        """Return why the process ended without a result: a timeout, an exit or a crash."""
        from zoo.process import describe_exit  # importing multiprocessing takes 20 ms

        traceback = _read_text(self.stderr)
        location = _location(traceback, self.plugin.package)
        if self.process.returncode is None or traceback.startswith("Timeout"):
            return (
                f"took longer than {self.timeout_s:g} s to load{location}; do less in the module and its "
                f"hooks, or set {TIMEOUT_VARIABLE} to more seconds."
            )
        return (
            f"ended the process that loaded it: {describe_exit(self.process.returncode)}{location}; "
            f"correct {'or uninstall the plugin' if self.plugin.file is None else 'the file'}."
        )


def _read_text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _location(traceback: str, package: str) -> str:
    """Return the innermost line of the plugin in a traceback of faulthandler: `, at zoo_x/nets.py:12`."""
    for path, line in re.findall(r'File "(.+?)", line (\d+)', traceback):
        if (short_path := path_in_package(path, package)) is not None:
            return f", at {short_path}:{line}"
    return ""


def _has_passed(plugin: Plugin) -> bool:
    """Return whether the plugin passed, and nothing that the result depends on has changed since then."""
    try:
        saved = json.loads(_result_path(plugin).read_text(encoding="utf-8"))
        return bool(saved == _dependencies(plugin, saved["paths"]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):  # a RecursionError is a RuntimeError
        return False


def _save_result(plugin: Plugin, files: Sequence[str]) -> None:
    with suppress(OSError, RuntimeError):  # without a writable cache, every command probes the plugin
        path = _result_path(plugin)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(_dependencies(plugin, files)))


def _dependencies(plugin: Plugin, files: Iterable[str]) -> dict[str, Any]:
    """Return the versions, and the times and sizes of files and folders, that the result depends on."""
    folders = [plugin.folder, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    statuses = {path: Path(path).stat() for path in {*folders, *files} if path}
    return {
        "version": plugin.version,
        "zoo": __version__,
        "python": sys.version,
        # The time of a folder changes when a file in it is added or removed.
        "paths": {path: [status.st_mtime_ns, status.st_size] for path, status in statuses.items()},
    }


def _result_path(plugin: Plugin) -> Path:
    """Return the path of a plugin's saved result; raise RuntimeError if the user has no home folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = plugin.folder if plugin.file is None else str(plugin.file.path)
    identity = [sys.prefix, folder, plugin.distribution, plugin.name, plugin.value]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    return cache / "zoo" / "plugins" / f"{name}.json"
