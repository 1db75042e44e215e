"""Images as tiles: large enough to see, small enough to store, pasted into a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._png import Pixels

_FRAME = 0xBB  # grey level; without a frame, a white image on white paper has no edge


def make_tiles(images: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], box: int) -> list[Pixels]:
    """Return images `(height, width, channels)` in colour and in the size of `tile_size`."""
    return [resize(colored(image), *tile_size(image.shape, box)) for image in images]


def tile_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Return the height and width at which an image fills a square of about `box` pixels.

    The pixels of a small image become squares of whole pixels, so its longer side can be up to a third longer
    or shorter than `box`. A large image is resampled to `box`.
    """
    height, width = shape[:2]
    longer = max(height, width)
    scale = max(1, round(box / longer)) if longer <= box else box / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def colored(image: npt.NDArray[Any]) -> Pixels:
    """Return `(height, width, 3)`: grey is repeated, a fourth channel dropped."""
    image = image.astype(np.uint8, copy=False)
    return image[:, :, :3] if is_colored(image) else image[:, :, :1].repeat(3, axis=2)


def is_colored(image: npt.NDArray[Any]) -> bool:
    """Return whether an image `(height, width, channels)` is drawn in colour."""
    return bool(image.shape[2] >= 3)


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """Return `image` at another size: pixels repeated if it grows in both directions, else averaged."""
    from PIL import Image

    grows = image.shape[0] <= height and image.shape[1] <= width
    method = Image.Resampling.NEAREST if grows else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), method))


def check_lengths(images: Any, labels: Any, probabilities: Any) -> None:
    """Raise ValueError unless the three are equally many."""
    if not len(images) == len(labels) == len(probabilities):
        raise ValueError(
            f"{len(images)} images, {len(labels)} labels and {len(probabilities)} predictions: "
            "expected as many of each, in the same order."
        )


def paste_tile(pixels: Pixels, tile: Pixels, top: int, left: int) -> None:
    """Lay `tile` and a frame onto the page, its top left corner at row `top`, column `left`."""
    bottom, right = top + tile.shape[0], left + tile.shape[1]
    pixels[top - 1 : bottom + 1, left - 1 : right + 1] = _FRAME
    pixels[top:bottom, left:right] = tile
