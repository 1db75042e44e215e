"""Predictions: images beside the probabilities that the model gives their classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import (
    GREY,
    HEADER,
    INK,
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
from zoo.figures._tiles import Tiles, is_colored, paste_tile

AT_ONCE = 6  # images in each of the two groups
_ALL_CLASSES = 10  # up to so many have a bar each; of more, the most probable have one
_MOST_PROBABLE = 6
_COLUMNS = 3
_BOX = 112  # pixels an image may take, both ways
_LONGEST_NAME, _NAME_AND_BAR, _PERCENT = 116, 196, 34  # widths in pixels
_LINE = 13  # pixels from one bar to the next
_SIZE = 8  # points
_KEY_GAP = 14  # pixels between the parts of the key
_TRUTH, _WRONG, _OTHER = (8, 81, 156), (200, 55, 0), (150, 150, 150)

Indices = npt.NDArray[np.int64]


def pick_predictions(probabilities: Any, at_once: int = AT_ONCE) -> tuple[Indices, Indices]:
    """Choose images to show: some of all, evenly spaced, and those that the model is least certain of.

    Args:
        probabilities: shape `(n, classes)`.

    Returns:
        Two lists of indices, none in both, at most `at_once` each: in their order, and by how probable
        the most probable class is, the least first.
    """
    probabilities = np.asarray(probabilities)
    count = len(probabilities)
    even = np.unique(np.linspace(0, count - 1, min(at_once, count)).round().astype(np.int64))
    others = np.setdiff1d(np.arange(count), even)
    order = np.argsort(probabilities.max(axis=1)[others], kind="stable")
    return even, others[order][:at_once]


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
    """Draw images beside a bar for the probability of each class, the truth marked.

    With up to ten classes each has its bar, in their order; with more, the six most probable have one,
    and the truth.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`; only those drawn are read.
        labels: integers, shape `(n,)`.
        probabilities: shape `(n, len(class_names))`.
        path: where the PNG goes; its folder is made.
        picked: indices of the images to show, instead of those that `pick_predictions` chooses.

    Raises:
        ValueError: images, labels and probabilities are not equally many, or there are none.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if not 0 < len(images) == len(labels) == len(probabilities):
        raise ValueError(
            f"There are {len(images)} images, {len(labels)} labels and {len(probabilities)} predictions; "
            "they must be equally many, at least one, and in the same order."
        )
    if picked is None:
        even, uncertain = pick_predictions(probabilities)
        groups = [("some of all", even), ("the least certain", uncertain)]
    else:
        groups = [("", np.asarray(picked, np.int64))]
    groups = [(name, indices) for name, indices in groups if len(indices)]
    with plain_style():
        names = readable_names(class_names)
        sheet = _Sheet(names, [len(indices) for _, indices in groups], np.asarray(images[0]).shape)
        sheet.write_texts(title, _subtitle(labels, probabilities), [name for name, _ in groups])
        pixels = sheet.page.pixels()
        for number, (_, indices) in enumerate(groups):
            tiles = Tiles.of([np.asarray(images[i]) for i in indices], _BOX)
            for place, (tile, i) in enumerate(zip(tiles.images, indices, strict=True)):
                corner = sheet.corner(number, place)
                sheet.draw_image(pixels, corner, tile, int(i))
                sheet.draw_bars(pixels, corner, int(labels[i]), probabilities[i])
    return write_png(pixels, path, colors="many" if is_colored(np.asarray(images[0])) else "few")


def _subtitle(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> str:
    right = int((probabilities.argmax(axis=1) == labels).sum())
    return f"{right:,} of {len(labels):,} images right; under each image, its number"


class _Sheet:
    """Where everything goes: groups of cells, each an image with bars to its right."""

    def __init__(self, names: list[str], sizes: Sequence[int], shape: tuple[int, ...]) -> None:
        self._bars = len(names) if len(names) <= _ALL_CLASSES else _MOST_PROBABLE + 1
        tile = Tiles.of([np.zeros(shape, np.uint8)], _BOX)
        self._tile_width = tile.width
        self._name_width = min(_LONGEST_NAME, round(max(text_width(name, _SIZE) for name in names)))
        self._names = number_alike(names, self._name_width, _SIZE)
        self._bar_width = _NAME_AND_BAR - self._name_width
        self._step_x = tile.width + 14 + _NAME_AND_BAR + 8 + 4 + _PERCENT + 18
        self._step_y = max(tile.height + _LINE + 4, self._bars * _LINE) + 20
        self._columns = min(_COLUMNS, max(sizes))
        self._tops = [HEADER + 44]
        for size in sizes:
            self._tops.append(self._tops[-1] + -(-size // self._columns) * self._step_y + 34)
        self._key = _key(len(names))
        key = sum(text_width(text, _SIZE) + _KEY_GAP for text, _ in self._key) - _KEY_GAP
        width = max(self._columns * self._step_x + 2 * MARGIN - 18, 520, round(key) + 2 * MARGIN)
        self.page = Page(width, self._tops.pop() - 34 + MARGIN - 6)

    def write_texts(self, title: str, subtitle: str, headings: Sequence[str]) -> None:
        self.page.header(title, subtitle)
        x: float = MARGIN
        for text, color in self._key:
            self.page.text(x, HEADER + 4, text, size=_SIZE, color=color)
            x += text_width(text, _SIZE) + _KEY_GAP
        for heading, top in zip(headings, self._tops, strict=True):
            self.page.text(MARGIN, top - 13, heading, size=9, color=INK, weight="bold")

    def corner(self, group: int, place: int) -> tuple[int, int]:
        """Row and column of the top left corner of a cell."""
        row, column = divmod(place, self._columns)
        return self._tops[group] + row * self._step_y, MARGIN + column * self._step_x

    def draw_image(self, pixels: Pixels, corner: tuple[int, int], tile: Pixels, number: int) -> None:
        top, left = corner
        paste_tile(pixels, tile, top, left)
        mask = text_mask(f"{number}", _SIZE)
        paste_ink(pixels, mask, top + tile.shape[0] + 9 - mask.shape[0] // 2, left, 0x66)

    def draw_bars(
        self, pixels: Pixels, corner: tuple[int, int], label: int, chances: npt.NDArray[Any]
    ) -> None:
        top, left = corner[0], corner[1] + self._tile_width + 14
        start = left + self._name_width + 8
        predicted = int(chances.argmax())
        for row, number in enumerate(self._shown(chances, label)):
            color = _TRUTH if number == label else _WRONG if number == predicted else _OTHER
            ink = 0x22 if color is _OTHER else color
            middle = top + row * _LINE + _LINE // 2
            name = self._name(number)
            paste_ink(pixels, name, middle - name.shape[0] // 2, start - 8 - name.shape[1], ink)
            length = round(self._bar_width * float(chances[number]))
            pixels[middle - 4 : middle + 4, start - 1] = 0xBB
            pixels[middle - 4 : middle + 4, start : start + length] = color
            if chances[number] >= 0.005:
                percent = _mask(f"{100 * chances[number]:.0f} %")
                paste_ink(pixels, percent, middle - percent.shape[0] // 2, start + length + 4, ink)

    def _shown(self, chances: npt.NDArray[Any], label: int) -> list[int]:
        """The classes that have a bar."""
        if len(chances) <= _ALL_CLASSES:
            return list(range(len(chances)))
        best = np.argsort(-chances, kind="stable")[:_MOST_PROBABLE].tolist()
        return best if label in best else [*best, label]

    def _name(self, number: int) -> Mask:
        return _mask(shorten(self._names[number], self._name_width, _SIZE))


def _key(classes: int) -> list[tuple[str, str]]:
    """What the colours mean, and which classes have a bar; each text with its colour."""
    colors = (("● the truth", _TRUTH), ("● taken for, wrongly", _WRONG))
    key = [(text, "#{:02x}{:02x}{:02x}".format(*rgb)) for text, rgb in colors]
    if classes > _ALL_CLASSES:
        key.append((f"the {_MOST_PROBABLE} most probable of {classes:,} classes, and the truth", GREY))
    return key


@cache
def _mask(text: str) -> Mask:
    return text_mask(text, _SIZE)
