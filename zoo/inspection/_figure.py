"""The result of drawing functions, and checks of their arguments `output` and `image`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import ZooError
from zoo.files import check_writable

OptionalPath = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Figure:
    """A figure in a PNG file; a notebook displays it."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


def output_path(output: OptionalPath, default: Path) -> Path:
    """Return the path to write to: `output`, or `default` if it is None.

    Raise ZooError if no PNG file can be written there. Call this before any long work.
    """
    path = default if output is None else Path(output)
    if path.is_dir():
        raise ZooError(f"--output: {path} is a folder; expected a file, such as {path / default.name}")
    if path.suffix.lower() != ".png":
        raise ZooError(f"--output: expected a file that ends in .png, got {path}")
    check_writable(path, "--output", creates_folders=True)
    return path


def image_at(images: Any, number: int, split: str) -> npt.NDArray[Any]:
    """Return image `number` of a split, as an array in memory; raise ZooError if there is no such image."""
    if not 0 <= number < len(images):
        raise ZooError(f"--image: no image {number} in the {split} split; expected 0 … {len(images) - 1}")
    return np.asarray(images[number])
