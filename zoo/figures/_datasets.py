"""Figures of a dataset: samples of every class, an augmentation policy, the classic kernels on an image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import count_text
from zoo.figures._page import GREY, HEADER, MARGIN, Page, plain_style
from zoo.figures._pixels import colored, is_colored, make_tile, resize, signed_shades, tile_size
from zoo.figures._text import short_names, text_width

MAX_CLASSES = 100  # in a figure of samples; of more, the first are shown
NUM_VERSIONS = 24  # of one image in a figure of a policy
NUM_IMAGES = 8  # with one version each
_SIZE = 8  # points
_GAP = 6  # pixels between images
_LONGEST_NAME = 120  # pixels
_GUTTER = 24  # pixels between columns of classes
_VERSION_COLUMNS = 8
_VERSION_BOX, _KERNEL_BOX = 112, 176  # pixels
_KERNEL_GAP = 22

Values = npt.NDArray[np.float64]

# They are applied without flipping, as in a convolution layer. Horizontal and vertical edges are found by the
# kernels of Prewitt (1970), all edges by the sum of the differences to the eight neighbours.
KERNELS: Mapping[str, Values] = {
    "smoothing": np.full((3, 3), 1 / 9),
    "horizontal edges": np.array([[-1.0, -1, -1], [0, 0, 0], [1, 1, 1]]),
    "vertical edges": np.array([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]]),
    "all edges": np.array([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
}
_KERNELS_KEY = (
    "blue: brighter below (horizontal edges), brighter on the right (vertical edges), brighter than its "
    "surroundings (all edges); orange: darker"
)


def pick_samples(labels: Any, label: int, count: int) -> npt.NDArray[np.int64]:
    """Return the indices of up to `count` images of a class, evenly spaced and ascending."""
    members = np.flatnonzero(np.asarray(labels) == label)
    positions = np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(np.int64)
    return members[positions]


@plain_style()
def samples(
    images: Any,
    labels: Any,
    class_names: Sequence[str],
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw a few training images of every class, with its name and its number of images.

    Up to `MAX_CLASSES` classes are shown. With fewer classes, each has more images.
    """
    labels = np.asarray(labels)
    shape = np.asarray(images[0]).shape
    names = short_names(class_names[:MAX_CLASSES], _LONGEST_NAME, _SIZE)
    columns, box, images_per_class = _arrange(len(names))
    height, width = tile_size(shape, box)
    name_width = max(round(max(text_width(name, _SIZE) for name in names)), 60) + 12
    rows = math.ceil(len(names) / columns)
    step_x, step_y = name_width + images_per_class * (width + _GAP) + _GUTTER, max(height + _GAP, 34)
    page_width = 2 * MARGIN + columns * step_x - _GUTTER
    subtitle = _samples_subtitle(labels, shape, len(class_names))
    page = Page(page_width, HEADER + 6 + rows * step_y + MARGIN, title, subtitle)
    for label, name in enumerate(names):
        column, row = divmod(label, rows)
        top, left = HEADER + 6 + row * step_y, MARGIN + column * step_x
        page.text(left, top + height / 2 - 7, name, size=_SIZE)
        count = int((labels == label).sum())
        counted = count_text(count, "image") if count else "no images"
        page.text(left, top + height / 2 + 7, counted, size=7, color=GREY)
        for number, i in enumerate(pick_samples(labels, label, images_per_class)):
            page.tile(make_tile(images[i], box), top, left + name_width + number * (width + _GAP))
    return page.save(path)


def _arrange(num_classes: int) -> tuple[int, int, int]:
    """Return the number of columns, the size of an image in pixels, and the number of images per class."""
    if num_classes <= 4:
        return 1, 128, 8
    if num_classes <= 12:
        return 1, 80, 12
    return (2, 52, 8) if num_classes <= 40 else (4, 44, 4)


def _samples_subtitle(labels: npt.NDArray[Any], shape: tuple[int, ...], num_classes: int) -> str:
    color = "color" if shape[2] >= 3 else "grey"
    text = f"{len(labels):,} images of {shape[0]}×{shape[1]} pixels, {color}; {num_classes:,} classes"
    if num_classes > MAX_CLASSES:
        text += f", the first {MAX_CLASSES} shown"
    return f"{text}; the training split"


