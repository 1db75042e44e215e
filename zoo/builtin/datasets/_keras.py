"""Datasets that Keras downloads: finding a copy, checking it, and reading its file format."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import math
import os
import pickle
import struct
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from zoo import Dataset, Split, ZooError, progress
from zoo.builtin._common import reason_of, socket_timeout
from zoo.builtin.datasets._common import data_folder

if TYPE_CHECKING:
    from zoo.builtin.datasets._common import Array

    Arrays = dict[str, Array]  # by the names in ARRAYS

SYSTEM_FOLDER = Path("/usr/share/datasets")  # of Debian's dataset packages
DOWNLOAD_TIMEOUT_S = 10.0

ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # Keras's names
IDX_FILES = (  # of the same arrays
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class Published:
    """A dataset that Keras downloads."""

    name: str  # in `keras.datasets`
    title: str
    image_shape: tuple[int, ...]  # of the published arrays; grey images have no channel axis there
    counts: tuple[int, int]  # of training and of test images
    class_names: tuple[str, ...]
    read: Callable[[Path], Arrays]  # reads a copy; may raise any error for damaged bytes
    copies: tuple[str, ...]  # names of files and folders in `$ZOO_DATA_DIR`, preferred one first
    cached: tuple[str, ...]  # names in Keras's cache, of this and of earlier versions of Keras
    checksums: Mapping[str, str]  # SHA-256 or MD5 by file of a cached copy; `.` if the copy is one file
    url: str  # checked before Keras downloads, because Keras waits forever for a server
    system: str | None = None  # name in SYSTEM_FOLDER


def load(published: Published, fallback: Callable[[str], Dataset] | None = None) -> Dataset:
    """Return the first copy, or Keras's download; if there is none, call `fallback` with the reasons.

    Without `fallback`, and for a damaged copy, raise ZooError.
    """
    reasons = []
    for find_copy in (_in_data_folder, _in_keras_cache, _in_system_folder, _download):
        found = find_copy(published)
        if not isinstance(found, str):
            return _as_published(published, *found)
        reasons += [found] if found else []
    reasons_text = f"{', '.join(reasons[:-1])}, and {reasons[-1]}"
    if fallback is not None:
        return fallback(reasons_text)
    raise ZooError(
        f"{published.title} was not found: {reasons_text}. Put {' or '.join(published.copies)} into a folder "
        "and set ZOO_DATA_DIR to it, or run this once with a network connection."
    )


# Each of these functions returns the name of a copy and its arrays, or the reason why it has none.


def _in_data_folder(published: Published) -> tuple[str, Arrays] | str:
    folder = data_folder()
    if folder is None:
        return "ZOO_DATA_DIR is not set"
    for name in published.copies:
        if os.path.lexists(folder / name):  # a broken link is an error
            return name, _read(published, folder / name)
    return f"not in ZOO_DATA_DIR ({folder}, as {' or '.join(published.copies)})"


def _in_keras_cache(published: Published) -> tuple[str, Arrays] | str:
    try:
        folder = Path(os.environ.get("KERAS_HOME") or "~/.keras", "datasets").expanduser()
    except RuntimeError:
        return "not in Keras's cache (no home folder)"
    damage = ""
    for name in published.cached:
        if not all((folder / name / file).is_file() for file in published.checksums):
            continue
        damage = _damage(folder / name, published.checksums)
        if not damage:
            return name, _read(published, folder / name)
        warnings.warn(damage, stacklevel=3)  # goes to the log if another place has a copy
    return damage or f"not in Keras's cache ({folder})"


def _in_system_folder(published: Published) -> tuple[str, Arrays] | str:
    if published.system is None:
        return ""
    path = SYSTEM_FOLDER / published.system
    return (published.system, _read(published, path)) if path.is_dir() else f"not in {path}"


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


def _answers(url: str, timeout_s: float = 4.0) -> bool:
    """Return True if a HEAD request for `url` succeeds, through the environment's proxy if there is one."""
    import http.client
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
            urllib.request.urlopen(request, timeout=timeout_s).close()
            answered.set()

    # In a thread, because the lookup of a host name has no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answered.is_set()


def _read(published: Published, path: Path) -> Arrays:
    """Return the four arrays of a copy; raise ZooError if it is damaged."""
    try:
        arrays = published.read(path)
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
    """Return both splits as a dataset; its `source` is the same for every complete copy."""
    images = {part: arrays[f"x_{part}"] for part in ("train", "test")}
    train, test = (
        Split(pixels.reshape(*pixels.shape[:3], -1), arrays[f"y_{part}"].astype("int64"))
        for part, pixels in images.items()
    )
    whole = (len(train), len(test)) == published.counts
    source = published.title if whole else f"{found} with {len(train):,} + {len(test):,} images"
    return Dataset(train, test=test, class_names=published.class_names, source=source)


def read_npz(path: Path) -> Arrays:
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        # Whole members are read, because numpy.load() skips the checksum if the header states too few values.
        members = {name: io.BytesIO(archive.read(f"{name}.npy")) for name in ARRAYS}
    return {name: np.load(member, allow_pickle=False) for name, member in members.items()}


def read_npz_or_idx(path: Path) -> Arrays:
    """Read an .npz file, or a folder of files in LeCun's IDX format."""
    if path.suffix == ".npz":
        return read_npz(path)
    files = zip(ARRAYS, IDX_FILES, strict=True)
    return {name: _idx_array(gzip.decompress((path / file).read_bytes())) for name, file in files}


def _idx_array(content: bytes) -> Array:
    """Read two zero bytes, the type, the number of dimensions, each dimension, and the values."""
    import numpy as np

    if content[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"expected {math.prod(shape)} bytes, got {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path, train: Sequence[str], test: Sequence[str], labels: bytes) -> Arrays:
    """Read an archive of pickled batches, or the folder it unpacks to; `labels` is their key."""
    import numpy as np

    contents, arrays = _contents(path, [*train, *test]), {}
    for part, names in (("train", train), ("test", test)):
        batches = [_Unpickler(io.BytesIO(contents[name]), encoding="bytes").load() for name in names]
        pixels = np.concatenate([batch[b"data"] for batch in batches])  # (n, 3072): red, green, blue
        arrays[f"x_{part}"] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        numbers = np.concatenate([np.asarray(batch[labels]) for batch in batches])
        if numbers.dtype.kind not in "iu" or (numbers != numbers.astype("uint8")).any():
            raise ValueError(f"y_{part} has values that are not integers from 0 to 255")
        arrays[f"y_{part}"] = numbers.astype("uint8")
    return arrays


def _contents(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in names}
    contents = {}
    unpacked = io.BytesIO(gzip.decompress(path.read_bytes()))  # whole, because the checksum is at the end
    with tarfile.open(fileobj=unpacked) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                contents[PurePosixPath(member.name).name] = file.read()
    for name in names:
        if name not in contents:
            raise ValueError(f"no {name} in the archive")
    return contents


class _Unpickler(pickle.Unpickler):
    """An unpickler for numbers, strings, containers and arrays; it runs no code from the file."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        reconstruct = np.empty(0).__reduce__()[0]  # its module differs between NumPy versions
        allowed = {"_reconstruct": reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}
        if module.partition(".")[0] != "numpy" or name not in allowed:
            raise pickle.UnpicklingError(f"unexpected object {module}.{name} in a batch of CIFAR")
        return allowed[name]
