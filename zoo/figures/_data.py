"""A page about a dataset: samples and numbers of images by class, brightness, sizes, suspicious images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.data import Dataset
from zoo.figures._datasets import pick_samples
from zoo.figures._page import BLUE, GREY, HEADER, MARGIN, ORANGE, Color, Page, as_matplotlib, plain_style
from zoo.figures._pixels import is_colored, make_tile, tile_size
from zoo.figures._text import short_names, text_width

MAX_FINDINGS = 12  # images of each kind
_MAX_CLASSES = 60  # of more, the largest and the smallest are drawn
_COLORS: tuple[Color, ...] = (BLUE, (107, 174, 214), ORANGE, (150, 150, 150))
_SIZE = 8  # points
_LONGEST_NAME, _BAR = 130, 190  # pixels
_PANEL, _PANEL_HEIGHT = 300, 130
_BOX = 80  # of a finding
_BRIGHTNESS_IMAGES = 5000  # of a split, evenly spaced
_BLOCK = 256  # images that are read at once


@dataclass(frozen=True)
class Finding:
    """A suspicious image; its caption consists of words, and of the numbers of classes for their names."""

    image: Any
    words: Sequence[str | int]


@plain_style()
def data_page(
    dataset: Dataset,
    counts: Mapping[str, Sequence[int]],
    findings: Mapping[str, Sequence[Finding]],
    path: Path,
    *,
    title: str,
    subtitle: str,
) -> Path:
    """Draw a dataset on one page.

    Args:
        counts: number of images of each class by split; folds are left out.
        findings: suspicious images by heading.
    """
    counts = {split: numbers for split, numbers in counts.items() if not split.startswith("fold ")}
    shown = _shown_classes(np.sum(list(counts.values()), axis=0))
    names = short_names([dataset.class_names[label] for label in shown], _LONGEST_NAME, _SIZE)
    box, per_class = _arrange(len(shown))
    tile_height, tile_width = tile_size(dataset.train.images.shape[1:], box)
    step = max(tile_height + 4, 18)
    name_width = round(max(text_width(name, _SIZE) for name in names)) + 10
    samples_width = per_class * (tile_width + 4)
    left = MARGIN + name_width + samples_width + 8
    panel_left = left + _BAR + 70 + 40
    sizes = _sizes(dataset)
    num_panels = 1 if sizes is None else 2
    body = max(len(shown) * step, num_panels * (_PANEL_HEIGHT + 60)) + 30
    heights = [_finding_height(len(tiles), panel_left + _PANEL, dataset) for tiles in findings.values()]
    page = Page(
        panel_left + _PANEL + MARGIN,
        HEADER + 24 + body + sum(heights) + MARGIN,
        title,
        subtitle,
        _key(counts, len(dataset.class_names)),
    )
    top = HEADER + 30
    for row, (label, name) in enumerate(zip(shown, names, strict=True)):
        y = top + row * step
        page.text(MARGIN, y + step / 2 - 2, name, size=_SIZE)
        for number, i in enumerate(pick_samples(dataset.train.labels, label, per_class)):
            tile = make_tile(dataset.train.images[int(i)], box)
            page.tile(tile, y, MARGIN + name_width + number * (tile_width + 4))
        _draw_bar(page, y, step, left, label, counts, shown)
    _brightness(page, panel_left + 40, top + 16, dataset)
    if sizes is not None:
        _draw_sizes(page, panel_left + 40, top + 16 + _PANEL_HEIGHT + 70, sizes)
    y = top + body
    class_names = short_names(dataset.class_names, 44, 7)
    for (heading, tiles), height in zip(findings.items(), heights, strict=True):
        _draw_findings(page, y, heading, tiles, class_names)
        y += height
    return page.save(path, palette=is_colored(np.asarray(dataset.train.images[0])))


def _shown_classes(totals: npt.NDArray[Any]) -> list[int]:
    """Return the classes to draw, in their order; of too many, the largest and the smallest."""
    if len(totals) <= _MAX_CLASSES:
        return list(range(len(totals)))
    order = np.argsort(-totals, kind="stable")
    return sorted([*order[: _MAX_CLASSES // 2].tolist(), *order[-_MAX_CLASSES // 2 :].tolist()])


def _arrange(num_classes: int) -> tuple[int, int]:
    """Return the size of a sample in pixels, and the number of samples of each class."""
    if num_classes <= 4:
        return 72, 6
    return (36, 8) if num_classes <= 16 else (18, 8)


def _key(counts: Mapping[str, Sequence[int]], num_classes: int) -> list[tuple[str, Color]]:
    key: list[tuple[str, Color]] = [
        (f"■ {split}", color) for split, color in zip(counts, _COLORS, strict=False)
    ]
    if num_classes > _MAX_CLASSES:
        half = _MAX_CLASSES // 2
        key.append((f"the {half} largest and the {half} smallest of {num_classes:,} classes", GREY))
    return key


def _draw_bar(
    page: Page,
    top: int,
    step: int,
    left: int,
    label: int,
    counts: Mapping[str, Sequence[int]],
    shown: Sequence[int],
) -> None:
    """Draw one bar for a class, with a part for each split, and the numbers beside it."""
    longest = max(sum(numbers[one] for numbers in counts.values()) for one in shown)
    x: float = left
    height = min(step - 6, 16)
    middle = top + step // 2 - 2
    for numbers, color in zip(counts.values(), _COLORS, strict=False):
        end = x + numbers[label] / longest * _BAR
        page.pixels[middle - height // 2 : middle + height // 2, round(x) : round(end)] = color
        x = end
    text = " + ".join(f"{numbers[label]:,}" for numbers in counts.values())
    page.text(x + 6, middle, text, size=7, color=GREY)


def _brightness(page: Page, left: int, top: int, dataset: Dataset) -> None:
    """Draw how many images of each split have which mean brightness."""
    axes = page.axes(left, top, _PANEL - 40, _PANEL_HEIGHT)
    for (name, split), color in zip(dataset.splits().items(), _COLORS, strict=False):
        rows = np.unique(np.linspace(0, len(split) - 1, min(len(split), _BRIGHTNESS_IMAGES)).astype(int))
        means = [
            np.asarray(split.images[rows[start : start + _BLOCK]]).mean(axis=(1, 2, 3))
            for start in range(0, len(rows), _BLOCK)
        ]
        values = np.concatenate(means)
        weights = np.full(len(values), 100 / len(values))
        ink = as_matplotlib(color)
        axes.hist(values, bins=32, range=(0, 255), weights=weights, histtype="step", color=ink, label=name)
    axes.set(xlim=(0, 255), xlabel="mean of the pixels, 0 to 255", ylabel="% of the split")
    axes.set_title("brightness of the images")


def _sizes(dataset: Dataset) -> npt.NDArray[Any] | None:
    """Return width and height of the image files, `(n, 2)`; None if they are unknown or all equal."""
    columns = [split.columns for split in dataset.splits().values()]
    if not all({"original_width", "original_height"} <= set(one) for one in columns):
        return None
    parts = [np.stack([one["original_width"], one["original_height"]], axis=1) for one in columns]
    sizes = np.concatenate(parts).astype(float)
    return sizes if len(np.unique(sizes, axis=0)) > 1 else None


def _draw_sizes(page: Page, left: int, top: int, sizes: npt.NDArray[Any]) -> None:
    axes = page.axes(left, top, _PANEL - 40, _PANEL_HEIGHT)
    axes.scatter(*sizes.T, s=6, alpha=0.3, color=as_matplotlib(BLUE), linewidths=0)
    axes.set(xlim=(0, sizes[:, 0].max() * 1.05), ylim=(0, sizes[:, 1].max() * 1.05))
    low, high = sizes.min(axis=0), sizes.max(axis=0)
    axes.set(xlabel=f"width: {low[0]:,.0f} to {high[0]:,.0f} pixels")
    axes.set(ylabel=f"height: {low[1]:,.0f} to {high[1]:,.0f}")
    axes.set_title("files before scaling")


def _finding_step(dataset_shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = tile_size(dataset_shape, _BOX)
    return max(width, 118) + 8, height + 26


def _columns(width: int, step: int) -> int:
    return max(1, (width - MARGIN) // step)


def _finding_height(count: int, width: int, dataset: Dataset) -> int:
    step_x, step_y = _finding_step(dataset.train.images.shape[1:])
    return math.ceil(count / _columns(width, step_x)) * step_y + 40


def _draw_findings(
    page: Page, top: int, heading: str, tiles: Sequence[Finding], class_names: Sequence[str]
) -> None:
    page.text(MARGIN, top + 4, heading, weight="bold")
    step_x, step_y = _finding_step(np.asarray(tiles[0].image).shape)
    columns = _columns(page.width - MARGIN, step_x)
    for number, finding in enumerate(tiles):
        row, column = divmod(number, columns)
        y, x = top + 20 + row * step_y, MARGIN + column * step_x
        tile = make_tile(finding.image, _BOX)
        page.tile(tile, y, x)
        words = [class_names[word] if isinstance(word, int) else word for word in finding.words]
        page.words(x, y + tile.shape[0] + 10, words, 7)
