"""Finding a dataset that Keras downloads: where copies of it may lie, and what a sound one is."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import Dataset, ZooError, progress
from zoo.builtin.datasets._files import data_folder
from zoo.builtin.datasets._keras_formats import ARRAYS
from zoo.builtin.datasets._splits import split_of

if TYPE_CHECKING:
    from zoo.builtin.datasets._keras_formats import Array, Arrays

SYSTEM_FOLDER = Path("/usr/share/datasets")  # where Debian's packages put datasets


@dataclass(frozen=True)
class Copy:
    """One way in which a dataset lies on a disk.

    Args:
        path: of a file or folder, below `$ZOO_DATA_DIR` or Keras's cache.
        checksums: the SHA-256, or MD5, of each file in it; `.` is `path` itself.
    """

    path: str
    read: Callable[[Path], Arrays]
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A dataset that Keras downloads.

    Args:
        name: in `keras.datasets`.
        image_shape: as in the arrays: grey images have no channels there.
        counts: images to train on and to test on.
        copies: what it may be called in `$ZOO_DATA_DIR`, best first.
        cached: the same in Keras's cache.
        url: asked before Keras is, which would wait for ever.
        system: the same in SYSTEM_FOLDER.
    """

    name: str
    title: str
    image_shape: tuple[int, ...]
    counts: tuple[int, int]
    class_names: tuple[str, ...]
    copies: tuple[Copy, ...]
    cached: tuple[Copy, ...]
    url: str
    system: tuple[Copy, ...] = ()


def load(published: Published) -> Dataset:
    """The first copy there is, or Keras's download.

    Raises:
        ZooError: there is neither, with where it was looked for; or what was found is damaged.
    """
    dataset, places = look_for(published)
    if dataset is not None:
        return dataset
    raise ZooError(
        f"{published.title} was not found: {places}. Put {_names(published)} into a folder and set "
        "ZOO_DATA_DIR to it, or run this once with a network."
    )


def look_for(published: Published) -> tuple[Dataset | None, str]:
    """As `load`, but where there is neither, None and why not, place by place."""
    places = []
    for look in (_in_data_folder, _in_keras_cache, _in_system_folder, _downloaded):
        found = look(published)
        if not isinstance(found, str):
            return _as_published(published, *found), ""
        places += [found] if found else []
    return None, f"{', '.join(places[:-1])}, and {places[-1]}"


# Each of these gives what it found, or says why that is nothing.


def _in_data_folder(published: Published) -> tuple[str, Arrays] | str:
    folder = data_folder()
    if folder is None:
        return "ZOO_DATA_DIR is not set"
    for copy in published.copies:
        path = folder / copy.path
        if os.path.lexists(path):  # a link to nowhere is an error, not an absence
            return copy.path, _read(published, copy, path)
    return f"not in ZOO_DATA_DIR ({folder}, as {_names(published)})"


def _in_keras_cache(published: Published) -> tuple[str, Arrays] | str:
    folder = _keras_cache()
    if folder is None:
        return "not in Keras's cache (there is no home)"
    damage = ""
    for copy in published.cached:
        path = folder / copy.path
        if not all((path / name).is_file() for name in copy.checksums):
            continue
        damage = _damage(path, copy.checksums)
        if not damage:
            return copy.path, _read(published, copy, path)
        warnings.warn(damage, stacklevel=3)  # for the log, where another place has a sound one
    return damage or f"not in Keras's cache ({folder})"


def _in_system_folder(published: Published) -> tuple[str, Arrays] | str:
    for copy in published.system:
        if (SYSTEM_FOLDER / copy.path).is_dir():
            return copy.path, _read(published, copy, SYSTEM_FOLDER / copy.path)
    return ", ".join(f"not in {SYSTEM_FOLDER / copy.path}" for copy in published.system)


def _names(published: Published) -> str:
    return " or ".join(copy.path for copy in published.copies)


