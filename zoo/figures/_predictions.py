"""Images of the validation split with their predictions: the worst mistakes, and bars of probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import BLUE, GREY, HEADER, MARGIN, ORANGE, Color, Page, plain_style
from zoo.figures._pixels import Mask, Pixels, is_colored, make_tile, paste_ink, tile_size
from zoo.figures._text import short_names, text_mask, text_width
from zoo.metrics import confident_mistakes

MAX_MISTAKES = 25
GROUP_SIZE = 6  # images in each of the two groups of predictions
_SIZE = 8  # points
_CAPTION_WIDTH, _CAPTION_LINE, _CAPTION_GAP = 130, 14, 14  # pixels
_ALL_CLASSES = 10  # with more classes, only the most probable have a bar
_MOST_PROBABLE = 6
_COLUMNS = 3
_BOX = 112  # pixels of an image in each direction
_LONGEST_NAME, _NAME_AND_BAR, _PERCENT = 116, 196, 34  # widths in pixels
_LINE = 13  # pixels from one bar to the next

Indices = npt.NDArray[np.int64]


def pick_mistakes(labels: Any, probabilities: Any, at_most: int = MAX_MISTAKES) -> Indices:
    """Return the index of the most confident mistake of each class, ordered by class.

    If several mistakes of a class are equally confident, the first is used. If more than `at_most` classes
    have mistakes, those with the most confident ones are used.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    order = confident_mistakes(labels, probabilities)
    _, first = np.unique(labels[order], return_index=True)
    kept = order[np.sort(first)[:at_most]]  # classes with the most confident mistakes first
    return kept[np.argsort(labels[kept])]


