"""Image files: the one decoder of training and prediction.

`zoo predict` reads photographs with the function that the dataset `image_folder` reads its images with, so
that a model gets the same pixels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ImageError, one_line

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

IMAGE_FORMATS = "JPEG, PNG, GIF or BMP"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp")
RESIZE_METHOD = "bilinear"  # Pillow's, which averages when it shrinks; the aspect ratio is not kept

_FORMATS = ("JPEG", "PNG", "GIF", "BMP")
_MAX_PIXELS = 89_478_485  # Pillow warns of a decompression bomb above this size
_MODES = {"rgb": "RGB", "grayscale": "L"}  # Pillow's


def color_mode_of(channels: int) -> str:
    """Return the `color_mode` of images with this number of channels; "" if files are not read as such."""
    return {1: "grayscale", 3: "rgb"}.get(channels, "")


def read_image(
    file: str | Path, color_mode: str = "rgb", size: tuple[int, int] | None = None
) -> np.ndarray[Any, Any]:
    """Return the pixels of a JPEG, PNG, GIF or BMP file: `uint8`, `(height, width, channels)`.

    The image is rotated by its EXIF orientation. Of a GIF, the first frame is used. Transparency is dropped.
    16-bit values are divided by 256.

    Args:
        color_mode: `rgb` for three channels, `grayscale` for one.
        size: `(height, width)` to which the image is scaled, bilinearly and without keeping its aspect
            ratio; its own size by default.

    Raises:
        ImageError: the file cannot be read. The text names the file, the attribute `reason` does not.
    """
    try:
        return _decode(Path(file), _MODES[color_mode], size)
    except Exception as error:  # Pillow raises many types for damaged bytes
        problem = ImageError(f"{file} cannot be read ({_reason(error)})")
        problem.reason = _reason(error)
        raise problem from error


def _decode(file: Path, mode: str, size: tuple[int, int] | None) -> Array:
    import numpy as np
    from PIL import Image, ImageOps

    with file.open("rb") as content:
        image: Image.Image = Image.open(content, formats=_FORMATS)  # only its header is decoded yet
        if math.prod(image.size) > _MAX_PIXELS:
            raise Image.DecompressionBombError
        if image.format == "PNG":  # Pillow checks the checksums of a PNG only in verify()
            image.verify()
            content.seek(0)
            image = Image.open(content, formats=_FORMATS)
        if size is not None:  # a large JPEG is decoded at a fraction of its size, which is faster
            image.draft(mode, (2 * max(size), 2 * max(size)))
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16 bits per pixel; convert() alone would clip them at 255
            image = image.point(lambda value: value / 256)
        image = image.convert(mode)
        if size is not None:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"not a {IMAGE_FORMATS}"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {_MAX_PIXELS:,} pixels, a possible decompression bomb"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error) or type(error).__name__
