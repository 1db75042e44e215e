"""The confusion matrix: how many images of each class are predicted as each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import BLUE, GREY, HEADER, MARGIN, ORANGE, Key, Page, plain_style
from zoo.figures._pixels import Pixels, paste_ink
from zoo.figures._text import short_names, text_mask, text_width
from zoo.metrics import confusion_counts

_SIDE = 700  # width and height of the matrix in pixels, or its number of classes if that is more
_NAME_WIDTH = 150  # pixels of the longest class name
_MIN_NUMBERED_CELL = 16  # pixels; in smaller cells no number is legible
_MIN_GRIDDED_CELL = 8  # pixels; lines around smaller cells would hide them
_KEY: Key = (
    ("● correct", BLUE),
    ("● wrong", ORANGE),
    ("darker: larger share of the row (wrong cells darken faster)", GREY),
)

Counts = npt.NDArray[np.int64]


@plain_style()
def confusion_matrix(
    labels: Any, predicted: Any, class_names: Sequence[str], path: Path, *, title: str
) -> Path:
    """Draw counts of validation images, with actual classes in rows and predicted ones in columns.

    The color shows a cell's share of its row, so that small classes are as visible as large ones. Correct
    predictions are blue. Wrong ones are orange and darken faster, so that a few errors are visible beside a
    full diagonal. Cells have numbers if there is space. If there are many classes, only some have a name.
    """
    num_classes = len(class_names)
    counts = confusion_counts(labels, predicted, num_classes)
    cell = max(1, min(_SIDE // num_classes, 56 if num_classes > 4 else 110))
    side = cell * num_classes
    size = 9 if cell >= 14 else 7
    with_name = range(0, num_classes, math.ceil(13 / cell))  # a line of text needs 13 pixels
    names = short_names(class_names, _NAME_WIDTH, size)
    longest = round(max(text_width(names[i], size) for i in with_name))
    is_rotated = longest > cell - 6  # too wide for names side by side
    left, top = MARGIN + 22 + longest + 10, HEADER + 30
    below = 14 + (longest if is_rotated else 12)
    page = Page(left + side + MARGIN, top + side + below + 32, title, _subtitle(counts), _KEY)
    page.text(MARGIN + 8, top + side / 2, "actual", color=GREY, ha="center", rotation=90)
    page.text(left + side / 2, top + side + below + 14, "predicted", color=GREY, ha="center")
    pixels = page.pixels
    pixels[top - 1 : top + side + 1, left - 1 : left + side + 1] = 0x99  # the frame
    for i in with_name:
        middle = i * cell + cell // 2
        pixels[top + middle, left - 6 : left - 1] = 0x99
        pixels[top + side + 1 : top + side + 6, left + middle] = 0x99
        name = text_mask(names[i], size)
        height, width = name.shape
        paste_ink(pixels, name, top + middle - height // 2, left - 9 - width, 0x22)
        if is_rotated:  # the row's mask is reused, since drawing text takes most of the time
            paste_ink(pixels, np.rot90(name), top + side + 9, left + middle - height // 2, 0x22)
        else:
            paste_ink(pixels, name, top + side + 14 - height // 2, left + middle - width // 2, 0x22)
    pixels[top : top + side, left : left + side] = _draw_cells(counts, cell)
    return page.save(path)


def _subtitle(counts: Counts) -> str:
    total, correct = int(counts.sum()), int(np.trace(counts))
    if not total:
        return "no validation images"
    return f"accuracy {100 * correct / total:.2f} %: {total - correct:,} of {total:,} validation images wrong"


def cell_colors(counts: Counts) -> Pixels:
    """Return the color of every cell, `(num_classes, num_classes, 3)`; white for a count of 0."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Errors are rare in a good model. The exponent makes a cell with one percent of its row visible.
    strength = np.where(counts > 0, 0.06 + 0.94 * share**0.45, 0)[:, :, None]
    strength[np.diag_indices(len(counts))] = np.diag(share)[:, None] * 0.9
    color = np.broadcast_to(np.array(ORANGE, float), (*counts.shape, 3)).copy()
    color[np.diag_indices(len(counts))] = BLUE
    return (255 + (color - 255) * strength).round().astype(np.uint8)


def _draw_cells(counts: Counts, cell: int) -> Pixels:
    """Return the matrix as an image, each cell `cell` pixels wide and high."""
    colors = cell_colors(counts)
    image = colors.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= _MIN_GRIDDED_CELL:
        image[cell::cell] = image[:, cell::cell] = 0xE4
    if cell >= _MIN_NUMBERED_CELL:
        _write_numbers(image, counts, colors, cell)
    return image


def _write_numbers(image: Pixels, counts: Counts, colors: Pixels, cell: int) -> None:
    """Write each count into the middle of its cell; write nothing if the widest count does not fit."""
    has_number = counts > 0
    np.fill_diagonal(has_number, counts.sum(axis=1) > 0)  # a class that is never recognised shows a 0
    widest = str(counts.max())
    size = next((size for size in (10, 9, 8, 7, 6) if text_width(widest, size) <= cell - 3), None)
    if size is None:
        return
    masks = {number: text_mask(str(number), size) for number in np.unique(counts[has_number])}
    is_dark = colors @ np.array([0.299, 0.587, 0.114]) < 140
    for row, column in np.argwhere(has_number):
        mask = masks[counts[row, column]]
        mask = mask[mask.any(axis=1)]
        height, width = mask.shape
        y, x = row * cell + (cell - height + 1) // 2, column * cell + (cell - width + 1) // 2
        paste_ink(image, mask, y, x, 255 if is_dark[row, column] else 0x22)
