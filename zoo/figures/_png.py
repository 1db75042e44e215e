"""Pixels written to a PNG file, and masks of ink laid onto them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from zoo.files import atomic_path

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]
Colors = Literal["few", "many", "all"]


def write_png(pixels: Pixels, path: str | os.PathLike[str], *, colors: Colors = "few") -> Path:
    """Write `(height, width, 3)` pixels; the file is complete or absent.

    Args:
        path: its folder is created.
        colors: `few` and `many` keep at most 256 colours, which makes a file a third as large. `few` is for
            charts and keeps the frequent colours exactly; `many` is for photographs; `all` keeps every one.
    """
    from PIL import Image

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image: Any = Image.fromarray(pixels)
    if colors == "few":
        image = _reduced(pixels)
    elif colors == "many":
        image = image.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG")
    return path


def _reduced(pixels: Pixels) -> Any:
    """Return an image of 256 colours: one for each group of similar colours, the most frequent of the group.

    Pillow's maximum coverage keeps a rare colour that differs from all others, such as a word in a legend,
    but it replaces each group by its mean, and then no colour is exact.
    """
    from PIL import Image

    counts: Any = Image.fromarray(pixels).getcolors(pixels.size)
    colors = np.array([color for _, color in sorted(counts)], np.uint8)  # the most frequent last
    groups = np.asarray(Image.fromarray(colors[None]).quantize(256, method=Image.Quantize.MAXCOVERAGE))[0]
    palette = np.zeros((256, 3), np.uint8)
    palette[groups] = colors  # within a group, the last colour remains
    group_of = np.zeros(1 << 24, np.uint8)  # by packed colour; memory is only used where it is written
    group_of[_packed(colors)] = groups
    image = Image.fromarray(group_of[_packed(pixels)], "P")
    image.putpalette(palette.tobytes(), "RGB")
    return image


def _packed(colors: Pixels) -> npt.NDArray[np.int32]:
    """Return red, green and blue of the last axis as one number below 2²⁴."""
    packed: npt.NDArray[np.int32] = colors.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    return packed


def paste_ink(pixels: Pixels, mask: Mask, y: int, x: int, ink: int | tuple[int, int, int]) -> None:
    """Lay `mask` onto `pixels`, its top left corner at row y, column x; `ink` is a grey level or RGB."""
    area = pixels[y : y + mask.shape[0], x : x + mask.shape[1]]
    area[:] = (area + (np.asarray(ink, np.float32) - area) * mask[:, :, None]).round()
