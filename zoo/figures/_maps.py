"""What a network sees: the feature maps of one layer or of many, and the filters of its first."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.figures._page import GREY, HEADER, MARGIN, Page, Pixels, plain_style, shorten, text_width, write_png
from zoo.figures._shades import signed_shades
from zoo.figures._tiles import Tiles, colored, paste_tile, resize

AT_MOST_MAPS = 64  # of one layer
AT_MOST_LAYERS = 18  # VGG16 has as many
MAPS_OF_EACH = 12  # where there are several layers
_GAP = 6
_SIZE = 8  # points
_SCALE = "white is 0, blue above, orange below, grey 0 everywhere; each map scaled to its own largest value"


@dataclass(frozen=True)
class LayerMaps:
    """What one layer made of one image.

    Args:
        maps: shape `(height, width, n)`: all of the layer's channels, or the first n of them.
        channels: how many it has.
    """

    layer: str
    kind: str
    maps: npt.NDArray[Any]
    channels: int

    @property
    def shape(self) -> str:
        return f"{self.maps.shape[0]}×{self.maps.shape[1]}×{self.channels}"


def feature_maps(
    image: npt.NDArray[Any],
    maps: LayerMaps,
    path: str | os.PathLike[str],
    *,
    title: str,
    subtitle: str = "",
) -> Path:
    """Draw what one layer made of `image`: up to 64 of its maps, each scaled to its own largest value.

    Args:
        image: `uint8`, shape `(height, width, channels)`.
        path: where the PNG goes; its folder is made.
        subtitle: the end of the line below the title.
    """
    drawn = maps.maps[:, :, :AT_MOST_MAPS]
    count = drawn.shape[2]
    empty = int((~drawn.any(axis=(0, 1))).sum())
    told = [f"{maps.layer} ({maps.kind}): {maps.shape}"]
    if count < maps.channels:
        told.append(f"the first {count} of {maps.channels:,} maps")
    if empty:
        told.append(f"{empty} of them 0 everywhere")
    told += [subtitle] if subtitle else []
    tiles = [_tile(drawn[:, :, channel]) for channel in range(count)]
    return _grid(
        tiles,
        path,
        title=title,
        subtitle="; ".join(told),
        note=f"{_SCALE}; numbered on the left",
        image=image,
    )


def layer_maps(
    image: npt.NDArray[Any],
    layers: Sequence[LayerMaps],
    path: str | os.PathLike[str],
    *,
    title: str,
    subtitle: str = "",
) -> Path:
    """Draw what each of several layers made of `image`: a row for each, with its first twelve maps.

    Of more than 18 layers, 18 are shown, evenly spaced, the first and the last among them.

    Args:
        image: `uint8`, shape `(height, width, channels)`.
        layers: at least one, in the order in which the image passes them.
        path: where the PNG goes; its folder is made.
        subtitle: the end of the line below the title.

    Raises:
        ValueError: there are no layers.
    """
    if not layers:
        raise ValueError("There are no layers to draw the maps of.")
    places = np.linspace(0, len(layers) - 1, min(len(layers), AT_MOST_LAYERS)).round().astype(int)
    shown = [layers[place] for place in places]
    told = f"{len(shown)} of {len(layers)} layers" if len(shown) < len(layers) else f"{len(layers)} layers"
    told += f", up to {MAPS_OF_EACH} maps of each" + (f"; {subtitle}" if subtitle else "")
    # One size for all: what pooling halves is drawn in pixels of twice the size.
    height, width = _map_size(image.shape, 96 if len(shown) <= 8 else 68)
    step_x, step_y = width + _GAP, max(height + _GAP, 34)
    columns = max(min(MAPS_OF_EACH, one.maps.shape[2]) for one in shown)
    top = HEADER + 24
    with plain_style():
        label = max(_label_width(one) for one in shown)
        left = MARGIN + label + 12
        right = max(left + columns * step_x - _GAP, MARGIN + round(text_width(_SCALE, _SIZE)))
        page = Page(right + MARGIN, top + (len(shown) + 1) * step_y + MARGIN)
        page.header(title, told)
        page.text(MARGIN, HEADER + 4, _SCALE, size=_SIZE, color=GREY)
        page.text(MARGIN, top + height / 2, "the image", size=_SIZE)
        for row, one in enumerate(shown, start=1):
            middle = top + row * step_y + height / 2
            page.text(MARGIN, middle - 7, shorten(one.layer, label, _SIZE, "bold"), size=_SIZE, weight="bold")
            page.text(MARGIN, middle + 7, f"{one.kind} {one.shape}", size=7, color=GREY)
        pixels = page.pixels()
        paste_tile(pixels, resize(colored(image), height, width), top, left)
        for row, one in enumerate(shown, start=1):
            for column in range(min(MAPS_OF_EACH, one.maps.shape[2])):
                tile = resize_map(_tile(one.maps[:, :, column]), height, width)
                paste_tile(pixels, tile, top + row * step_y, left + column * step_x)
    return write_png(pixels, path, colors="all")


def _label_width(one: LayerMaps) -> int:
    """Pixels for a layer's name, up to 200 of them, and for what it is."""
    name = min(200, round(text_width(one.layer, _SIZE, "bold")) + 4)
    return max(name, round(text_width(f"{one.kind} {one.shape}", 7)))


