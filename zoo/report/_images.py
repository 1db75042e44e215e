"""Images as part of the page: small PNGs in `data:` URLs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.figures import make_tile

_BOX, _SAMPLE_BOX, _GAP = 88, 40, 3  # pixels


def image_address(image: Any) -> str:
    """Return the URL of one image, `uint8` `(height, width, channels)`."""
    return _address(make_tile(image, _BOX))


def strip_address(images: Sequence[Any]) -> str:
    """Return the URL of images side by side, with white between them."""
    tiles = [make_tile(image, _SAMPLE_BOX) for image in images]
    gap = np.full((len(tiles[0]), _GAP, 3), 255, np.uint8)
    return _address(np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1))


def _address(pixels: Any) -> str:
    from PIL import Image

    image, buffer = Image.fromarray(pixels), io.BytesIO()
    if (pixels == pixels[..., :1]).all():
        image = image.convert("L")
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
