"""notMNIST, from a MATLAB file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo import Dataset, Split, ZooError, progress, reads
from zoo.builtin._common import reason_of
from zoo.builtin.datasets._common import count_text, find_path, split_off_test

if TYPE_CHECKING:
    from zoo.builtin.datasets._common import Array

LETTERS = tuple("ABCDEFGHIJ")


def _files(*, path: str) -> list[Path]:
    return [find_path("path", path)]


@reads(_files)
def notmnist(*, path: str = "notMNIST_small.mat") -> Dataset:
    """Letters A to J in many fonts, 28×28 pixels, from a MATLAB file; a fifth is the test split.

    By Bulatov (2011). The file has `images`, height × width × n, and `labels`, 0 to 9, of shape n × 1,
    1 × n or n. The test split is a fifth of each class, chosen with seed 42.

    Args:
        path: the path of the file, in the working folder or in `$ZOO_DATA_DIR`.

    Raises:
        ZooError: the file is missing or damaged, or has other arrays.
    """
    (file,) = _files(path=path)
    arrays = _read(file)
    images, labels = arrays["images"], arrays["labels"]
    if images.ndim != 3 or 0 in images.shape:
        raise ZooError(f"{file}: images: expected height × width × n, got shape {images.shape}.")
    if labels.ndim > 2 or labels.size == 0 or labels.size != max(labels.shape):
        raise ZooError(f"{file}: labels: expected n × 1, 1 × n or n, got shape {labels.shape}.")
    images = _as_uint8(file, "images", images, 255).transpose(2, 0, 1)[..., None]
    labels = _as_uint8(file, "labels", labels, len(LETTERS) - 1).reshape(-1)
    if len(images) != len(labels):
        got = f"{count_text(len(labels), 'label')} for {count_text(len(images), 'image')}"
        raise ZooError(f"{file}: expected one label per image, got {got}.")
    train = Split(images, labels.astype("int64"))
    return split_off_test(Dataset(train, class_names=LETTERS, source=file.name))


def _read(file: Path) -> dict[str, Array]:
    from scipy.io import loadmat, whosmat

    try:
        # A damaged byte of an uncompressed file may crash the process; then progress() has named this step.
        for one in progress([file], f"reading {file}"):
            arrays: dict[str, Array] = loadmat(one, variable_names=["images", "labels"])
    except NotImplementedError as error:  # HDF5
        raise ZooError(
            f"{file} has the MATLAB format 7.3, which cannot be read. Save it in MATLAB with -v7."
        ) from error
    except Exception as error:  # damaged bytes cause many types in SciPy and zlib
        raise ZooError(
            f"{file} is not a MATLAB file, or is damaged ({reason_of(error)}). Replace it."
        ) from error
    if not {"images", "labels"} <= arrays.keys():
        names = ", ".join(name for name, _, _ in whosmat(file)) or "none"
        raise ZooError(f"{file}: expected the arrays images and labels, got {names}.")
    return arrays


def _as_uint8(file: Path, name: str, array: Array, maximum: int) -> Array:
    """Return `array` as `uint8`; raise ZooError unless all its values are integers from 0 to `maximum`."""
    import numpy as np

    if array.dtype.kind in "uif" and ((array >= 0) & (array <= maximum)).all():  # False for NaN
        converted = array.astype(np.uint8)
        if (converted == array).all():
            return converted
    raise ZooError(
        f"{file}: {name}: expected integers from 0 to {maximum}, got other values ({array.dtype})."
    )