@plain_style()
def augmentation(
    original: npt.NDArray[Any],
    versions: npt.NDArray[Any],
    originals: npt.NDArray[Any],
    augmented: npt.NDArray[Any],
    path: Path,
    *,
    title: str,
    subtitle: str,
) -> Path:
    """Draw `original` with many `versions` of it, and below them `originals` with one version of each.

    `augmented` has the versions of `originals`, in the same order.
    """
    height, width = tile_size(original.shape, _VERSION_BOX)
    step_x, step_y = width + _GAP, height + _GAP
    left = MARGIN + round(max(text_width(text, _SIZE) for text in ("original", "version"))) + 10
    upper = HEADER + 24
    lower = upper + math.ceil(len(versions) / _VERSION_COLUMNS) * step_y + 40
    columns = max(min(_VERSION_COLUMNS, len(versions)) + 1, len(originals))
    page_width = left + columns * step_x + 10 + MARGIN
    page = Page(page_width, lower + 2 * step_y + MARGIN - _GAP, title, subtitle)
    page.text(MARGIN, upper - 13, f"{count_text(len(versions), 'version')} of one image", weight="bold")
    page.text(MARGIN, upper + height / 2, "original", size=_SIZE)
    page.tile(make_tile(original, _VERSION_BOX), upper, left)
    for number, image in enumerate(versions):
        row, column = divmod(number, _VERSION_COLUMNS)
        tile = make_tile(image, _VERSION_BOX)
        page.tile(tile, upper + row * step_y, left + 10 + (column + 1) * step_x)
    several = f"each of {len(originals)} images" if len(originals) > 1 else "one image"
    page.text(MARGIN, lower - 13, f"one version of {several}", weight="bold")
    for row, (name, images) in enumerate({"original": originals, "version": augmented}.items()):
        page.text(MARGIN, lower + row * step_y + height / 2, name, size=_SIZE)
        for column, image in enumerate(images):
            page.tile(make_tile(image, _VERSION_BOX), lower + row * step_y, left + column * step_x)
    return page.save(path)


def grey_levels(image: npt.NDArray[Any]) -> Values:
    """Return `(height, width, channels)` as grey levels `(height, width)`, 0 to 255: Rec. 601 luma."""
    if not is_colored(image):
        return image[:, :, 0].astype(np.float64)
    luma: Values = image[:, :, :3] @ np.array([0.299, 0.587, 0.114])
    return luma


@plain_style()
def kernels(image: npt.NDArray[Any], path: Path, *, title: str, subtitle: str) -> Path:
    """Draw `image`, and beside it the result of each of `KERNELS` on its grey levels."""
    from scipy.ndimage import correlate

    grey = grey_levels(image)
    tiles = {"image": colored(image)}
    for name, kernel in KERNELS.items():
        result = correlate(grey, kernel, mode="nearest")
        is_grey = name == "smoothing"
        tiles[name] = colored(result.round().clip(0, 255)[:, :, None]) if is_grey else signed_shades(result)
    height, width = tile_size(image.shape, _KERNEL_BOX)
    step = max(width, 130) + _KERNEL_GAP
    top = HEADER + 40
    page_width = 2 * MARGIN + len(tiles) * step - _KERNEL_GAP
    page = Page(page_width, top + height + 64 + MARGIN, title, subtitle, [(_KERNELS_KEY, GREY)])
    for column, (name, tile) in enumerate(tiles.items()):
        left = MARGIN + column * step
        page.text(left, top - 13, name, weight="bold")
        page.tile(resize(tile, height, width), top, left)
        if name in KERNELS:
            _write_kernel(page, left, top + height + 16, KERNELS[name])
    return page.save(path)


def _write_kernel(page: Page, left: int, top: int, kernel: Values) -> None:
    """Write the kernel's numbers row by row."""
    for (row, column), number in np.ndenumerate(kernel):
        text = f"{number:.0f}".replace("-", "−") if number == round(number) else "1/9"
        page.text(left + 24 + column * 34, top + row * 18, text, size=9, color=GREY, ha="right")
