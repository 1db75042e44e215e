"""The agent on a node of a Ray cluster: an actor whose process has the node's fork server.

The process is started by Ray and never forked. Its methods are called by `zoo.tuning.executors.ray`.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib import metadata
from multiprocessing import Pipe
from multiprocessing import connection as mp_connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from zoo._version import __version__
from zoo.data.store import crc_of, recorded_crcs
from zoo.errors import DataError
from zoo.events import Answer, EpochEnd, Event, Finished
from zoo.files import atomic_path, flush_to_disk, remove_leftovers, temporary_path
from zoo.registry import (
    PluginFile,
    Registry,
    distribution_digests,
    distribution_versions,
    short_digest,
    using_plugins,
)
from zoo.stalls import stall_timeout
from zoo.training import backend
from zoo.training.worker import start_loading_keras
from zoo.trial import TrialConfig
from zoo.tuning.executors.local import LocalExecutor

CHECKPOINTS = "checkpoints"
_NOT_RETURNED = ("config.json", "events.jsonl")  # the supervisor has them
_WATCH_INTERVAL_S = 1.0  # between two checks for stalled trials
# The trial gets these variables from the supervisor, all others from its node.
_COPIED_VARIABLES = ("KERAS_BACKEND", "ZOO_PLUGINS", "ZOO_FAILPOINTS", "ZOO_FAILPOINTS_DIR")

Files = Mapping[str, Any]  # path in the trial directory -> content, as an array of bytes


class Settings(NamedTuple):
    """The settings of a study that its agents need.

    Args:
        components: kind and name of each component of the study.
        stall_timeout: as for `zoo.stalls.stall_timeout`.
    """

    components: Sequence[tuple[str, str]]
    plugin_files: Sequence[PluginFile]
    stall_timeout: float | None
    variables: Mapping[str, str]
    has_gpus: bool


class Arrival(NamedTuple):
    """An event of a trial, and files of its directory that the supervisor does not have."""

    number: int
    event: Event | None  # None if the trial was stopped
    files: Files


def copied_variables() -> dict[str, str]:
    """Return the environment variables of this process that trials on other nodes need."""
    return {name: os.environ[name] for name in _COPIED_VARIABLES if name in os.environ}


def installed_versions(components: Collection[tuple[str, str]]) -> dict[str, str]:
    """Return this process's versions of everything that must be equal for comparable trials."""
    name = backend.backend_name()
    python = ".".join(platform.python_version_tuple()[:2])
    versions = {"zoo": __version__, "Python": python, "Keras": _version("keras"), name: _version(name)}
    registry = Registry.load()
    found = [one for one in registry.components() if (one.kind, one.name) in components]
    digests = distribution_digests(*found)
    for distribution, version in distribution_versions(*found).items():
        code = f", code {short_digest(digests[distribution])}" if distribution in digests else ""
        versions[distribution] = version + code
    return versions


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


