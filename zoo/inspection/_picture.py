"""The picture that comes back, where its file goes, and the image it is of."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import ZooError


@dataclass(frozen=True)
class Picture:
    """A picture on disk; a notebook shows it."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


def checked_output(output: str | os.PathLike[str] | None, otherwise: Path) -> Path:
    """The file to write: `output` where somebody named one. Asked for before any work is begun.

    Raises:
        ZooError: it is a folder, or not called `….png`.
    """
    path = otherwise if output is None else Path(output)
    if path.is_dir():
        raise ZooError(f"--output: {path} is a folder; expected a file, such as {path / otherwise.name}")
    if path.suffix.lower() != ".png":
        raise ZooError(f"--output: expected a file that ends in .png, but got {path}")
    return path


def written(draw: Callable[[Path], object], path: Path) -> Picture:
    """Have `draw` write `path`.

    Raises:
        ZooError: the file cannot be written.
    """
    try:
        draw(path)
    except OSError as error:
        why = error.strerror or error
        raise ZooError(f"{path} cannot be written ({why}); --output names another place") from None
    return Picture(path)


def image_of(images: Any, number: int, where: str) -> npt.NDArray[Any]:
    """Image `number`, the first is 0, as an array in memory.

    Raises:
        ZooError: there are not so many.
    """
    if not 0 <= number < len(images):
        raise ZooError(f"--image: there is no image {number} in {where}; expected 0 … {len(images) - 1}")
    return np.asarray(images[number])
