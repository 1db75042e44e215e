"""The size of images, as studies write it."""

from __future__ import annotations

from typing import Any

from zoo import ZooError

LARGEST = 4096  # pixels a side


def height_and_width(image_size: Any) -> tuple[int, int]:
    """`150` or `[height, width]` as `(height, width)`, in pixels, each 1 … 4096.

    Raises:
        ZooError: it is neither.
    """
    sides = list(image_size) if isinstance(image_size, list | tuple) else [image_size, image_size]
    fits = len(sides) == 2 and all(type(side) is int and 1 <= side <= LARGEST for side in sides)
    if not fits:
        shown = list(image_size) if isinstance(image_size, tuple) else image_size
        raise ZooError(
            f"image_size = {shown}: expected the side of a square, or [height, width], "
            f"each from 1 to {LARGEST} pixels."
        )
    return sides[0], sides[1]
