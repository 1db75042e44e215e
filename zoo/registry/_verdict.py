"""Whether a plugin can be loaded without harm: found out in a process of its own, then remembered.

A plugin is code that runs in every `zoo` command. One that exits, crashes, hangs or changes what all
share would do so to the command itself, so it is first loaded where it can do no harm (`_probe.py`).
That costs a process once: a good verdict is kept in `~/.cache/zoo/plugins` and holds until something
that could change it does: a file the plugin ran, its version, zoo's or Python's, or what pip installed.
A bad verdict is not kept, so that whatever puts a plugin right is seen at once.
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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo._version import __version__
from zoo.errors import ZooError
from zoo.registry._installed import Installed
from zoo.registry._place import shown_place

SECONDS = "ZOO_PLUGIN_SECONDS"
_DEFAULT_SECONDS = 5.0
_START_SECONDS = 120.0  # for the process itself, on a machine that is busy

_PROBE = (
    "import json, sys; request = json.load(sys.stdin); sys.path[:] = request['path']; "
    "from zoo.registry._probe import probe; probe(request)"
)


def verdicts(plugins: Sequence[Installed]) -> dict[Installed, str]:
    """For each plugin what keeps it from being loaded, in one line; "" where nothing does.

    Raises:
        ZooError: `ZOO_PLUGIN_SECONDS` is not a number of seconds.
    """
    limit = _limit()
    unknown = [plugin for plugin in plugins if not _is_known_good(plugin)]
    found = dict.fromkeys(plugins, "")
    at_once = max(1, os.cpu_count() or 1)
    for start in range(0, len(unknown), at_once):
        found |= _probed(unknown[start : start + at_once], limit)
    return found


def forget(plugin: Installed) -> None:
    """Have the plugin looked at anew the next time."""
    with suppress(OSError, RuntimeError):
        _file(plugin).unlink(missing_ok=True)


def _limit() -> float:
    text = os.environ.get(SECONDS) or str(_DEFAULT_SECONDS)
    with suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise ZooError(f"{SECONDS}: expected a number of seconds above 0, but got '{text}'")


@dataclass
class _Attempt:
    """A plugin that is being loaded in a process, whose streams are files in `folder`.

    Pipes would have us wait for whatever the plugin leaves running.
    """

    plugin: Installed
    process: subprocess.Popen[bytes]
    folder: Path

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")


def _probed(plugins: Sequence[Installed], limit: float) -> Iterator[tuple[Installed, str]]:
    """The verdict on each, all found out at the same time."""
    with ExitStack() as at_the_end:
        attempts = []
        for plugin in plugins:
            with suppress(OSError):  # no process is to be had: then it is loaded without having been tried
                attempts.append(_start(plugin, limit, at_the_end))
        for attempt in attempts:
            yield attempt.plugin, _judged(attempt, limit)


def _start(plugin: Installed, limit: float, at_the_end: ExitStack) -> _Attempt:
    point = plugin.entry_point
    request = {
        "path": [str(Path(folder).absolute()) for folder in sys.path],
        "entry_point": [point.name, point.value, point.group],
        "distribution": plugin.distribution,
        "version": plugin.version,
        "seconds": limit,
    }
    folder = Path(at_the_end.enter_context(TemporaryDirectory(prefix="zoo-plugin-")))
    (folder / "asked").write_text(json.dumps(request), encoding="utf-8")
    with (
        (folder / "asked").open("rb") as asked,
        (folder / "said").open("wb") as said,
        (folder / "last words").open("wb") as last_words,
    ):
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROBE],
            stdin=asked,
            stdout=said,
            stderr=last_words,
            start_new_session=True,  # so that all it starts can be ended with it
        )
    at_the_end.callback(_end, process)
    return _Attempt(plugin, process, folder)


def _judged(attempt: _Attempt, limit: float) -> str:
    plugin, told = attempt.plugin, attempt.plugin.plugin().told
    with suppress(subprocess.TimeoutExpired):
        attempt.process.wait(limit + _START_SECONDS)
    begun, *verdict = attempt.text("said").splitlines() or [""]
    if begun != "begun":
        return ""  # the probe itself did not come so far: nothing is known against the plugin
    if verdict:
        judged = json.loads(verdict[0])
        if not judged["problem"]:
            _remember(plugin, judged["files"])
        return str(judged["problem"])
    last_words = attempt.text("last words")
    place = _place(last_words, plugin.package)
    if attempt.process.returncode is None or last_words.startswith("Timeout"):
        return f"{told} was not loaded within {limit:g} s ({SECONDS}){place}."
    how = _how_it_ended(attempt.process.returncode)
    return f"{told} took the process down when it was loaded: {how}{place}."


def _end(process: subprocess.Popen[bytes]) -> None:
    """Whatever is left of it, and of what the plugin started in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _place(traceback: str, package: str) -> str:
    """`, at zoo_x/nets.py:12`: where in the plugin it was, from what faulthandler said."""
    for path, line in re.findall(r'File "(.+?)", line (\d+)', traceback):
        if (shown := shown_place(path, package)) is not None:
            return f", at {shown}:{line}"
    return ""


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    with suppress(ValueError):
        return f"killed by signal {-status} ({signal.Signals(-status).name})"
    return f"killed by signal {-status}"


def _is_known_good(plugin: Installed) -> bool:
    try:
        kept = json.loads(_file(plugin).read_text(encoding="utf-8"))
        return bool(kept == _facts(plugin, kept["paths"]))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return False


def _remember(plugin: Installed, files: Sequence[str]) -> None:
    with suppress(OSError, RuntimeError):  # no home that can be written: every command finds out anew
        file = _file(plugin)
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(_facts(plugin, files)), encoding="utf-8")
        beside.replace(file)


def _facts(plugin: Installed, files: Iterable[str]) -> dict[str, Any]:
    """Everything on which a verdict rests, as it is now."""
    folders = [plugin.place, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    ours = Path(__file__).with_name("_probe.py")
    return {
        "version": plugin.version,
        "zoo": __version__,
        "python": sys.version,
        "paths": {path: _last_change(path) for path in {*folders, *files, str(ours)} if path},
    }


def _last_change(path: str) -> list[int]:
    """The time, in nanoseconds, and the size: of a file, its content's; of a folder, its list of files'."""
    status = Path(path).stat()
    return [status.st_mtime_ns, status.st_size]


def _file(plugin: Installed) -> Path:
    """Where the verdict on a plugin is kept: one file for each place it is installed in.

    Raises:
        RuntimeError: the user has no home.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    point = plugin.entry_point
    identity = [sys.prefix, plugin.place, plugin.distribution, point.name, point.value]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
    return cache / "zoo" / "plugins" / f"{name}.json"
