"""The file formats of Keras's datasets: npz, IDX, and CIFAR's pickled batches.

These functions raise many types of errors for damaged bytes; `_keras.load` turns them into one line.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.builtin.datasets._splits import Array

    Arrays = dict[str, Array]  # by the names in ARRAYS

ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # Keras's names
IDX_FILES = (  # of the same arrays
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def read_npz(path: Path) -> Arrays:
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        # Read whole members: numpy.load() stops before the checksum if the header announces too little.
        members = {name: io.BytesIO(archive.read(f"{name}.npy")) for name in ARRAYS}
    return {name: np.load(member, allow_pickle=False) for name, member in members.items()}


def read_idx(folder: Path) -> Arrays:
    """Read LeCun's format: two zeros, type, number of dimensions, each dimension, and the bytes."""
    files = zip(ARRAYS, IDX_FILES, strict=True)
    return {name: _idx_array(gzip.decompress((folder / file).read_bytes())) for name, file in files}


def _idx_array(content: bytes) -> Array:
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

    contents = _contents(path, [*train, *test])
    arrays = {}
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
    with gzip.open(path) as unpacked:
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                file = archive.extractfile(member) if name in names else None
                if file is not None:
                    contents[name] = file.read()
        while unpacked.read(1 << 20):  # the checksum is at the end
            pass
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
