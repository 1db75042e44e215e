"""Images as tiles: large enough to see, small enough to keep, pasted into a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import Pixels

_FRAME = 0xBB  # grey level; a white image on white paper has an edge


@dataclass(frozen=True)
class Tiles:
    """Images of one size, `(height, width, 3)` each, ready to be pasted."""

    images: list[Pixels]
    height: int
    width: int

    @classmethod
    def of(cls, images: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], box: int) -> Tiles:
        """Make `(height, width, channels)` images, at least one, as large as `tile_size` says."""
        height, width = tile_size(images[0].shape, box)
        return cls([resize(colored(image), height, width) for image in images], height, width)


def tile_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Height and width at which an image of that shape fills a square of about `box` pixels.

    Small images keep their pixels, each as a whole square, so that the longer side may come out up to
    a third longer or shorter than `box`; large ones are resampled to it.
    """
    height, width = shape[:2]
    larger = max(height, width)
    scale = max(1, round(box / larger)) if larger <= box else box / larger
    return max(1, round(height * scale)), max(1, round(width * scale))


def colored(image: npt.NDArray[Any]) -> Pixels:
    """`(height, width, channels)` as `(height, width, 3)`: grey is repeated, a fourth channel dropped."""
    image = image.astype(np.uint8, copy=False)
    return image[:, :, :3] if image.shape[2] >= 3 else image[:, :, :1].repeat(3, axis=2)


def is_colored(image: npt.NDArray[Any]) -> bool:
    """Whether an image `(height, width, channels)` is drawn in colour."""
    return bool(image.shape[2] >= 3)


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """`image` at another size: every pixel a rectangle where that comes out even, else resampled."""
    if height % image.shape[0] == 0 and width % image.shape[1] == 0:
        return image.repeat(height // image.shape[0], axis=0).repeat(width // image.shape[1], axis=1)
    from PIL import Image

    resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def paste_tile(pixels: Pixels, tile: Pixels, top: int, left: int) -> None:
    """Lay `tile` onto the page, its top left corner at row `top`, column `left`, with a line round it."""
    bottom, right = top + tile.shape[0], left + tile.shape[1]
    pixels[top - 1 : bottom + 1, left - 1 : right + 1] = _FRAME
    pixels[top:bottom, left:right] = tile
