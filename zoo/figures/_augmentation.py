"""An augmentation policy: many versions of one image, and one version of many images."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

from zoo.figures._page import HEADER, MARGIN, Page, plain_style
from zoo.figures._png import write_png
from zoo.figures._text import text_width
from zoo.figures._tiles import is_colored, make_tiles, paste_tile, tile_size

VERSIONS = 24  # of one image
IMAGES = 8  # each with one version
_COLUMNS = 8
_BOX = 112  # pixels
_GAP = 6
_SIZE = 8  # points


def augmentation(
    original: npt.NDArray[Any],
    versions: npt.NDArray[Any],
    originals: npt.NDArray[Any],
    augmented: npt.NDArray[Any],
    path: str | os.PathLike[str],
    *,
    title: str,
    subtitle: str,
) -> Path:
    """Draw one image with many versions of it, and below several images with one version of each.

    Args:
        original: `uint8`, shape `(height, width, channels)`.
        versions: images of that shape, at least one, `(n, height, width, channels)`.
        originals, augmented: like `versions`, as many of one as of the other.

    Raises:
        ValueError: there are no versions, or not as many augmented images as originals.
    """
    if not len(versions) or not 0 < len(originals) == len(augmented):
        raise ValueError(
            f"Cannot draw {len(versions)} versions of one image and {len(augmented)} versions of "
            f"{len(originals)} others: expected at least one, and one for each."
        )
    height, width = tile_size(original.shape, _BOX)
    step_x, step_y = width + _GAP, height + _GAP
    with plain_style():
        label = round(max(text_width(text, _SIZE) for text in ("original", "version"))) + 10
        left = MARGIN + label
        upper = HEADER + 24
        lower = upper + math.ceil(len(versions) / _COLUMNS) * step_y + 40
        columns = max(min(_COLUMNS, len(versions)) + 1, len(originals))
        page = Page(max(left + columns * step_x + 10 + MARGIN, 520), lower + 2 * step_y + MARGIN - _GAP)
        page.header(title, subtitle)
        plural = "s" if len(versions) > 1 else ""
        page.text(MARGIN, upper - 13, f"{len(versions)} version{plural} of one image", weight="bold")
        page.text(MARGIN, upper + height / 2, "original", size=_SIZE)
        several = f"each of {len(originals)} images" if len(originals) > 1 else "one image"
        page.text(MARGIN, lower - 13, f"one version of {several}", weight="bold")
        page.text(MARGIN, lower + height / 2, "original", size=_SIZE)
        page.text(MARGIN, lower + step_y + height / 2, "version", size=_SIZE)
        pixels = page.pixels()
        paste_tile(pixels, make_tiles([original], _BOX)[0], upper, left)
        for number, tile in enumerate(make_tiles(versions, _BOX)):
            row, column = divmod(number, _COLUMNS)
            paste_tile(pixels, tile, upper + row * step_y, left + 10 + (column + 1) * step_x)
        for row, images in enumerate((originals, augmented)):
            for column, tile in enumerate(make_tiles(images, _BOX)):
                paste_tile(pixels, tile, lower + row * step_y, left + column * step_x)
    return write_png(pixels, path, colors="all" if is_colored(original) else "few")
