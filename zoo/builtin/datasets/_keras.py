"""Functions that find, check and read a copy of a dataset that Keras downloads."""

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
from zoo.builtin.datasets._common import count_text, data_folder

if TYPE_CHECKING:
    from zoo.builtin.datasets._common import Array

    Arrays = dict[str, Array]  # the keys are the names in ARRAYS

SYSTEM_FOLDER = Path("/usr/share/datasets")  # of Debian's dataset packages
DOWNLOAD_TIMEOUT_S = 10.0
MAX_UNPACKED_SIZE = 2**30  # bytes; the largest published archive has a fifth of this size

ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # Keras's names
IDX_FILES = (  # one file per array, in the order of ARRAYS
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class PublishedDataset:
    """A dataset that Keras downloads."""

    name: str  # the name in `keras.datasets`
    title: str
    image_shape: tuple[int, ...]  # shape in the published arrays; grey images have no channel axis
    counts: tuple[int, int]  # numbers of training and test images
    class_names: tuple[str, ...]
    read: Callable[[Path], Arrays]  # reads a copy; can raise any error for damaged bytes
    file_names: tuple[str, ...]  # names in `$ZOO_DATA_DIR` of files and folders, in order of preference
    cache_names: tuple[str, ...]  # names in the cache of this and earlier versions of Keras
    checksums: Mapping[str, str]  # SHA-256 or MD5 by file of a cached copy; `.` if the copy is one file
    url: str  # requested before Keras downloads, because Keras has no timeout
    system_name: str | None = None  # the name in SYSTEM_FOLDER
    licence: str = ""  # the licence of the images, "" if the authors state none


def copies(published: PublishedDataset) -> list[Path] | None:
    """Return the copies that `load` finds on this machine, with the files in folders; None without copies.

    The result includes the folders of locations without a copy, because a copy there may be preferred later.
    """
    folder, paths = data_folder(), []
    if folder is not None:
        paths += [folder / name for name in published.file_names]
    with contextlib.suppress(RuntimeError):  # no home folder
        paths += [_keras_folder() / name for name in published.cache_names]
    if published.system_name is not None:
        paths.append(SYSTEM_FOLDER / published.system_name)
    found = [path for path in paths if os.path.lexists(path)]
    for path in found.copy():
        with contextlib.suppress(OSError):  # `load` reports the error
            found += sorted(path.iterdir())
    return [*found, *(path.parent for path in paths if path.parent.is_dir())] if found else None


def load(published: PublishedDataset, fallback: Callable[[str], Dataset] | None = None) -> Dataset:
    """Return the dataset from the first location that has it.

    If none has it, return `fallback(reasons)`. Raises ZooError if there is no `fallback`, or if a copy is
    damaged.
    """
    reasons = []
    for find_copy in (_find_in_data_folder, _find_in_keras_cache, _find_in_system_folder, _download):
        found = find_copy(published)
        if not isinstance(found, str):
            return _to_dataset(published, *found)
        reasons += [found] if found else []
    reasons_text = f"{', '.join(reasons[:-1])}, and {reasons[-1]}"
    if fallback is not None:
        return fallback(reasons_text)
    raise ZooError(
        f"{published.title} was not found: {reasons_text}. Put {' or '.join(published.file_names)} "
        "into a folder and set ZOO_DATA_DIR to it, or run this once with a network connection."
    )


# Each of the next four functions returns the name of a copy and its arrays, or why there is no copy.


def _find_in_data_folder(published: PublishedDataset) -> tuple[str, Arrays] | str:
    folder = data_folder()
    if folder is None:
        return "ZOO_DATA_DIR is not set"
    for name in published.file_names:
        if os.path.lexists(folder / name):  # a broken link is an error
            return name, _read(published, folder / name)
    return f"not in ZOO_DATA_DIR ({folder}, as {' or '.join(published.file_names)})"


def _find_in_keras_cache(published: PublishedDataset) -> tuple[str, Arrays] | str:
    try:
        folder = _keras_folder()
    except RuntimeError:
        return "not in Keras's cache (no home folder)"
    problem = ""
    for name in published.cache_names:
        if not all((folder / name / file).is_file() for file in published.checksums):
            continue
        problem = _checksum_problem(folder / name, published.checksums)
        if not problem:
            return name, _read(published, folder / name)
        warnings.warn(problem, stacklevel=3)  # only for the log if another location has a copy
    return problem or f"not in Keras's cache ({folder})"


def _keras_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME") or "~/.keras", "datasets").expanduser()


def _find_in_system_folder(published: PublishedDataset) -> tuple[str, Arrays] | str:
    if published.system_name is None:
        return ""
    path = SYSTEM_FOLDER / published.system_name
    return (published.system_name, _read(published, path)) if path.is_dir() else f"not in {path}"


def _download(published: PublishedDataset) -> tuple[str, Arrays] | str:
    """Let Keras download the dataset, check its checksum and fill its cache."""
    if not _is_reachable(published.url):
        return "Keras's server cannot be reached, or does not have it"
    try:
        # Keras draws a progress bar on standard output.
        with socket_timeout(DOWNLOAD_TIMEOUT_S), contextlib.redirect_stdout(io.StringIO()):
            from keras import datasets

            download = getattr(datasets, published.name).load_data
            for load in progress([download], f"downloading {published.title}"):
                (x_train, y_train), (x_test, y_test) = load()
    except Exception as error:  # Keras raises `Exception` itself
        return f"Keras could not download it ({reason_of(error)})"
    if x_train.shape[1:] == (3, 32, 32):  # if keras.json sets `channels_first`
        x_train, x_test = (images.transpose(0, 2, 3, 1) for images in (x_train, x_test))
    arrays = (x_train, y_train.reshape(-1), x_test, y_test.reshape(-1))
    return "Keras's download", dict(zip(ARRAYS, arrays, strict=True))


def _checksum_problem(path: Path, checksums: Mapping[str, str]) -> str:
    """Return the problem of the first file with another checksum; "" if there is none."""
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


def _is_reachable(url: str, timeout_s: float = 4.0) -> bool:
    """Return True if a HEAD request for `url` succeeds; the proxy of the environment is used."""
    import http.client
    import urllib.request

    has_answered = threading.Event()

    def send_request() -> None:
        request = urllib.request.Request(url, method="HEAD")
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
            urllib.request.urlopen(request, timeout=timeout_s).close()
            has_answered.set()

    # The request runs in a thread, because the lookup of a host name has no timeout.
    thread = threading.Thread(target=send_request, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return has_answered.is_set()


def _read(published: PublishedDataset, path: Path) -> Arrays:
    """Return the four arrays of a copy; raise ZooError if it is damaged."""
    try:
        arrays = published.read(path)
        for split in ("train", "test"):
            _check_split(published, split, arrays[f"x_{split}"], arrays[f"y_{split}"])
    except Exception as error:  # damaged bytes cause many types in zipfile, zlib, pickle and NumPy
        size = "×".join(map(str, published.image_shape))
        raise ZooError(
            f"{path} is not a copy of {published.title}, or is damaged ({reason_of(error)}). Expected "
            f"training and test images of {size} in uint8, and as many labels from 0 to "
            f"{len(published.class_names) - 1}. Replace the copy, or remove it."
        ) from error
    return arrays


def _check_split(published: PublishedDataset, split: str, images: Array, labels: Array) -> None:
    for name, array, shape in ((f"x_{split}", images, published.image_shape), (f"y_{split}", labels, ())):
        if array.dtype != "uint8" or array.ndim == 0 or array.shape[1:] != shape or len(array) == 0:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    if len(images) != len(labels):
        num_images, num_labels = count_text(len(images), "image"), count_text(len(labels), "label")
        raise ValueError(f"x_{split} has {num_images}, y_{split} has {num_labels}")
    if labels.max() >= len(published.class_names):
        raise ValueError(f"y_{split} has the label {labels.max()}")


def _to_dataset(published: PublishedDataset, name: str, arrays: Arrays) -> Dataset:
    """Return both splits as a dataset; `source` is the same for every complete copy."""
    images = {split: arrays[f"x_{split}"] for split in ("train", "test")}
    train, test = (
        Split(pixels.reshape(*pixels.shape[:3], -1), arrays[f"y_{split}"].astype("int64"))
        for split, pixels in images.items()
    )
    is_complete = (len(train), len(test)) == published.counts
    source = published.title if is_complete else f"{name} with {len(train):,} + {len(test):,} images"
    return Dataset(
        train, test=test, class_names=published.class_names, source=source, licence=published.licence
    )


def read_npz(path: Path) -> Arrays:
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        # Whole members are read, because numpy.load() skips the checksum if the header has too few values.
        for name in ARRAYS:
            check_unpacked_size(archive.getinfo(f"{name}.npy").file_size)
        members = {name: io.BytesIO(archive.read(f"{name}.npy")) for name in ARRAYS}
    return {name: np.load(member, allow_pickle=False) for name, member in members.items()}


def read_npz_or_idx(path: Path) -> Arrays:
    """Return the four arrays of an `.npz` file, or of a folder of files in LeCun's IDX format."""
    if path.suffix == ".npz":
        return read_npz(path)
    files = zip(ARRAYS, IDX_FILES, strict=True)
    return {name: _idx_array(unpacked(path / file)) for name, file in files}


def _idx_array(content: bytes) -> Array:
    """Return the array of an IDX file.

    The file has two zero bytes, the type, the number of dimensions, each dimension, and the values.
    """
    import numpy as np

    if content[:3] != b"\0\0\x08":
        raise ValueError("not an IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise ValueError(f"expected {math.prod(shape)} bytes, got {len(content) - start}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path, train: Sequence[str], test: Sequence[str], labels: bytes) -> Arrays:
    """Return the four arrays of an archive of pickled batches, or of its unpacked folder.

    `train` and `test` name the files of the batches; `labels` is the key of the labels in a batch.
    """
    import numpy as np

    contents, arrays = _contents(path, [*train, *test]), {}
    for split, names in (("train", train), ("test", test)):
        batches = [_Unpickler(io.BytesIO(contents[name]), encoding="bytes").load() for name in names]
        pixels = np.concatenate([batch[b"data"] for batch in batches])  # (n, 3072): red, green, blue
        arrays[f"x_{split}"] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        numbers = np.concatenate([np.asarray(batch[labels]) for batch in batches])
        if numbers.dtype.kind not in "iu" or (numbers != numbers.astype("uint8")).any():
            raise ValueError(f"y_{split} has values that are not integers from 0 to 255")
        arrays[f"y_{split}"] = numbers.astype("uint8")
    return arrays


def _contents(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the bytes of the named files, by name."""
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in names}
    contents = {}
    # The archive is unpacked before it is read, because gzip's checksum is at the end.
    with tarfile.open(fileobj=io.BytesIO(unpacked(path))) as archive:
        for member in archive:
            name, file = PurePosixPath(member.name).name, archive.extractfile(member)
            if file is not None and name in names:
                contents[name] = file.read()
    for name in names:
        if name not in contents:
            raise ValueError(f"no {name} in the archive")
    return contents


def unpacked(path: Path) -> bytes:
    """Return the content of a gzip file; ValueError if it is larger than any published dataset."""
    with gzip.open(path) as file:
        content = file.read(MAX_UNPACKED_SIZE + 1)
    check_unpacked_size(len(content))
    return content


def check_unpacked_size(size: int) -> None:
    if size > MAX_UNPACKED_SIZE:
        raise ValueError(f"it unpacks to more than {MAX_UNPACKED_SIZE:,} bytes")


class _Unpickler(pickle.Unpickler):
    """An unpickler for numbers, strings, containers and arrays; it runs no code from the file."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        reconstruct = np.empty(0).__reduce__()[0]  # the module of this function depends on NumPy's version
        allowed = {"_reconstruct": reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}
        if module.partition(".")[0] != "numpy" or name not in allowed:
            raise pickle.UnpicklingError(f"unexpected object {module}.{name} in a batch of CIFAR")
        return allowed[name]
