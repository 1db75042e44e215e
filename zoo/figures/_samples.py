"""Samples of a dataset: a few images of every class."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import GREY, HEADER, MARGIN, Page, plain_style
from zoo.figures._png import Pixels, write_png
from zoo.figures._text import short_names, text_width
from zoo.figures._tiles import make_tiles, paste_tile, tile_size

AT_MOST = 100  # classes; of more, the first are shown
_LONGEST_NAME = 120  # pixels
_SIZE = 8  # points
_GAP = 6  # pixels between images
_GUTTER = 24  # pixels between columns of classes


def pick_samples(labels: Any, label: int, count: int) -> npt.NDArray[np.int64]:
    """Return the indices of up to `count` images of a class, evenly spaced and ascending.

    Args:
        labels: integers, shape `(n,)`.
    """
    members = np.flatnonzero(np.asarray(labels) == label)
    positions = np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(np.int64)
    return members[positions]


def samples(
    images: Any,
    labels: Any,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
    note: str = "",
) -> Path:
    """Draw a few images of every class, with its name and its number of images.

    Up to 100 classes are shown; the fewer there are, the more images of each.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`, at least one; only those drawn are read.
        labels: integers in `0 .. len(class_names) - 1`, shape `(n,)`.
        note: the end of the line below the title.

    Raises:
        ValueError: there are no images, or not as many as labels.
    """
    labels = np.asarray(labels)
    if not 0 < len(images) == len(labels):
        raise ValueError(
            f"{len(images)} images and {len(labels)} labels: expected at least one, and a label for each."
        )
    shape = np.asarray(images[0]).shape
    num_classes = min(len(class_names), AT_MOST)
    with plain_style():
        names = short_names(class_names[:num_classes], _LONGEST_NAME, _SIZE)
        layout = _Layout(names, shape)
        page = layout.page()
        page.header(title, _subtitle(labels, shape, len(class_names), note))
        for label, name in enumerate(names):
            layout.write_name(page, label, name, int((labels == label).sum()))
        pixels = page.pixels()
        for label in range(num_classes):
            picked = pick_samples(labels, label, layout.images_of_each)
            layout.paste(pixels, label, [np.asarray(images[i]) for i in picked])
    return write_png(pixels, path, colors="all" if shape[2] >= 3 else "few")


class _Layout:
    """The layout: classes one below the other, in one or several columns."""

    def __init__(self, names: Sequence[str], shape: tuple[int, ...]) -> None:
        self._columns, self._box, self.images_of_each = _arrangement(len(names))
        self._height, self._width = tile_size(shape, self._box)
        self._name_width = max(round(max(text_width(name, _SIZE) for name in names)), 60) + 12
        self._rows = math.ceil(len(names) / self._columns)
        self._step_x = self._name_width + self.images_of_each * (self._width + _GAP) + _GUTTER
        self._step_y = max(self._height + _GAP, 34)

    def page(self) -> Page:
        width = 2 * MARGIN + self._columns * self._step_x - _GUTTER
        return Page(max(width, 520), HEADER + 6 + self._rows * self._step_y + MARGIN)

    def write_name(self, page: Page, label: int, name: str, count: int) -> None:
        top, left = self._corner(label)
        middle = top + self._height / 2
        page.text(left, middle - 7, name, size=_SIZE)
        images = f"{count:,} image{'s' if count != 1 else ''}" if count else "no images"
        page.text(left, middle + 7, images, size=7, color=GREY)

    def paste(self, pixels: Pixels, label: int, images: Sequence[npt.NDArray[Any]]) -> None:
        top, left = self._corner(label)
        for number, tile in enumerate(make_tiles(images, self._box)):
            paste_tile(pixels, tile, top, left + self._name_width + number * (self._width + _GAP))

    def _corner(self, label: int) -> tuple[int, int]:
        """Return the row and column of the page where a class begins."""
        column, row = divmod(label, self._rows)
        return HEADER + 6 + row * self._step_y, MARGIN + column * self._step_x


def _arrangement(classes: int) -> tuple[int, int, int]:
    """Return the number of columns, the pixels of an image, and the images of each class."""
    if classes <= 4:
        return 1, 128, 8
    if classes <= 12:
        return 1, 80, 12
    return (2, 52, 8) if classes <= 40 else (4, 44, 4)


def _subtitle(labels: npt.NDArray[Any], shape: tuple[int, ...], classes: int, note: str) -> str:
    color = "colour" if shape[2] >= 3 else "grey"
    text = f"{len(labels):,} images of {shape[0]}×{shape[1]} pixels, {color}; {classes:,} classes"
    if classes > AT_MOST:
        text += f", the first {AT_MOST} shown"
    return f"{text}; {note}" if note else text
