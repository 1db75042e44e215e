"""The feature maps of one layer or of many, and the filters of a convolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import count_text
from zoo.figures._page import GREY, HEADER, MARGIN, Key, Page, plain_style
from zoo.figures._pixels import Pixels, colored, make_tile, resize, signed_shades
from zoo.figures._text import shorten, text_width

MAX_MAPS = 64  # of one layer
MAX_LAYERS = 18  # as many as VGG16 has
MAPS_PER_LAYER = 12  # with several layers
_GAP = 6
_TOP = HEADER + 24
_SIZE = 8  # points
_LONGEST_NAME = 200  # pixels
_MAPS_KEY = [
    ("blue: positive; orange: negative; white: 0; grey: 0 everywhere; each map has its own scale", GREY)
]
_WEIGHTS_KEY = [("blue: positive; orange: negative; white: 0; each filter has its own scale", GREY)]
_COLORS_KEY = [("red, green and blue weights as a color; grey: 0; each filter has its own scale", GREY)]


@dataclass(frozen=True)
class LayerMaps:
    """The output of one layer for one image.

    Args:
        maps: shape `(height, width, n)`: the layer's channels, or the first n of them.
        channels: the number of the layer's channels.
    """

    layer: str
    kind: str
    maps: npt.NDArray[Any]
    channels: int

    @property
    def shape(self) -> str:
        return f"{self.maps.shape[0]}×{self.maps.shape[1]}×{self.channels}"

    def tiles(self, at_most: int) -> list[Pixels]:
        """Return the first maps as colors; a map that is 0 everywhere is light grey."""
        maps = np.moveaxis(self.maps[:, :, :at_most], -1, 0)
        return [signed_shades(one) if one.any() else np.full((*one.shape, 3), 0xEC, np.uint8) for one in maps]


@plain_style()
def feature_maps(
    image: npt.NDArray[Any],
    maps: LayerMaps,
    path: Path,
    *,
    title: str,
    subtitle: str = "",
) -> Path:
    """Draw the output of one layer for `image`: up to 64 maps, each scaled to its own largest value."""
    values = maps.maps[:, :, :MAX_MAPS]
    num_empty = int((~values.any(axis=(0, 1))).sum())
    facts = [
        f"{maps.layer} ({maps.kind}): {maps.shape}",
        f"the first {values.shape[2]} of {maps.channels:,} maps" if values.shape[2] < maps.channels else "",
        f"{num_empty} of them 0 everywhere" if num_empty else "",
        subtitle,
    ]
    page = _draw_grid(maps.tiles(MAX_MAPS), title, facts, _MAPS_KEY, make_tile(image, 176))
    return page.save(path)


@plain_style()
def filters(kernel: npt.NDArray[Any], path: Path, *, title: str, layer: str) -> Path:
    """Draw the filters of a convolution, up to 64 of them, each scaled to its own largest weight.

    Filters of three input channels are drawn in color, with grey for 0. With any other number of channels,
    the weights of the first channel are drawn. The shape of `kernel` is `(height, width, channels, filters)`.
    """
    height, width, channels, total = kernel.shape
    drawn = np.moveaxis(kernel[..., :MAX_MAPS], -1, 0)
    has_colors = channels == 3
    tiles = [_to_colors(weights) if has_colors else signed_shades(weights[:, :, 0]) for weights in drawn]
    facts = [
        f"{layer}: {count_text(total, 'filter')} of {height}×{width}×{channels}",
        f"the first {len(drawn)} are shown" if len(drawn) < total else "",
        f"the weights of the first of {channels} channels" if channels > 1 and not has_colors else "",
    ]
    return _draw_grid(tiles, title, facts, _COLORS_KEY if has_colors else _WEIGHTS_KEY).save(path)


def _to_colors(weights: npt.NDArray[Any]) -> Pixels:
    """Return `(height, width, 3)` weights as colors, middle grey for 0."""
    largest = float(np.abs(weights).max()) or 1.0
    return (127.5 * (1 + weights / largest)).round().astype(np.uint8)


def _draw_grid(
    tiles: Sequence[Pixels], title: str, facts: Sequence[str], key: Key, image: Pixels | None = None
) -> Page:
    """Draw tiles of one size in rows, and `image` on their left.

    Each row begins with the number of its first tile.
    """
    columns = 8 if len(tiles) > 16 else min(len(tiles), 4)
    height, width = map_size(tiles[0].shape, 96 if len(tiles) > 16 else 144)
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = width + _GAP, height + _GAP
    image_height, image_width = (0, 0) if image is None else (image.shape[0], image.shape[1] + 24)
    left = MARGIN + image_width + 26
    page_height = _TOP + max(rows * step_y, image_height) + MARGIN
    subtitle = "; ".join(fact for fact in facts if fact)
    page = Page(left + columns * step_x - _GAP + MARGIN, page_height, title, subtitle, key)
    if image is not None:
        page.tile(image, _TOP, MARGIN)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top = _TOP + row * step_y
        page.tile(resize(tile, height, width), top, left + column * step_x)
        if column == 0:
            page.text(left - 8, top + height / 2, str(number), size=_SIZE, color=GREY, ha="right")
    return page


@plain_style()
def layer_maps(
    image: npt.NDArray[Any],
    layers: Sequence[LayerMaps],
    path: Path,
    *,
    title: str,
    subtitle: str = "",
) -> Path:
    """Draw the output of several layers for `image`: a row for each, with its first twelve maps.

    Of more than 18 layers, 18 are shown, evenly spaced from the first to the last.
    """
    positions = np.linspace(0, len(layers) - 1, min(len(layers), MAX_LAYERS)).round().astype(int)
    selection = [layers[position] for position in positions]
    # All maps are drawn at one size, so that the pixels of a map are twice as large after each pooling.
    height, width = map_size(image.shape, 96 if len(selection) <= 8 else 68)
    step_x, step_y = width + _GAP, max(height + _GAP, 34)
    columns = max(min(MAPS_PER_LAYER, layer.maps.shape[2]) for layer in selection)
    label_width = max(_label_width(layer) for layer in selection)
    left = MARGIN + label_width + 12
    some = f"{len(selection)} of " if len(selection) < len(layers) else ""
    facts = [f"{some}{count_text(len(layers), 'layer')}, up to {MAPS_PER_LAYER} maps of each", subtitle]
    page = Page(
        left + columns * step_x - _GAP + MARGIN,
        _TOP + (len(selection) + 1) * step_y + MARGIN,
        title,
        "; ".join(fact for fact in facts if fact),
        _MAPS_KEY,
    )
    page.text(MARGIN, _TOP + height / 2, "the image", size=_SIZE)
    page.tile(resize(colored(image), height, width), _TOP, left)
    for row, layer in enumerate(selection, start=1):
        top = _TOP + row * step_y
        name = shorten(layer.layer, label_width, _SIZE, "bold")
        page.text(MARGIN, top + height / 2 - 7, name, size=_SIZE, weight="bold")
        page.text(MARGIN, top + height / 2 + 7, f"{layer.kind} {layer.shape}", size=7, color=GREY)
        for column, tile in enumerate(layer.tiles(MAPS_PER_LAYER)):
            page.tile(resize(tile, height, width), top, left + column * step_x)
    return page.save(path)


def _label_width(layer: LayerMaps) -> int:
    """Return the width of a layer's label in pixels: the width of its name (cut) or of its shape."""
    name = min(_LONGEST_NAME, round(text_width(layer.layer, _SIZE, "bold")) + 4)
    return max(name, round(text_width(f"{layer.kind} {layer.shape}", 7)))


def map_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Return the height and width of a map whose longer side has `box` pixels, or up to 30 % fewer."""
    height, width = shape[:2]
    longer = max(height, width)
    exact = box // longer * longer  # so that every value is a square of the same size
    scale = (exact if exact > 0.7 * box else box) / longer
    return max(1, round(height * scale)), max(1, round(width * scale))
