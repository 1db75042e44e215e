"""Samples of a dataset: a few images of every class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import (
    GREY,
    HEADER,
    MARGIN,
    Page,
    plain_style,
    readable_names,
    shorten,
    text_width,
    write_png,
)
from zoo.figures._tiles import Tiles, paste_tile, tile_size

AT_MOST = 100  # classes; of more, the first are shown
_LONGEST_NAME = 120  # pixels
_SIZE = 8  # points
_GAP = 6  # pixels between images


def pick_samples(labels: Any, label: int, count: int) -> npt.NDArray[np.int64]:
    """Choose up to `count` images of a class, evenly spaced among those there are, in their order.

    Args:
        labels: integers, shape `(n,)`.
    """
    members = np.flatnonzero(np.asarray(labels) == label)
    places = np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(np.int64)
    return members[places]


def samples(
    images: Any,
    labels: Any,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
    note: str = "",
) -> Path:
    """Draw a few images of every class, with the class's name and how many of it there are.

    Up to 100 classes are shown, with the more images the fewer classes there are.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`, at least one; only those drawn are read.
        labels: integers in `0 .. len(class_names) - 1`, shape `(n,)`.
        path: where the PNG goes; its folder is made.
        note: the end of the line below the title.

    Raises:
        ValueError: there are no images, or not as many as labels.
    """
    labels = np.asarray(labels)
    if not 0 < len(images) == len(labels):
        raise ValueError(
            f"There are {len(images)} images and {len(labels)} labels; expected a label for each."
        )
    shape = np.asarray(images[0]).shape
    shown = range(min(len(class_names), AT_MOST))
    blocks, box, count = _arrangement(len(shown))
    height, width = tile_size(shape, box)
    with plain_style():
        names = [shorten(name, _LONGEST_NAME, _SIZE) for name in readable_names(class_names[: len(shown)])]
        longest = max(round(max(text_width(name, _SIZE) for name in names)), 60)
        rows = -(-len(shown) // blocks)
        step_y = max(height + _GAP, 34)
        block = longest + 12 + count * (width + _GAP) + 24
        page = Page(max(2 * MARGIN + blocks * block - 24, 520), HEADER + 6 + rows * step_y + MARGIN)
        page.header(title, _subtitle(labels, shape, len(class_names), note))
        corners = [
            (HEADER + 6 + place % rows * step_y, MARGIN + place // rows * block)
            for place in range(len(shown))
        ]
        for label, (top, left) in zip(shown, corners, strict=True):
            there = int((labels == label).sum())
            page.text(left, top + height / 2 - 7, names[label], size=_SIZE)
            told = f"{there:,} image{'s' if there != 1 else ''}" if there else "no images"
            page.text(left, top + height / 2 + 7, told, size=7, color=GREY)
        pixels = page.pixels()
        for label, (top, left) in zip(shown, corners, strict=True):
            picked = pick_samples(labels, label, count)
            if len(picked):
                tiles = Tiles.of([np.asarray(images[i]) for i in picked], box)
                for place, tile in enumerate(tiles.images):
                    paste_tile(pixels, tile, top, left + longest + 12 + place * (width + _GAP))
    return write_png(pixels, path, colors="all" if shape[2] >= 3 else "few")


def _arrangement(classes: int) -> tuple[int, int, int]:
    """How many classes stand beside each other, pixels of an image, images of a class."""
    if classes <= 4:
        return 1, 128, 8
    if classes <= 12:
        return 1, 80, 12
    return (2, 52, 8) if classes <= 40 else (4, 44, 4)


def _subtitle(labels: npt.NDArray[Any], shape: tuple[int, ...], classes: int, note: str) -> str:
    color = "colour" if shape[2] >= 3 else "grey"
    text = f"{len(labels):,} images of {shape[0]}×{shape[1]} pixels, {color}; {classes:,} classes"
    if classes > AT_MOST:
        text += f", of which the first {AT_MOST} are shown"
    return f"{text}; {note}" if note else text