def _tile(one: npt.NDArray[Any]) -> Pixels:
    """A map as colours; a light grey where it is 0 everywhere, which a weak one is not."""
    return signed_shades(one) if one.any() else np.full((*one.shape, 3), 0xEC, np.uint8)


def filters(
    kernel: npt.NDArray[Any],
    path: str | os.PathLike[str],
    *,
    title: str,
    layer: str,
) -> Path:
    """Draw the filters that a convolution learned, up to 64 of them.

    Those of three input channels are drawn in colour: grey is no weight, each scaled to its own largest.
    Of any other number, the first channel is: blue is positive, orange negative, white nothing.

    Args:
        kernel: shape `(height, width, input channels, filters)`.
        path: where the PNG goes; its folder is made.
        layer: its name.
    """
    height, width, channels, total = kernel.shape
    count = min(total, AT_MOST_MAPS)
    in_color = channels == 3
    draw = _in_color if in_color else lambda weights: signed_shades(weights[:, :, 0])
    tiles = [draw(kernel[:, :, :, number]) for number in range(count)]
    told = [f"{layer}: {total} filters of {height}×{width}×{channels}"]
    if count < total:
        told.append(f"the first {count} are shown")
    if in_color:
        note = "red, green and blue weights as a colour; grey is no weight; each scaled to its largest"
    else:
        note = "blue is positive, orange negative, white nothing; each filter scaled to its largest weight"
        told += [f"their weights for the first of {channels} channels"] if channels > 1 else []
    return _grid(tiles, path, title=title, subtitle="; ".join(told), note=note)


def _in_color(weights: npt.NDArray[Any]) -> Pixels:
    """`(height, width, 3)` weights as colours about a middle grey."""
    largest = float(np.abs(weights).max()) or 1.0
    return (127.5 * (1 + weights / largest)).round().astype(np.uint8)


def _grid(
    tiles: Sequence[Pixels],
    path: str | os.PathLike[str],
    *,
    title: str,
    subtitle: str,
    note: str,
    image: npt.NDArray[Any] | None = None,
) -> Path:
    """Tiles of one size in rows, numbered; on their left `image`, if there is one."""
    columns = 8 if len(tiles) > 16 else 4 if len(tiles) > 4 else len(tiles)
    box = 96 if len(tiles) > 16 else 144
    height, width = _map_size(tiles[0].shape, box)
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = width + _GAP, height + _GAP
    top = HEADER + 24
    with plain_style():
        shown = None if image is None else Tiles.of([image], 176)
        left = MARGIN + (0 if shown is None else shown.width + 24) + 26
        tall = max(rows * step_y, 0 if shown is None else shown.height)
        width_needed = max(left + columns * step_x - _GAP, MARGIN + round(text_width(note, _SIZE)))
        page = Page(width_needed + MARGIN, top + tall + MARGIN)
        page.header(title, subtitle)
        page.text(MARGIN, HEADER + 4, note, size=_SIZE, color=GREY)
        for row in range(rows):
            middle = top + row * step_y + height / 2
            page.text(left - 8, middle, str(row * columns), size=_SIZE, color=GREY, ha="right")
        pixels = page.pixels()
        if shown is not None:
            paste_tile(pixels, shown.images[0], top, MARGIN)
        for place, tile in enumerate(tiles):
            row, column = divmod(place, columns)
            paste_tile(pixels, resize_map(tile, height, width), top + row * step_y, left + column * step_x)
    return write_png(pixels, path, colors="all")


def _map_size(shape: tuple[int, ...], box: int) -> tuple[int, int]:
    """Height and width of a map whose longer side is about `box` pixels, and never longer."""
    height, width = shape[:2]
    larger = max(height, width)
    whole = box // larger * larger  # so that every value is a square of the same size
    scale = (whole if whole > 0.7 * box else box) / larger
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize_map(pixels: Pixels, height: int, width: int) -> Pixels:
    """`pixels` at another size: repeated to a larger one, so that each stays a square; else resampled."""
    rows, columns = pixels.shape[:2]
    if rows > height or columns > width:
        return resize(pixels, height, width)
    repeated: Pixels = pixels[np.arange(height) * rows // height][:, np.arange(width) * columns // width]
    return repeated
