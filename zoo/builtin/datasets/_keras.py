"""The search for a dataset that Keras downloads, and the check of the copy that was found."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import Dataset, ZooError, progress
from zoo.builtin._common import reason_of, socket_timeout
from zoo.builtin.datasets._files import data_folder
from zoo.builtin.datasets._keras_formats import ARRAYS
from zoo.builtin.datasets._splits import split_of

if TYPE_CHECKING:
    from zoo.builtin.datasets._keras_formats import Arrays
    from zoo.builtin.datasets._splits import Array

SYSTEM_FOLDER = Path("/usr/share/datasets")  # of Debian's dataset packages
DOWNLOAD_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Copy:
    """One form of a dataset on disk.

    Args:
        path: of a file or folder, relative to `$ZOO_DATA_DIR` or Keras's cache.
        checksums: SHA-256, or MD5, of each file in it; `.` is `path` itself.
    """

    path: str
    read: Callable[[Path], Arrays]
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A dataset that Keras downloads.

    Args:
        name: in `keras.datasets`.
        image_shape: of the published arrays; grey images have no channel axis there.
        counts: number of training and of test images.
        copies: its forms in `$ZOO_DATA_DIR`, preferred one first.
        cached: its forms in Keras's cache.
        url: requested before Keras downloads, because Keras waits forever for a server.
        system: its forms in SYSTEM_FOLDER.
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
    """Return the first copy found, or Keras's download.

    Raises:
        ZooError: there is neither (the message lists the places searched), or the copy is damaged.
    """
    dataset, places = look_for(published)
    if dataset is not None:
        return dataset
    raise ZooError(
        f"{published.title} was not found: {places}. Put {_names(published)} into a folder and set "
        "ZOO_DATA_DIR to it, or run this once with a network connection."
    )


def look_for(published: Published) -> tuple[Dataset | None, str]:
    """Return the dataset and "", or None and why each place has no copy."""
    places = []
    for look in (_in_data_folder, _in_keras_cache, _in_system_folder, _download):
        found = look(published)
        if not isinstance(found, str):
            return _as_published(published, *found), ""
        places += [found] if found else []
    return None, f"{', '.join(places[:-1])}, and {places[-1]}"


# Each of these functions returns the name of a copy and its arrays, or the reason why it has none.


def _in_data_folder(published: Published) -> tuple[str, Arrays] | str:
    folder = data_folder()
    if folder is None:
        return "ZOO_DATA_DIR is not set"
    for copy in published.copies:
        path = folder / copy.path
        if os.path.lexists(path):  # a broken link is an error
            return copy.path, _read(published, copy, path)
    return f"not in ZOO_DATA_DIR ({folder}, as {_names(published)})"


def _in_keras_cache(published: Published) -> tuple[str, Arrays] | str:
    folder = _keras_cache()
    if folder is None:
        return "not in Keras's cache (no home folder)"
    damage = ""
    for copy in published.cached:
        path = folder / copy.path
        if not all((path / name).is_file() for name in copy.checksums):
            continue
        damage = _damage(path, copy.checksums)
        if not damage:
            return copy.path, _read(published, copy, path)
        warnings.warn(damage, stacklevel=3)  # goes to the log if another place has a copy
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
    except RuntimeError:  # no home folder
        return None


def _damage(path: Path, checksums: Mapping[str, str]) -> str:
    """Describe the first file that differs from the published one; "" if none does."""
    for name, expected in checksums.items():
        kind = "SHA-256" if len(expected) == 64 else "MD5"
        try:
            with (path / name).open("rb") as file:
                digest = hashlib.file_digest(file, kind.replace("-", "").lower()).hexdigest()
        except OSError as error:
            return f"{path / name} is ignored: it cannot be read ({error.strerror})"
        if digest != expected:
            return f"{path / name} is ignored: its {kind} is {digest}, expected {expected}"
    return ""


def _download(published: Published) -> tuple[str, Arrays] | str:
    """Let Keras download the dataset, check its checksum and fill its cache."""
    if not _answers(published.url):
        return "Keras's server cannot be reached, or does not have it"
    try:
        # Keras draws a progress bar on standard output.
        with socket_timeout(DOWNLOAD_TIMEOUT_S), contextlib.redirect_stdout(io.StringIO()):
            from keras import datasets

            download = getattr(datasets, published.name).load_data
            for load in progress([download], f"downloading {published.title}"):
                (x_train, y_train), (x_test, y_test) = load()
    except Exception as error:  # Keras raises a plain Exception
        return f"Keras could not download it ({reason_of(error)})"
    if x_train.shape[1:] == (3, 32, 32):  # keras.json sets `channels_first`
        x_train, x_test = (images.transpose(0, 2, 3, 1) for images in (x_train, x_test))
    parts = (x_train, y_train.reshape(-1), x_test, y_test.reshape(-1))
    return "Keras's download", dict(zip(ARRAYS, parts, strict=True))


def _answers(url: str, timeout_s: float = 4.0) -> bool:
    """Return whether a HEAD request for `url` succeeds, through the environment's proxy if there is one."""
    import http.client
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s).close()
        except (OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
            return
        answered.set()

    # In a thread, because the lookup of a host name has no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answered.is_set()


def _read(published: Published, copy: Copy, path: Path) -> Arrays:
    """Return the four arrays of a copy; raise ZooError if it is damaged."""
    try:
        arrays = copy.read(path)
        for part in ("train", "test"):
            _check_pair(published, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    except Exception as error:  # zipfile, zlib, pickle and NumPy raise many types for damaged bytes
        size = "×".join(map(str, published.image_shape))
        raise ZooError(
            f"{path} is not a copy of {published.title}, or is damaged ({reason_of(error)}). Expected "
            f"training and test images of {size} in uint8, and as many labels from 0 to "
            f"{len(published.class_names) - 1}. Replace or remove it."
        ) from error
    return arrays


def _check_pair(published: Published, part: str, images: Array, labels: Array) -> None:
    for name, array, shape in ((f"x_{part}", images, published.image_shape), (f"y_{part}", labels, ())):
        if array.dtype != "uint8" or array.ndim == 0 or array.shape[1:] != shape or len(array) == 0:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if len(images) != len(labels):
        raise ValueError(f"x_{part} has {len(images)} images, y_{part} has {len(labels)} labels")
    if labels.max() >= len(published.class_names):
        raise ValueError(f"y_{part} has the label {labels.max()}")


def _as_published(published: Published, found: str, arrays: Arrays) -> Dataset:
    """Return the two published splits. Complete copies have the same `source` wherever they were found."""
    parts = []
    for part in ("train", "test"):
        images = arrays[f"x_{part}"]
        parts.append(split_of(images[..., None] if images.ndim == 3 else images, arrays[f"y_{part}"]))
    train, test = parts
    whole = (len(train), len(test)) == published.counts
    source = published.title if whole else f"{found} with {len(train):,} + {len(test):,} images"
    return Dataset(train, test=test, class_names=published.class_names, source=source)