@plain_style()
def mistakes(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw one wrongly classified image of each class, the one with the most confident prediction.

    The caption of each is `actual → predicted (p %)`. Classes without mistakes are left out, and at most
    `MAX_MISTAKES` images are drawn. Without any mistake, the figure states that.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    indices = pick_mistakes(labels, probabilities)
    if not len(indices):
        page = Page(0, 150, title, f"{len(labels):,} validation images")
        page.text(
            page.width / 2, 104, "No mistakes: every image is classified correctly.", size=11, ha="center"
        )
        return page.save(path)
    predicted = probabilities.argmax(axis=1)
    tiles = [
        make_tile(images[i], 224 if len(indices) <= 3 else 112 if len(indices) <= 12 else 96) for i in indices
    ]
    height, width, _ = tiles[0].shape
    width = max(width, _CAPTION_WIDTH)
    names = short_names(class_names, width - text_width(" (100 %)", _SIZE), _SIZE)
    captions = [
        _caption(names[labels[i]], names[predicted[i]], probabilities[i].max(), width) for i in indices
    ]
    columns = min(len(indices), 5)
    step_x, step_y = width + _CAPTION_GAP, height + max(map(len, captions)) * _CAPTION_LINE + 18
    page = Page(
        columns * step_x - _CAPTION_GAP + 2 * MARGIN,
        HEADER + 30 + math.ceil(len(indices) / columns) * step_y,
        title,
        _mistakes_subtitle(labels, predicted, len(indices)),
        [("actual → predicted (its probability)", GREY)],
    )
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        row, column = divmod(number, columns)
        top, left = HEADER + 24 + row * step_y, MARGIN + column * step_x
        page.tile(tile, top, left)
        for line, words in enumerate(caption):
            page.words(left, top + height + 10 + line * _CAPTION_LINE, words, _SIZE)
    return page.save(path, palette=is_colored(images[indices[0]]))


def _mistakes_subtitle(labels: npt.NDArray[Any], predicted: Indices, num_drawn: int) -> str:
    wrong = labels != predicted
    num_classes = len(np.unique(labels[wrong]))
    scope = f"{num_drawn} of {num_classes} classes" if num_drawn < num_classes else "each class"
    count = f"{int(wrong.sum()):,} of {len(labels):,} validation images"
    return f"{count} wrong; the most confident mistake of {scope}"


def _caption(actual: str, predicted: str, probability: float, room: float) -> list[list[str]]:
    """Return the words of `actual → predicted (p %)`, in two lines if it is wider than `room` pixels."""
    words = [actual, "→", predicted, f"({100 * probability:.0f} %)"]
    return [words] if text_width(" ".join(words), _SIZE) <= room else [words[:2], words[2:]]


def pick_predictions(probabilities: Any, group_size: int = GROUP_SIZE) -> tuple[Indices, Indices]:
    """Return the indices of evenly spaced images, and of the least certain of the others, in that order."""
    probabilities = np.asarray(probabilities)
    count = len(probabilities)
    even = np.unique(np.linspace(0, count - 1, min(group_size, count)).round().astype(np.int64))
    others = np.setdiff1d(np.arange(count), even)
    order = np.argsort(probabilities.max(axis=1)[others], kind="stable")
    return even, others[order][:group_size]


@plain_style()
def predictions(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
    indices: Sequence[int] = (),
) -> Path:
    """Draw images beside a bar for the probability of each class, the true class in blue.

    Up to ten classes all have a bar. Of more classes, only the six most probable and the true one have one.
    `indices` selects the images; by default, `pick_predictions` selects them.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    even, uncertain = pick_predictions(probabilities)
    groups = {"": np.array(indices)} if indices else {"evenly spaced": even, "least certain": uncertain}
    groups = {heading: group for heading, group in groups.items() if len(group)}
    names = short_names(class_names, _LONGEST_NAME, _SIZE)
    name_width = round(max(text_width(name, _SIZE) for name in names))
    first = np.asarray(images[0])
    height, width = tile_size(first.shape, _BOX)
    num_bars = len(names) if len(names) <= _ALL_CLASSES else _MOST_PROBABLE + 1
    columns = min(_COLUMNS, max(map(len, groups.values())))
    step_x = width + 14 + _NAME_AND_BAR + 8 + 4 + _PERCENT + 18
    step_y = max(height + _LINE + 4, num_bars * _LINE) + 20
    heights = [math.ceil(len(group) / columns) * step_y + 34 for group in groups.values()]
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    page = Page(
        columns * step_x - 18 + 2 * MARGIN,
        HEADER + 44 + sum(heights) - 34 + MARGIN - 6,
        title,
        f"{correct:,} of {len(labels):,} validation images correct; below each image, its number",
        _predictions_key(len(names)),
    )
    top = HEADER + 44
    for (heading, group), group_height in zip(groups.items(), heights, strict=True):
        page.text(MARGIN, top - 13, heading, weight="bold")
        for position, i in enumerate(group):
            row, column = divmod(position, columns)
            y, x = top + row * step_y, MARGIN + column * step_x
            page.tile(make_tile(images[i], _BOX), y, x)
            page.text(x, y + height + 9, str(i), size=_SIZE, color=GREY)
            left = x + width + 14
            _draw_bars(page.pixels, y, left, names, name_width, int(labels[i]), probabilities[i])
        top += group_height
    return page.save(path, palette=is_colored(first))


def _draw_bars(
    pixels: Pixels,
    top: int,
    left: int,
    names: Sequence[str],
    name_width: int,
    label: int,
    probabilities: npt.NDArray[Any],
) -> None:
    """Draw name, bar and percentage of each class, one below the other."""
    start = left + name_width + 8
    predicted = int(probabilities.argmax())
    for row, number in enumerate(_classes_with_bar(probabilities, label)):
        color = BLUE if number == label else ORANGE if number == predicted else (150, 150, 150)
        ink = color if number in (label, predicted) else 0x22
        middle = top + row * _LINE + _LINE // 2
        name = _mask(names[number])
        paste_ink(pixels, name, middle - name.shape[0] // 2, start - 8 - name.shape[1], ink)
        length = round((_NAME_AND_BAR - name_width) * float(probabilities[number]))
        pixels[middle - 4 : middle + 4, start - 1] = 0xBB
        pixels[middle - 4 : middle + 4, start : start + length] = color
        if probabilities[number] >= 0.005:
            percent = _mask(f"{100 * probabilities[number]:.0f} %")
            paste_ink(pixels, percent, middle - percent.shape[0] // 2, start + length + 4, ink)


def _classes_with_bar(probabilities: npt.NDArray[Any], label: int) -> list[int]:
    """Return the classes to draw: all up to ten, otherwise the most probable ones and the true class."""
    if len(probabilities) <= _ALL_CLASSES:
        return list(range(len(probabilities)))
    best = np.argsort(-probabilities, kind="stable")[:_MOST_PROBABLE].tolist()
    return best if label in best else [*best, label]


def _predictions_key(num_classes: int) -> list[tuple[str, Color]]:
    key: list[tuple[str, Color]] = [("● true class", BLUE), ("● wrong prediction", ORANGE)]
    if num_classes > _ALL_CLASSES:
        key.append(
            (f"the {_MOST_PROBABLE} most probable of {num_classes:,} classes and the true class", GREY)
        )
    return key


@cache
def _mask(text: str) -> Mask:
    return text_mask(text, _SIZE)