def _keras_cache() -> Path | None:
    try:
        return Path(os.environ.get("KERAS_HOME") or "~/.keras", "datasets").expanduser()
    except RuntimeError:  # nobody knows where home is
        return None


def _damage(path: Path, checksums: Mapping[str, str]) -> str:
    """What is wrong with the first file that is not what was published; "" where all are."""
    for name, expected in checksums.items():
        kind = "SHA-256" if len(expected) == 64 else "MD5"
        try:
            with (path / name).open("rb") as file:
                digest = hashlib.file_digest(file, kind.replace("-", "").lower()).hexdigest()
        except OSError as error:
            return f"{path / name} is left aside: it cannot be read ({error.strerror})"
        if digest != expected:
            return (
                f"{path / name} is left aside: its {kind} is {digest}, but that of the published file "
                f"is {expected}"
            )
    return ""


def _downloaded(published: Published) -> tuple[str, Arrays] | str:
    """Keras's download, which checks its checksum and fills its cache; not tried without a network."""
    if not _answers(published.url):
        return "Keras's server cannot be reached, or does not have it"
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)  # seconds of silence; Keras's download itself would wait for ever
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it draws a progress bar
            from keras import datasets

            download = getattr(datasets, published.name).load_data
            for load in progress([download], f"downloading {published.title}"):
                (x_train, y_train), (x_test, y_test) = load()
    except Exception as error:  # Keras raises a plain Exception
        return f"Keras could not download it ({' '.join(str(error).split())})"
    finally:
        socket.setdefaulttimeout(patience)
    if x_train.shape[1:] == (3, 32, 32):  # Keras is set to `channels_first`
        x_train, x_test = (images.transpose(0, 2, 3, 1) for images in (x_train, x_test))
    parts = (x_train, y_train.reshape(-1), x_test, y_test.reshape(-1))
    return "Keras's download", dict(zip(ARRAYS, parts, strict=True))


def _answers(url: str, seconds: float = 4.0) -> bool:
    """Whether `url` can be fetched, asked through the environment's proxy if it names one."""
    import http.client
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds).close()
        except (OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
            return
        answered.set()

    # In a thread that may be left behind, since looking up a host's name knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def _read(published: Published, copy: Copy, path: Path) -> Arrays:
    """The four arrays of one copy, every byte of them checked; ZooError if it is not sound."""
    try:
        arrays = copy.read(path)
        for part in ("train", "test"):
            _check_pair(published, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    except Exception as error:  # whatever damaged bytes make zipfile, zlib, pickle or NumPy raise
        reason = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())
        size = "×".join(map(str, published.image_shape))
        raise ZooError(
            f"{path} is not a sound copy of {published.title} ({reason or type(error).__name__}); expected "
            f"uint8 images of {size} to train and to test with, and as many labels from 0 to "
            f"{len(published.class_names) - 1}. Replace it, or remove it."
        ) from error
    return arrays


def _check_pair(published: Published, part: str, images: Array, labels: Array) -> None:
    for name, array, shape in ((f"x_{part}", images, published.image_shape), (f"y_{part}", labels, ())):
        if array.dtype != "uint8" or array.ndim == 0 or array.shape[1:] != shape or len(array) == 0:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if len(images) != len(labels):
        raise ValueError(f"x_{part} has {len(images)} images, but y_{part} {len(labels)} labels")
    if labels.max() >= len(published.class_names):
        raise ValueError(f"y_{part} has a label {labels.max()}")


def _as_published(published: Published, found: str, arrays: Arrays) -> Dataset:
    """The two splits as they were published. Equal arrays have equal sources, wherever they lay."""
    parts = []
    for part in ("train", "test"):
        images = arrays[f"x_{part}"]
        parts.append(split_of(images[..., None] if images.ndim == 3 else images, arrays[f"y_{part}"]))
    train, test = parts
    whole = (len(train), len(test)) == published.counts
    source = published.title if whole else f"{found} with {len(train):,} + {len(test):,} images"
    return Dataset(train, test=test, class_names=published.class_names, source=source)
