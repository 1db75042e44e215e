"""The `image_size` parameter of datasets."""

from __future__ import annotations

from typing import Any

from zoo import ZooError

MAX_SIDE = 4096  # pixels


def height_and_width(image_size: Any) -> tuple[int, int]:
    """Return `150` or `[height, width]` as `(height, width)`, in pixels, each 1 to MAX_SIDE.

    Raises:
        ZooError: it is neither of the two.
    """
    sides = list(image_size) if isinstance(image_size, list | tuple) else [image_size, image_size]
    if len(sides) == 2 and all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        return sides[0], sides[1]
    value = list(image_size) if isinstance(image_size, tuple) else image_size
    raise ZooError(
        f"image_size = {value}: expected the side of a square, or [height, width], "
        f"each from 1 to {MAX_SIDE} pixels."
    )
