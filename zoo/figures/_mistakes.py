"""Mistakes: for every class the image that was most confidently taken for another."""

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
    INK,
    MARGIN,
    Page,
    Pixels,
    number_alike,
    plain_style,
    readable_names,
    shorten,
    text_width,
    write_png,
)
from zoo.figures._tiles import Tiles, is_colored, paste_tile

AT_MOST = 25
_LABEL_SIZE, _LABEL_WIDTH = 8, 130  # points, pixels
_LINE = 14  # pixels from one line of a label to the next
_GAP = 14  # pixels between columns


def pick_mistakes(labels: Any, probabilities: Any, at_most: int = AT_MOST) -> npt.NDArray[np.int64]:
    """Find one wrongly classified image per actual class: the most confidently wrong one.

    Args:
        labels: integers, shape `(n,)`.
        probabilities: shape `(n, classes)`; the prediction is the class with the highest.
        at_most: where more classes have mistakes, the most confident of these are kept.

    Returns:
        Indices into `labels`, ordered by actual class. Of equally confident ones the first counts.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if not len(labels):
        return np.zeros(0, np.int64)
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    confidence = probabilities[wrong, predicted[wrong]]
    order = wrong[np.argsort(-confidence, kind="stable")]
    _, first = np.unique(labels[order], return_index=True)
    kept = order[np.sort(first)[:at_most]]  # the most confident classes first
    return kept[np.argsort(labels[kept])]


def mistakes(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draw one wrongly classified image per actual class, the most confidently wrong one.

    Under each stands `actual → predicted (p %)`. Classes without mistakes are left out, at most
    `AT_MOST` images are drawn, and a model without mistakes gets a picture that says so.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`, grey or colour; an array or a memory
            map, of which only the images drawn are read.
        labels: integers, shape `(n,)`.
        probabilities: shape `(n, len(class_names))`.
        path: where the PNG goes; its folder is made.

    Raises:
        ValueError: images, labels and probabilities are not equally many.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if not len(images) == len(labels) == len(probabilities):
        raise ValueError(
            f"There are {len(images)} images, {len(labels)} labels and {len(probabilities)} predictions; "
            "they must be equally many and in the same order."
        )
    picked = pick_mistakes(labels, probabilities)
    colored = len(picked) > 0 and is_colored(np.asarray(images[picked[0]]))
    with plain_style():
        if not len(picked):
            pixels = _draw_none(len(labels), title)
        else:
            room = _LABEL_WIDTH - text_width(" (100 %)", _LABEL_SIZE)
            names = number_alike(readable_names(class_names), room, _LABEL_SIZE)
            predicted = probabilities.argmax(axis=1)
            captions = [
                (names[labels[i]], names[predicted[i]], f"({100 * probabilities[i, predicted[i]]:.0f} %)")
                for i in picked
            ]
            tiles = Tiles.of([np.asarray(images[i]) for i in picked], _box(len(picked)))
            pixels = _draw(tiles, captions, title, _subtitle(labels, predicted, len(picked)))
    return write_png(pixels, path, colors="many" if colored else "few")


def _subtitle(labels: npt.NDArray[Any], predicted: npt.NDArray[Any], drawn: int) -> str:
    wrong = labels != predicted
    classes = len(np.unique(labels[wrong]))
    total = f"{int(wrong.sum()):,} of {len(labels):,} images wrong"
    if drawn < classes:
        return f"{total}; below, the most confident mistake of {drawn} of {classes} classes"
    return f"{total}; below, each class's most confident mistake"


def _draw_none(count: int, title: str) -> Pixels:
    page = Page(520, 150)
    page.header(title, f"{count:,} images")
    text = "No mistakes: every image is classified correctly." if count else "There are no images."
    page.text(page.width / 2, 104, text, size=11, color=INK, ha="center")
    return page.pixels()


def _box(count: int) -> int:
    """Pixels that the longer side of each of `count` images takes."""
    return 224 if count <= 3 else 112 if count <= 12 else 96


def _draw(tiles: Tiles, captions: list[tuple[str, str, str]], title: str, subtitle: str) -> Pixels:
    count = len(captions)
    columns = count if count <= 5 else 5
    step_x = max(tiles.width, _LABEL_WIDTH) + _GAP
    labels = [_label(*caption, room=step_x - _GAP) for caption in captions]
    lines = max(len(label) for label in labels)
    step_y = tiles.height + lines * _LINE + 18
    width = max(columns * step_x - _GAP + 2 * MARGIN, 520)
    page = Page(width, HEADER + 30 + -(-count // columns) * step_y)
    corners = [(MARGIN + i % columns * step_x, HEADER + 24 + i // columns * step_y) for i in range(count)]
    page.header(title, subtitle)
    page.text(MARGIN, HEADER + 4, "actual → predicted (its probability)", size=8, color=GREY)
    for (left, top), label in zip(corners, labels, strict=True):
        for number, line in enumerate(label):
            y = top + tiles.height + 10 + number * _LINE
            page.text(left, y, line, size=_LABEL_SIZE)
    pixels = page.pixels()
    for (left, top), tile in zip(corners, tiles.images, strict=True):
        paste_tile(pixels, tile, top, left)
    return pixels


def _label(actual: str, predicted: str, percent: str, *, room: float) -> list[str]:
    """`actual → predicted (p %)` on one line, or on two where it is too long; `room` in pixels."""
    line = f"{_rightwards(actual)} → {_rightwards(predicted)} {percent}"
    if text_width(line, _LABEL_SIZE) <= room:
        return [line]
    actual = shorten(actual, room - text_width(" →", _LABEL_SIZE), _LABEL_SIZE)
    predicted = shorten(predicted, room - text_width(f" {percent}", _LABEL_SIZE), _LABEL_SIZE)
    return [f"{_rightwards(actual)} →", f"{_rightwards(predicted)} {percent}"]


def _rightwards(name: str) -> str:
    """Keep what stands beside a Hebrew or Arabic name in its place: the arrow says who is who."""
    return name if name.isascii() else f"\N{LEFT-TO-RIGHT MARK}{name}\N{LEFT-TO-RIGHT MARK}"