class Agent:
    """Runs up to `jobs` trials at once on its node with a `LocalExecutor`.

    Only the thread in which Ray calls `events` uses the executor. Ray calls the other methods in a second
    thread; they leave commands for the first thread and wake it up.
    """

    def __init__(self, settings: Settings, jobs: int) -> None:
        os.environ.update(settings.variables)
        if not settings.has_gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        self._settings = settings
        self._jobs = jobs
        self._commands: SimpleQueue[tuple[str, tuple[Any, ...]]] = SimpleQueue()
        self._wakeup, self._waker = Pipe(duplex=False)
        self._folders: dict[int, Path] = {}
        self._sent: dict[Path, int] = {}  # checkpoints that the supervisor has -> when written
        self._caches: dict[str, Path] = {}  # digest of a dataset -> the folder that contains it
        self._parts: dict[str, Path] = {}  # name of a file of a dataset -> the blocks received so far
        self._arrivals: list[Arrival] = []  # not sent to the supervisor yet
        self._must_return = False
        root = Path(tempfile.gettempdir(), f"zoo-trials-{os.getuid()}")
        root.mkdir(mode=0o700, exist_ok=True)
        remove_leftovers(root)
        self._root = temporary_path(root)  # its name has the process id, so that a later agent can remove it
        start_loading_keras()
        self._executor = LocalExecutor(jobs)

    def versions(self) -> dict[str, str]:
        """Return what `installed_versions` returns on this node."""
        with using_plugins(self._settings.plugin_files):
            return installed_versions(self._settings.components)

    # --- trials

    def post(self, command: str, *arguments: Any) -> None:
        """Leave a command for the thread that runs `events`: `start`, `answer`, `stop` or `flush`."""
        self._commands.put((command, arguments))
        self._waker.send_bytes(b"\0")

    def events(self) -> list[Arrival]:
        """Wait until trials have sent events, and return them; `stop` or `flush` ends the wait."""
        with using_plugins(self._settings.plugin_files), stall_timeout(self._settings.stall_timeout):
            self._must_return = False
            while not (self._arrivals or self._must_return):
                mp_connection.wait([self._wakeup, *self._executor.handles], _WATCH_INTERVAL_S)
                self._read_events()
                self._run_commands()
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def _read_events(self) -> None:
        for number in self._executor.wait(0):
            event = self._executor.read(number)
            if event is not None:
                self._arrivals.append(self._arrival(number, event))

    def _run_commands(self) -> None:
        while self._wakeup.poll():
            self._wakeup.recv_bytes()
            command, arguments = self._commands.get()
            run: Callable[..., None] = getattr(self, f"_{command}")
            run(*arguments)

    def _start(
        self, number: int, config: Mapping[str, Any], folder: str, files: Files, num_left: int | None
    ) -> None:
        """Start a trial; `folder` is its directory, relative to the folder of all studies."""
        trial = TrialConfig.from_json(config)
        self._folders[number] = self._root / folder
        self._folders[number].mkdir(parents=True)
        write_files(self._folders[number], files)
        self._executor.start(number, trial, self._caches[trial.digest], self._folders[number], num_left)

    def _answer(self, number: int, answer: Answer) -> None:
        self._executor.answer(number, answer)

    def _flush(self) -> None:
        self._must_return = True

    def _stop(self) -> None:
        """Stop all trials; they write checkpoints first."""
        self._must_return = True
        for number in self._executor.stop_all():
            self._arrivals.append(Arrival(number, None, self._take_files(number, with_checkpoints=True)))

    def _arrival(self, number: int, event: Event) -> Arrival:
        """Return an event with the files that the supervisor needs before it handles the event."""
        folder, files = self._folders[number], dict[str, Any]()
        if isinstance(event, EpochEnd):  # for continuing the trial elsewhere if this node is lost
            files = self._new_checkpoints(folder)
        elif isinstance(event, Finished):
            files = self._take_files(number, with_checkpoints=event.is_killed or event.is_interrupted)
        return Arrival(number, event, files)

    def _new_checkpoints(self, folder: Path) -> dict[str, Any]:
        paths = {path: path.stat().st_mtime_ns for path in sorted((folder / CHECKPOINTS).glob("*.ckpt"))}
        new = [path for path, written in paths.items() if self._sent.get(path) != written]
        self._sent |= paths
        return read_files(folder, new)

    def _take_files(self, number: int, *, with_checkpoints: bool) -> dict[str, Any]:
        """Return the files of a finished trial, and remove its directory."""
        folder = self._folders.pop(number)
        if not with_checkpoints:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".tmp"]
        files = read_files(folder, [path for path in paths if path.name not in _NOT_RETURNED])
        shutil.rmtree(folder, ignore_errors=True)
        return files

    # --- datasets

    def missing_files(self, source: str, identity: tuple[int, int], crcs: Mapping[str, str]) -> list[str]:
        """Return the files of a prepared dataset that this node lacks, or whose content differs here.

        Args:
            source: the dataset's folder on the supervisor's machine, which this node may share.
            identity: the result of `identity_of` on the supervisor's machine.
            crcs: CRC-32 of each file.
        """
        shared, digest = Path(source), Path(source).name
        own = os.environ.get("ZOO_CACHE_DIR")
        if not own and identity_of(shared) == identity:
            self._caches[digest] = shared.parent
            return []
        cache = Path(own or Path.home() / ".cache" / "zoo")
        self._caches[digest] = cache
        folder = cache / digest
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        return [name for name, crc in crcs.items() if not _has_crc(folder / name, crc)]

    def receive(self, digest: str, name: str, block: Any) -> None:
        """Append a block to a partly received file of a dataset."""
        part = self._parts.setdefault(name, temporary_path(self._caches[digest] / digest))
        with part.open("ab") as file:
            file.write(block.data)

    def complete(self, digest: str, name: str, crc: str) -> None:
        """Put a received file in its place; raise DataError if its content differs from the sent one."""
        part = self._parts.pop(name)
        if not _has_crc(part, crc):
            part.unlink()
            raise DataError(
                f"{name} of the dataset {short_digest(digest)} was damaged on its way to this node"
            )
        flush_to_disk(part)
        part.replace(self._caches[digest] / digest / name)

    def close(self) -> None:
        """Remove the files of the trials on this node."""
        shutil.rmtree(self._root, ignore_errors=True)


def identity_of(folder: Path) -> tuple[int, int]:
    """Return facts that identify this folder on every machine that shares its file system."""
    try:
        facts = (folder / "dataset.json").stat()
    except OSError:
        return -1, -1
    return facts.st_ino, facts.st_mtime_ns


def dataset_crcs(folder: Path) -> dict[str, str]:
    """Return the CRC-32 of each file of a dataset; `dataset.json`, which completes the dataset, is last."""
    recorded = recorded_crcs(folder)
    names = [path.name for path in folder.iterdir() if path.name[0] != "." and path.name[:5] != "read-"]
    names.sort(key=lambda name: (name == "dataset.json", name))
    return {name: recorded.get(name) or crc_of(folder / name) for name in names}


def _has_crc(path: Path, crc: str) -> bool:
    return path.is_file() and crc_of(path) == crc


def read_files(folder: Path, paths: Iterable[Path]) -> dict[str, Any]:
    """Return the content of files in `folder` as arrays, which Ray sends without a copy."""
    import numpy as np

    return {str(path.relative_to(folder)): np.fromfile(path, np.uint8) for path in paths}


def write_files(folder: Path, files: Files) -> None:
    """Write files into `folder`, each whole or not at all."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.data)
