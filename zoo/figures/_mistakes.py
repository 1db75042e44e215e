"""Mistakes: for every class, the image that is most confidently classified as another."""

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
from zoo.figures._tiles import check_lengths, is_colored, make_tiles, paste_tile

AT_MOST = 25
_LABEL_SIZE, _LABEL_WIDTH = 8, 130  # points, pixels
_LINE = 14  # pixels from one line of a caption to the next
_GAP = 14  # pixels between columns

Caption = list[list[str]]  # lines of words


def pick_mistakes(labels: Any, probabilities: Any, at_most: int = AT_MOST) -> npt.NDArray[np.int64]:
    """Return one wrongly classified image of each class: the one with the most confident prediction.

    Args:
        labels: integers, shape `(n,)`.
        probabilities: shape `(n, classes)`; the prediction is the class with the highest.
        at_most: if more classes have mistakes, the most confident of these are kept.

    Returns:
        Indices into `labels`, ordered by actual class. Of equally confident images, the first.
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
    """Draw one wrongly classified image of each class, the one with the most confident prediction.

    The caption of each is `actual → predicted (p %)`. Classes without mistakes are left out, and at most
    `AT_MOST` images are drawn. Without any mistake, the figure states that.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`, grey or colour; an array or a memory
            map, of which only the images drawn are read.
        labels: integers, shape `(n,)`.
        probabilities: shape `(n, len(class_names))`.

    Raises:
        ValueError: images, labels and probabilities are not equally many.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    check_lengths(images, labels, probabilities)
    predicted = probabilities.argmax(axis=1) if len(labels) else labels
    picked = pick_mistakes(labels, probabilities)
    mistaken = [np.asarray(images[i]) for i in picked]
    with plain_style():
        if mistaken:
            tiles = make_tiles(mistaken, 224 if len(mistaken) <= 3 else 112 if len(mistaken) <= 12 else 96)
            room = max(tiles[0].shape[1], _LABEL_WIDTH)
            names = short_names(class_names, room - text_width(" (100 %)", _LABEL_SIZE), _LABEL_SIZE)
            captions = [
                _caption(names[labels[i]], names[predicted[i]], probabilities[i].max(), room) for i in picked
            ]
            pixels = _draw(tiles, captions, title, _subtitle(labels, predicted, len(picked)))
        else:
            pixels = _draw_none(len(labels), title)
    return write_png(pixels, path, colors="many" if mistaken and is_colored(mistaken[0]) else "few")


def _subtitle(labels: npt.NDArray[Any], predicted: npt.NDArray[Any], drawn: int) -> str:
    wrong = labels != predicted
    classes = len(np.unique(labels[wrong]))
    scope = f"{drawn} of {classes} classes" if drawn < classes else "each class"
    return f"{int(wrong.sum()):,} of {len(labels):,} images wrong; the most confident mistake of {scope}"


def _draw_none(count: int, title: str) -> Pixels:
    page = Page(520, 150)
    page.header(title, f"{count:,} images")
    text = "No mistakes: every image is classified correctly." if count else "There are no images."
    page.text(page.width / 2, 104, text, size=11, ha="center")
    return page.pixels()


def _draw(tiles: list[Pixels], captions: list[Caption], title: str, subtitle: str) -> Pixels:
    columns = min(len(captions), 5)
    height, width, _ = tiles[0].shape
    step_x = max(width, _LABEL_WIDTH) + _GAP
    step_y = height + max(map(len, captions)) * _LINE + 18
    rows = math.ceil(len(captions) / columns)
    page = Page(max(columns * step_x - _GAP + 2 * MARGIN, 520), HEADER + 30 + rows * step_y)
    page.header(title, subtitle)
    page.key([("actual → predicted (its probability)", GREY)])
    corners = [
        (MARGIN + i % columns * step_x, HEADER + 24 + i // columns * step_y) for i in range(len(captions))
    ]
    for (left, top), caption in zip(corners, captions, strict=True):
        _write(page, left, top + height + 10, caption)
    pixels = page.pixels()
    for (left, top), tile in zip(corners, tiles, strict=True):
        paste_tile(pixels, tile, top, left)
    return pixels


def _caption(actual: str, predicted: str, probability: float, room: float) -> Caption:
    """Return `actual → predicted (p %)` on one line, or on two if it is wider than `room` pixels."""
    words = [actual, "→", predicted, f"({100 * probability:.0f} %)"]
    return [words] if text_width(" ".join(words), _LABEL_SIZE) <= room else [words[:2], words[2:]]


def _write(page: Page, left: float, top: float, caption: Caption) -> None:
    """Write word by word: in a single text, Arabic and Hebrew names would swap positions."""
    for row, words in enumerate(caption):
        x = left
        for word in words:
            page.text(x, top + row * _LINE, word, size=_LABEL_SIZE)
            x += text_width(f"{word} ", _LABEL_SIZE)
