"""Paths, image sizes and test splits: what several datasets share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import Dataset, Split, ZooError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_SIDE = 4096  # pixels


def data_folder() -> Path | None:
    """Return `$ZOO_DATA_DIR`, or None if it is not set; raise ZooError if it cannot be read."""
    folder = os.environ.get("ZOO_DATA_DIR")
    if not folder:
        return None
    path = Path(folder).expanduser()
    try:
        os.scandir(path).close()
    except OSError as error:
        raise ZooError(
            f"ZOO_DATA_DIR is '{folder}', but this folder cannot be read ({error.strerror}). "
            "Set it to the folder with your data, or unset it."
        ) from error
    return path


def find(parameter: str, path: str) -> Path:
    """Return the file or folder that `parameter = "path"` in a study names; raise ZooError if there is none.

    A relative path starts in the working folder or, if it does not exist there, in `$ZOO_DATA_DIR`.
    """
    if not path.strip():
        raise ZooError(f'{parameter} = "{path}": expected the path of a file or folder.')
    here, wanted = Path.cwd(), Path(path).expanduser()
    try:
        if (here / wanted).exists():
            return here / wanted
        folder = None if wanted.is_absolute() else data_folder()
        if folder is not None and (folder / wanted).exists():
            return folder / wanted
        similar = _similar_path(here, wanted) or (folder and _similar_path(folder, wanted))
    except OSError as error:  # a name that is too long, or a folder without permission
        raise ZooError(f'{parameter} = "{path}": cannot be read ({error.strerror}).') from error
    searched = f" in {here}" + (f" or in {folder}" if folder else "; ZOO_DATA_DIR is not set")
    fix = f"Did you mean '{similar}'?" if similar else "Correct the path, or set ZOO_DATA_DIR to its folder."
    raise ZooError(
        f'{parameter} = "{path}": no such file or folder{"" if wanted.is_absolute() else searched}. {fix}'
    )


def _similar_path(root: Path, wanted: Path) -> Path | None:
    """Return an existing path below `root` whose parts are spelt like those of `wanted`, or None."""
    found = root
    for part in wanted.parts:
        if not (found / part).exists():
            names = [path.name for path in found.iterdir()] if found.is_dir() else []
            close = get_close_matches(part, names, n=1)
            if not close:
                return None
            part = close[0]
        found = found / part
    return found if wanted.is_absolute() else found.relative_to(root)


def height_and_width(image_size: Any) -> tuple[int, int]:
    """Return `150` or `[height, width]` as `(height, width)`, in pixels; raise ZooError if it is neither."""
    sides = list(image_size) if isinstance(image_size, list | tuple) else [image_size, image_size]
    if len(sides) == 2 and all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        return sides[0], sides[1]
    value = list(image_size) if isinstance(image_size, tuple) else image_size
    raise ZooError(
        f"image_size = {value}: expected the side of a square, or [height, width], "
        f"each from 1 to {MAX_SIDE} pixels."
    )


def with_test_split(
    images: Array,
    labels: Array,
    fraction: float,
    *,
    class_names: Sequence[str],
    source: str,
    warning: str = "",
) -> Dataset:
    """Return a shuffled dataset with `fraction` of every class as test split; the seed is 42."""
    train, test = (
        Split(images[numbers], labels[numbers].astype("int64")) for numbers in cut_test(labels, fraction, 42)
    )
    return Dataset(train, test=test, class_names=class_names, source=source, warning=warning)


def cut_test(labels: Array, fraction: float, seed: int) -> tuple[Array, Array]:
    """Return the shuffled indices of the training and the test split.

    `fraction` of every class, rounded, is test; at least one image of every class is for training.
    """
    import numpy as np

    stream = np.random.RandomState(seed)  # NumPy promises to keep this stream
    is_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(round(fraction * len(members)), len(members) - 1)
        is_test[stream.permutation(members)[:count]] = True
    train, test = (stream.permutation(np.flatnonzero(mask)) for mask in (~is_test, is_test))
    return train, test
