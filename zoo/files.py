"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import ZooError
from zoo.failpoints import failpoint

STATE_DIR = Path("mlruns") / "zoo"  # zoo's record, in the working folder


def is_special(path: str | Path) -> bool:
    """Return True for a named pipe, a socket or a device: opening such a file may block forever."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (faster for many files)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` by a file with `content`. After a crash or an error, the old or the new file exists."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, which is renamed to `path` at the end of the block.

    If the block raises, the temporary file is removed and `path` is unchanged.
    """
    temporary = temporary_path(path.parent)
    try:
        yield temporary
        flush_to_disk(temporary)
        failpoint("file.written")
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: Path, option: str, *, creates_folders: bool = False) -> None:
    """Raise ZooError if no file can be written to `path`. Call this before long work.

    Args:
        option: the option that names the path, for the message.
        creates_folders: missing folders are no error, because they are created later.
    """
    parents = path.absolute().parents
    folder = next(one for one in parents if one.exists()) if creates_folders else parents[0]
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        probe = temporary_path(folder)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ZooError(
            f"{option} {path}: cannot be written ({error.strerror}). Choose another path."
        ) from None


def temporary_path(folder: Path) -> Path:
    """Return a new hidden path in `folder` that names this machine and process: `.HOST-PID-RANDOM.tmp`."""
    return folder / f".{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder in `parent`; remove it at the end, unless the block has renamed it."""
    folder = temporary_path(parent)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary paths in `folder` of processes of this machine that have ended."""
    # The whole name must match, because the name of another machine may begin with the name of this one.
    ours = re.compile(rf"\.{re.escape(socket.gethostname())}-(\d+)-[0-9a-f]{{8}}\.tmp")
    for path in folder.iterdir() if folder.is_dir() else ():
        if owner := ours.fullmatch(path.name):
            with suppress(OSError):  # the process or the file may belong to another user
                try:
                    os.kill(int(owner[1]), 0)  # signal 0 only tests that the process exists
                except ProcessLookupError:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def flush_to_disk(path: Path) -> None:
    """Write the content of a file or folder from the buffers of the system to the disk.

    Without this call, a rename may reach the disk before the content does.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
