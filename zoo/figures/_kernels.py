"""The classic kernels on an image: smoothing, horizontal, vertical and all edges."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import GREY, HEADER, MARGIN, Page, plain_style
from zoo.figures._png import Pixels, write_png
from zoo.figures._shades import signed_shades
from zoo.figures._tiles import colored, is_colored, paste_tile, resize, tile_size

Values = npt.NDArray[np.float64]

# Applied without flipping, as a convolution layer does. The edges are Prewitt's (1970); for all edges, the
# sum of the differences to the eight neighbours.
KERNELS: Mapping[str, Values] = {
    "smoothing": np.full((3, 3), 1 / 9),
    "horizontal edges": np.array([[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]]),
    "vertical edges": np.array([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]]),
    "all edges": np.array([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}
_BOX = 176  # pixels
_GAP = 22
_NOTE = (
    "blue: brighter below (horizontal edges), to the right (vertical edges), than the surroundings "
    "(all edges); orange: darker"
)


def apply_kernel(image: npt.NDArray[Any], kernel: npt.NDArray[Any]) -> Values:
    """Return the sum of every pixel's neighbourhood weighted by `kernel`; edge pixels are repeated outwards.

    Args:
        image: grey levels, shape `(height, width)`.
        kernel: odd height and width.

    Returns:
        The shape of `image`.
    """
    padding = [(side // 2, side // 2) for side in kernel.shape]
    padded = np.pad(image.astype(np.float64), padding, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    result: Values = np.einsum("hwij,ij->hw", windows, kernel)
    return result


def grey_levels(image: npt.NDArray[Any]) -> Values:
    """Return `(height, width, channels)` as grey levels `(height, width)`, 0 to 255: Rec. 601 luma."""
    if not is_colored(image):
        return image[:, :, 0].astype(np.float64)
    luma: Values = image[:, :, :3] @ np.array([0.299, 0.587, 0.114])
    return luma


def kernels(image: npt.NDArray[Any], path: str | os.PathLike[str], *, title: str, subtitle: str) -> Path:
    """Draw `image`, and beside it the result of each of `KERNELS` on its grey levels.

    Args:
        image: `uint8`, shape `(height, width, channels)`.
    """
    grey = grey_levels(image)
    tiles = {"image": colored(image)}
    tiles |= {name: _as_colors(name, apply_kernel(grey, kernel)) for name, kernel in KERNELS.items()}
    height, width = tile_size(image.shape, _BOX)
    step = max(width, 130) + _GAP
    top = HEADER + 40
    with plain_style():
        page = Page(max(2 * MARGIN + len(tiles) * step - _GAP, 520), top + height + 64 + MARGIN)
        page.header(title, subtitle)
        page.key([(_NOTE, GREY)])
        for column, name in enumerate(tiles):
            left = MARGIN + column * step
            page.text(left, top - 13, name, weight="bold")
            if name in KERNELS:
                _write_kernel(page, left, top + height + 16, KERNELS[name])
        pixels = page.pixels()
        for column, tile in enumerate(tiles.values()):
            paste_tile(pixels, resize(tile, height, width), top, MARGIN + column * step)
    return write_png(pixels, path, colors="all")


def _as_colors(name: str, result: Values) -> Pixels:
    if name == "smoothing":
        return colored(result.round().clip(0, 255)[:, :, None])
    return signed_shades(result)


def _write_kernel(page: Page, left: int, top: int, kernel: Values) -> None:
    """Write the kernel's numbers row by row."""
    for row, numbers in enumerate(kernel):
        for column, number in enumerate(numbers):
            text = f"{number:.0f}".replace("-", "−") if number == round(number) else "1/9"
            page.text(left + 24 + column * 34, top + row * 18, text, size=9, color=GREY, ha="right")
