"""The confusion matrix: which class was taken for which."""

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
    Mask,
    Page,
    Pixels,
    number_alike,
    paste_ink,
    plain_style,
    readable_names,
    shorten,
    text_mask,
    text_width,
    write_png,
)

_SIDE = 700  # pixels the matrix may take, both ways; more only for more classes than that
_NAME_WIDTH = 150  # pixels a class name may take
_SMALLEST_NUMBERED_CELL = 16  # pixels; in smaller cells no number is legible
_SMALLEST_GRIDDED_CELL = 8  # pixels; below, lines would hide the cells
_RIGHT, _WRONG = (8, 81, 156), (200, 55, 0)  # blue, orange: told apart by the colour-blind too

Counts = npt.NDArray[np.int64]


def confusion_counts(labels: Any, predicted: Any, classes: int) -> Counts:
    """Count `(actual, predicted)` pairs.

    Args:
        labels, predicted: integers in `0 .. classes - 1`, shape `(n,)`.

    Returns:
        Shape `(classes, classes)`: entry `[i, j]` is how many images of class i were taken for j.

    Raises:
        ValueError: the two differ in length, or hold a class that is not there.
    """
    labels, predicted = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
    if labels.shape != predicted.shape or labels.ndim != 1:
        raise ValueError(
            f"Labels {labels.shape} and predictions {predicted.shape} must be two lists of one length."
        )
    for what, values in (("labels", labels), ("predictions", predicted)):
        if len(values) and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(
                f"The {what} run from {values.min()} to {values.max()}; "
                f"{classes} classes are numbered 0 to {classes - 1}."
            )
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confusion_matrix(
    labels: Any,
    predicted: Any,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draw counts with actual classes in rows and predicted ones in columns.

    The colour is a cell's share of its row, so that small classes show like large ones; what is right
    is blue and what is wrong orange, on a steeper scale, so that a few errors beside a full diagonal are
    seen. Numbers stand in the cells where they fit; names are thinned out where they do not.

    Args:
        labels, predicted: integers in `0 .. len(class_names) - 1`, shape `(n,)`.
        path: where the PNG goes; its folder is made.

    Raises:
        ValueError: labels or predictions do not fit the classes or each other.
    """
    counts = confusion_counts(labels, predicted, len(class_names))
    with plain_style():
        pixels = _draw(counts, readable_names(class_names), title)
    return write_png(pixels, path)


def _draw(counts: Counts, names: list[str], title: str) -> Pixels:
    classes = len(names)
    cell = max(1, min(_SIDE // classes, 56 if classes > 4 else 110))
    side = cell * classes
    size = 9 if cell >= 14 else 7
    shown = range(0, classes, max(1, -(-13 // cell)))  # a line of text needs 13 pixels
    names = number_alike(names, _NAME_WIDTH, size)
    names = [shorten(name, _NAME_WIDTH, size) for name in names]
    longest = round(max(text_width(names[i], size) for i in shown))
    upright = longest > cell - 6  # too wide to stand side by side
    left, top = MARGIN + 22 + longest + 10, HEADER + 30
    below = 14 + (longest if upright else 12)
    width = max(left + side, 480) + MARGIN
    page = Page(width, top + side + below + 32)

    page.header(title, _subtitle(counts))
    _key(page)
    page.text(MARGIN + 8, top + side / 2, "actual", color=GREY, ha="center", rotation=90)
    page.text(left + side / 2, top + side + below + 14, "predicted", color=GREY, ha="center")
    pixels = page.pixels()
    _frame(pixels, left, top, side)
    for i in shown:
        middle = i * cell + cell // 2
        pixels[top + middle, left - 6 : left - 1] = 0x99
        pixels[top + side + 1 : top + side + 6, left + middle] = 0x99
        name = text_mask(names[i], size)
        height, length = name.shape
        paste_ink(pixels, name, top + middle - height // 2, left - 9 - length, 0x22)
        if upright:  # as drawn for the row, turned: drawing text is what takes long here
            paste_ink(pixels, np.rot90(name), top + side + 9, left + middle - height // 2, 0x22)
        else:
            paste_ink(pixels, name, top + side + 14 - height // 2, left + middle - length // 2, 0x22)
    pixels[top : top + side, left : left + side] = _cells(counts, cell)
    return pixels


def _subtitle(counts: Counts) -> str:
    total, right = int(counts.sum()), int(np.trace(counts))
    if not total:
        return "no images"
    return f"accuracy {100 * right / total:.2f} %: {total - right:,} of {total:,} images wrong"


def _key(page: Page) -> None:
    """Say what the colours mean."""
    x: float = MARGIN
    for text, rgb in (
        ("● right", _RIGHT),
        ("● wrong", _WRONG),
        ("darker: a larger share of the row; wrong on a steeper scale", None),
    ):
        page.text(x, HEADER + 4, text, size=8, color="#{:02x}{:02x}{:02x}".format(*rgb) if rgb else GREY)
        x += text_width(text, 8) + 14


def _frame(pixels: Pixels, left: int, top: int, side: int) -> None:
    pixels[top - 1 : top + side + 1, left - 1 : left + side + 1] = 0x99


def cell_colors(counts: Counts) -> Pixels:
    """The colour of every cell, `(classes, classes, 3)`; white where nothing was counted."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Errors are rare where a model is any good: a hundredth of a row must still be seen, hence the root.
    strength = np.where(counts > 0, 0.06 + 0.94 * share**0.45, 0)[:, :, None]
    strength[np.diag_indices(len(counts))] = np.diag(share)[:, None] * 0.9
    color = np.broadcast_to(np.array(_WRONG, float), (*counts.shape, 3)).copy()
    color[np.diag_indices(len(counts))] = _RIGHT
    return (255 + (color - 255) * strength).round().astype(np.uint8)


def _cells(counts: Counts, cell: int) -> Pixels:
    """The matrix as an image, each cell `cell` pixels wide and high."""
    colors = cell_colors(counts)
    image = colors.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= _SMALLEST_GRIDDED_CELL:
        for start in range(cell, len(image), cell):
            image[start, :] = image[:, start] = 0xE4
    if cell >= _SMALLEST_NUMBERED_CELL:
        _write_numbers(image, counts, colors, cell)
    return image


def _write_numbers(image: Pixels, counts: Counts, colors: Pixels, cell: int) -> None:
    """Write each count into the middle of its cell: all of them where the widest fits, else none."""
    numbered = counts > 0
    np.fill_diagonal(numbered, counts.sum(axis=1) > 0)  # a class never recognised says 0
    widest = str(counts.max())
    size = next((size for size in (10, 9, 8, 7, 6) if text_width(widest, size) <= cell - 3), None)
    if size is None:
        return
    masks = {number: _number_mask(number, size) for number in np.unique(counts[numbered])}
    dark = colors @ np.array([0.299, 0.587, 0.114]) < 140
    for row, column in np.argwhere(numbered):
        mask = masks[counts[row, column]]
        height, width = mask.shape
        y, x = row * cell + (cell - height + 1) // 2, column * cell + (cell - width + 1) // 2
        paste_ink(image, mask, y, x, 255 if dark[row, column] else 0x22)


def _number_mask(number: int, size: int) -> Mask:
    mask = text_mask(str(number), size)
    return mask[mask.any(axis=1)]
