"""notMNIST, as a MATLAB file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import Dataset, ZooError, progress, reads
from zoo.builtin.datasets._files import find
from zoo.builtin.datasets._splits import with_test_split

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LETTERS = tuple("ABCDEFGHIJ")


def _files(*, path: str) -> list[Path]:
    return [find("path", path)]


@reads(_files)
def notmnist(*, path: str = "notMNIST_small.mat") -> Dataset:
    """Letters A to J of many fonts, 28×28 pixels, from a MATLAB file; a fifth of them to test on.

    By Bulatov (2011). The file has `images`, height × width × n, and `labels`, 0 to 9, as a row, a
    column or a list of n. The test split is chosen class by class with seed 42.

    Args:
        path: of the file, from the working folder or else from `$ZOO_DATA_DIR`.

    Raises:
        ZooError: the file is missing or damaged, or has other arrays in it.
    """
    (file,) = _files(path=path)
    arrays = _read(file)
    images, labels = _images(file, arrays["images"]), _labels(file, arrays["labels"])
    if len(images) != len(labels):
        raise ZooError(
            f"{file}: expected a label for each image, but got {len(labels)} for {len(images)} images."
        )
    return with_test_split(images, labels, 0.2, class_names=LETTERS, source=file.name)


def _read(file: Path) -> dict[str, Array]:
    """`images` and `labels`, as the file has them."""
    from scipy.io import loadmat, whosmat

    try:
        # Of a file without compression a damaged byte can end the process; then this is what is told.
        for one in progress([file], f"reading {file}"):
            arrays: dict[str, Array] = loadmat(one, variable_names=["images", "labels"])
    except NotImplementedError as error:  # HDF5
        raise ZooError(f"{file} is of MATLAB 7.3, which cannot be read; save it with -v7.") from error
    except Exception as error:  # whatever damaged bytes make SciPy and zlib raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ZooError(f"{file} is not a sound MATLAB file ({reason}). Replace it.") from error
    for name in ("images", "labels"):
        if name not in arrays:
            listed = ", ".join(other for other, _, _ in whosmat(file)) or "nothing"
            raise ZooError(f"{file}: expected the arrays images and labels, but it has {listed}.")
    return arrays


def _images(file: Path, images: Array) -> Array:
    """As the contract wants them: `uint8`, shape `(n, height, width, 1)`."""
    if images.ndim != 3 or 0 in images.shape:
        raise ZooError(f"{file}: images: expected height × width × n, but got shape {images.shape}.")
    whole = _as_uint8(images)
    if whole is None:
        raise ZooError(
            f"{file}: images: expected whole numbers from 0 to 255, but it has others ({images.dtype})."
        )
    return whole.transpose(2, 0, 1)[..., None]


def _labels(file: Path, labels: Array) -> Array:
    if labels.ndim > 2 or labels.size == 0 or labels.size != max(labels.shape):
        raise ZooError(f"{file}: labels: expected n × 1, 1 × n or n, but got shape {labels.shape}.")
    whole = _as_uint8(labels)
    if whole is None or whole.max() > 9:
        raise ZooError(f"{file}: labels: expected whole numbers from 0 to 9, but it has others.")
    return whole.reshape(-1)


def _as_uint8(array: Array) -> Array | None:
    """The same numbers as `uint8`; None where one of them is none."""
    import numpy as np

    if array.dtype.kind not in "uif":
        return None
    inside = bool(((array >= 0) & (array <= 255)).all())  # not so of NaN
    whole = np.clip(array, 0, 255).astype(np.uint8) if inside else None
    return whole if whole is not None and (whole == array).all() else None
