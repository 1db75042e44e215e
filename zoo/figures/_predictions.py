"""Predictions: images beside the probabilities of their classes."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import GREY, HEADER, MARGIN, Page, hex_color, key_width, plain_style
from zoo.figures._png import Mask, Pixels, paste_ink, write_png
from zoo.figures._text import short_names, text_mask, text_width
from zoo.figures._tiles import check_lengths, is_colored, make_tiles, paste_tile, tile_size

GROUP_SIZE = 6  # images in each of the two groups
_ALL_CLASSES = 10  # with more classes, only the most probable have a bar
_MOST_PROBABLE = 6
_COLUMNS = 3
_BOX = 112  # pixels of an image in each direction
_LONGEST_NAME, _NAME_AND_BAR, _PERCENT = 116, 196, 34  # widths in pixels
_LINE = 13  # pixels from one bar to the next
_SIZE = 8  # points
_TRUE, _WRONG, _OTHER = (8, 81, 156), (200, 55, 0), (150, 150, 150)

Indices = npt.NDArray[np.int64]


def pick_predictions(probabilities: Any, group_size: int = GROUP_SIZE) -> tuple[Indices, Indices]:
    """Choose images to show: evenly spaced ones, and those with the least certain prediction.

    Args:
        probabilities: shape `(n, classes)`.

    Returns:
        Two lists of at most `group_size` indices, no index in both: the first ascending, the second by the
        probability of the predicted class, the lowest first.
    """
    probabilities = np.asarray(probabilities)
    count = len(probabilities)
    even = np.unique(np.linspace(0, count - 1, min(group_size, count)).round().astype(np.int64))
    others = np.setdiff1d(np.arange(count), even)
    order = np.argsort(probabilities.max(axis=1)[others], kind="stable")
    return even, others[order][:group_size]


def predictions(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
    picked: Sequence[int] | None = None,
) -> Path:
    """Draw images beside a bar for the probability of each class, the true class in blue.

    Up to ten classes have a bar each, in their order; of more, the six most probable and the true class.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`; only those drawn are read.
        labels: integers, shape `(n,)`.
        probabilities: shape `(n, len(class_names))`.
        picked: indices of the images to show, instead of those from `pick_predictions`.

    Raises:
        ValueError: images, labels and probabilities are not equally many, or there are none.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    check_lengths(images, labels, probabilities)
    if not len(images):
        raise ValueError("No images to draw: expected at least one.")
    if picked is None:
        even, uncertain = pick_predictions(probabilities)
        groups = {"evenly spaced": even, "least certain": uncertain}
    else:
        groups = {"": np.asarray(picked, np.int64)}
    groups = {name: indices for name, indices in groups.items() if len(indices)}
    first = np.asarray(images[0])
    with plain_style():
        sheet = _Sheet(class_names, [len(indices) for indices in groups.values()], first.shape)
        sheet.write_texts(title, _subtitle(labels, probabilities), list(groups))
        pixels = sheet.page.pixels()
        for number, indices in enumerate(groups.values()):
            tiles = make_tiles([np.asarray(images[i]) for i in indices], _BOX)
            for position, (tile, i) in enumerate(zip(tiles, indices, strict=True)):
                corner = sheet.corner(number, position)
                sheet.draw_image(pixels, corner, tile, int(i))
                sheet.draw_bars(pixels, corner, int(labels[i]), probabilities[i])
    return write_png(pixels, path, colors="many" if is_colored(first) else "few")


def _subtitle(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> str:
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    return f"{correct:,} of {len(labels):,} images correct; below each image, its number"


class _Sheet:
    """The layout: groups of cells, each an image with bars on its right.

    Args:
        sizes: the number of images in each group.
        shape: of an image.
    """

    def __init__(self, class_names: Sequence[str], sizes: Sequence[int], shape: tuple[int, ...]) -> None:
        self._names = short_names(class_names, _LONGEST_NAME, _SIZE)
        self._name_width = round(max(text_width(name, _SIZE) for name in self._names))
        self._bar_width = _NAME_AND_BAR - self._name_width
        height, self._tile_width = tile_size(shape, _BOX)
        bars = len(class_names) if len(class_names) <= _ALL_CLASSES else _MOST_PROBABLE + 1
        self._step_x = self._tile_width + 14 + _NAME_AND_BAR + 8 + 4 + _PERCENT + 18
        self._step_y = max(height + _LINE + 4, bars * _LINE) + 20
        self._columns = min(_COLUMNS, max(sizes))
        self._tops = [HEADER + 44]
        for size in sizes:
            self._tops.append(self._tops[-1] + math.ceil(size / self._columns) * self._step_y + 34)
        self._key = _key(len(class_names))
        width = max(self._columns * self._step_x - 18, 480, key_width(self._key)) + 2 * MARGIN
        self.page = Page(width, self._tops.pop() - 34 + MARGIN - 6)

    def write_texts(self, title: str, subtitle: str, headings: Sequence[str]) -> None:
        self.page.header(title, subtitle)
        self.page.key(self._key)
        for heading, top in zip(headings, self._tops, strict=True):
            self.page.text(MARGIN, top - 13, heading, weight="bold")

    def corner(self, group: int, position: int) -> tuple[int, int]:
        """Return the row and column of the page where a cell begins."""
        row, column = divmod(position, self._columns)
        return self._tops[group] + row * self._step_y, MARGIN + column * self._step_x

    def draw_image(self, pixels: Pixels, corner: tuple[int, int], tile: Pixels, number: int) -> None:
        top, left = corner
        paste_tile(pixels, tile, top, left)
        mask = text_mask(f"{number}", _SIZE)
        paste_ink(pixels, mask, top + tile.shape[0] + 9 - mask.shape[0] // 2, left, 0x66)

    def draw_bars(
        self, pixels: Pixels, corner: tuple[int, int], label: int, probabilities: npt.NDArray[Any]
    ) -> None:
        top, left = corner[0], corner[1] + self._tile_width + 14
        start = left + self._name_width + 8
        predicted = int(probabilities.argmax())
        for row, number in enumerate(_classes_with_bar(probabilities, label)):
            color = _TRUE if number == label else _WRONG if number == predicted else _OTHER
            ink = 0x22 if color is _OTHER else color
            middle = top + row * _LINE + _LINE // 2
            name = _mask(self._names[number])
            paste_ink(pixels, name, middle - name.shape[0] // 2, start - 8 - name.shape[1], ink)
            length = round(self._bar_width * float(probabilities[number]))
            pixels[middle - 4 : middle + 4, start - 1] = 0xBB
            pixels[middle - 4 : middle + 4, start : start + length] = color
            if probabilities[number] >= 0.005:
                percent = _mask(f"{100 * probabilities[number]:.0f} %")
                paste_ink(pixels, percent, middle - percent.shape[0] // 2, start + length + 4, ink)


def _classes_with_bar(probabilities: npt.NDArray[Any], label: int) -> list[int]:
    if len(probabilities) <= _ALL_CLASSES:
        return list(range(len(probabilities)))
    best = np.argsort(-probabilities, kind="stable")[:_MOST_PROBABLE].tolist()
    return best if label in best else [*best, label]


def _key(classes: int) -> list[tuple[str, str]]:
    """Return the texts of the key with their colours."""
    key = [("● true class", hex_color(_TRUE)), ("● wrong prediction", hex_color(_WRONG))]
    if classes > _ALL_CLASSES:
        key.append((f"the {_MOST_PROBABLE} most probable of {classes:,} classes and the true class", GREY))
    return key


@cache
def _mask(text: str) -> Mask:
    return text_mask(text, _SIZE)
