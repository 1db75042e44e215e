"""Image files: the decoder that training and prediction share.

`zoo predict` reads photographs with the same function as the dataset `image_folder`, so that a model gets the
same pixels.
"""

from __future__ import annotations

import ctypes
import math
import os
import re
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo.errors import ImageError, one_line
from zoo.files import is_special

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Array = np.ndarray[Any, Any]

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"),
    *(".avif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".pcx", ".qoi", ".tga"),
)
RESIZE_METHOD = "bilinear"  # in Pillow: it averages pixels when it shrinks; the aspect ratio is not kept
BIT_DEPTH = 16  # default for images with more than 8 bits per pixel

# The formats that Pillow recognizes by content, except EPS, for which it runs another program. TGA files
# have no signature, so their name decides.
_FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "MPO", "ICO", "ICNS"),
    *("PCX", "QOI", "SGI", "DDS", "PSD", "FITS", "SUN", "XBM", "XPM", "MSP", "CUR", "DCX", "FLI", "BLP"),
)
_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}
_MAX_PIXELS = 89_478_485  # Pillow warns of a decompression bomb above this size
_LARGE, _large_image = 16_000_000, threading.Lock()  # pixels; larger images are decoded one at a time
_BAND_HEIGHT = 256
_ORIENTATION, _ROTATIONS = 0x0112, (5, 6, 7, 8)  # the EXIF tag, and its values that swap the sides
_MODES = {"rgb": "RGB", "grayscale": "L"}  # names of the modes in Pillow


def color_mode_of(channels: int) -> str:
    """Return the `color_mode` of images with this number of channels; "" if image files never have it."""
    return {1: "grayscale", 3: "rgb"}.get(channels, "")


def is_image(file: str | Path) -> bool:
    """Return True if the file has the name or the content of an image, even a damaged one.

    Named pipes, sockets and devices are never images, even if their name is that of an image.
    """
    from PIL import Image

    try:
        if is_special(file):
            return False
        if os.path.splitext(file)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 (faster, for many files)
            return True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(file, formats=_formats(file)).close()
    except Exception:  # Pillow raises many types for other content
        return False
    return True


def read_image(
    file: str | Path | IO[bytes] | Image.Image,
    color_mode: str = "rgb",
    size: tuple[int, int] | None = None,
    *,
    background: str = "white",
    bit_depth: int = BIT_DEPTH,
) -> np.ndarray[Any, Any]:
    """Return the pixels of an image file in any common format: `uint8`, `(height, width, channels)`.

    `file` may also be an image of Pillow.

    The image is rotated by its EXIF orientation. The first frame of an animation is used.

    Args:
        color_mode: `rgb` for three channels, `grayscale` for one.
        size: `(height, width)` to which the image is scaled, bilinearly and without keeping its aspect
            ratio; its own size by default. A JPEG is first decoded at 1/2, 1/4 or 1/8 of its size, if this
            result is still as large as `size`.
        background: the color behind transparent pixels: a name or `#rrggbb`.
        bit_depth: number of bits that images with more than 8 bits per pixel use: 12 if 4095 is white.

    Raises:
        ImageError: the file cannot be read. The text names the file; the attribute `reason` does not.
    """
    return read_image_and_size(file, color_mode, size, background=background, bit_depth=bit_depth)[0]


def read_image_and_size(
    file: str | Path | IO[bytes] | Image.Image,
    color_mode: str,
    size: tuple[int, int] | None,
    *,
    background: str,
    bit_depth: int,
) -> tuple[Array, tuple[int, int]]:
    """Return the pixels as `read_image` does, and height and width before scaling."""
    try:
        if not isinstance(file, str | Path):
            return _decode(file, _MODES[color_mode], size, background, bit_depth)
        if not stat.S_ISREG(Path(file).stat().st_mode):  # a named pipe blocks when it is opened
            raise ValueError("not a regular file")
        with Path(file).open("rb") as content:
            return _decode(content, _MODES[color_mode], size, background, bit_depth)
    except Exception as error:  # Pillow raises many types for damaged bytes
        problem = ImageError(f"{file} cannot be read ({_reason(error)})")
        problem.reason = _reason(error)
        raise problem from error


@dataclass(frozen=True)
class ImageHeader:
    """Height and width of an image file after its EXIF rotation, and True if a pixel has more than 8 bits."""

    height: int
    width: int
    is_deep: bool


def read_header(file: str | Path | IO[bytes]) -> ImageHeader:
    """Return the facts in the header of an image file, without decoding pixels. Raises ImageError."""
    from PIL import Image

    try:
        with Image.open(file, formats=_formats(file)) as image:
            width, height = image.size
            is_deep = is_deep_image(image)  # read before getexif(), which decodes a PNG
            # Pillow decodes a PNG to find EXIF data after the pixels.
            exif = Image.Image.getexif(image) if math.prod(image.size) > _LARGE else image.getexif()
            is_rotated = exif.get(_ORIENTATION) in _ROTATIONS
    except Exception as error:  # Pillow raises many types for damaged bytes
        raise ImageError(f"{file} cannot be read ({_reason(error)})") from error
    return ImageHeader(width, height, is_deep) if is_rotated else ImageHeader(height, width, is_deep)


def _formats(file: str | Path | IO[bytes]) -> tuple[str, ...]:
    name = str(getattr(file, "name", file)).lower()
    return (*_installed_formats(), "TGA") if name.endswith(".tga") else _installed_formats()


@cache
def _installed_formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _decode(
    content: IO[bytes] | Image.Image,
    mode: str,
    size: tuple[int, int] | None,
    background: str,
    bit_depth: int,
) -> tuple[Array, tuple[int, int]]:
    """Return the pixels of an open file or an image of Pillow, and its height and width before scaling."""
    import numpy as np
    from PIL import Image, ImageOps

    image = content.copy() if isinstance(content, Image.Image) else _open(content)
    if bit_depth < BIT_DEPTH and not isinstance(content, Image.Image) and _is_deep_color(image):
        image = _deep_color(content, image, bit_depth)
    width, height = image.size
    if size is not None:  # a large JPEG is decoded at a part of its size, but not below `size`
        image.draft(mode, (max(size), max(size)))
    with _one_at_a_time() if math.prod(image.size) > _LARGE else nullcontext():
        if image.getexif().get(_ORIENTATION) in _ROTATIONS:
            width, height = height, width
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith(("I", "F")):  # convert() would clip the values at 255
            image = _with_eight_bits(image, bit_depth)
        if image.has_transparency_data:
            image = _on_background(image, mode, background)
        if image.mode == "LAB":  # Pillow can convert it only to RGB
            image = image.convert("RGB")
        if image.mode != mode:
            image = image.convert(mode)
        if size is not None:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1), (height, width)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let one thread at a time decode a large image, then return its memory to the system."""
    with _large_image:
        yield
        with suppress(AttributeError, OSError):  # otherwise the C library keeps the memory of each thread
            ctypes.CDLL(None).malloc_trim(0)


def _on_background(image: Image.Image, mode: str, background: str) -> Image.Image:
    """Return an image without its transparency; process a few rows at a time to save memory."""
    from PIL import Image

    width, height = image.size
    result = Image.new(mode, image.size)
    for top in range(0, height, _BAND_HEIGHT):
        band = image.crop((0, top, width, min(top + _BAND_HEIGHT, height))).convert("RGBA")
        opaque = Image.alpha_composite(Image.new("RGBA", band.size, background), band)
        result.paste(opaque.convert(mode), (0, top))
    return result


def _open(content: IO[bytes]) -> Image.Image:
    """Return an image. Only its header is decoded; Pillow decodes the pixels when they are read."""
    from PIL import Image

    image: Image.Image = Image.open(content, formats=_formats(content))
    if math.prod(image.size) > _MAX_PIXELS:
        raise Image.DecompressionBombError
    if image.format == "PNG":  # Pillow checks the checksums of a PNG only in verify()
        image.verify()
        content.seek(0)
        image = Image.open(content, formats=_formats(content))
    return image


def _raw_modes(image: Image.Image) -> list[str]:
    """Return Pillow's name for the layout of the pixels, such as `RGB;16B`, for each part of an open file."""
    arguments = [tile.args for tile in getattr(image, "tile", [])]
    return [str(one[0] if isinstance(one, tuple) and one else one) for one in arguments]


def is_deep_image(image: Image.Image) -> bool:
    """Return True if an image has more than 8 bits per pixel or channel."""
    return image.mode.startswith("I") or _is_deep_color(image)


def _is_deep_color(image: Image.Image) -> bool:
    """Return True if channels have 16 bits. Pillow reads only the upper 8 bits."""
    return any(";16" in raw for raw in _raw_modes(image)) and not image.mode.startswith("I")


def _deep_color(content: IO[bytes], image: Image.Image, bit_depth: int) -> Image.Image:
    """Return an image with 8 bits per channel, from channels that use `bit_depth` of 16 bits.

    Pillow reads the upper byte of such channels. If it reads the file in the other byte order, it returns the
    lower byte. An alpha channel that uses all bits keeps its upper byte. Raises ValueError for other values.
    """
    import numpy as np
    from PIL import Image

    upper = np.asarray(image).astype(np.uint16)
    content.seek(0)
    other: Any = Image.open(content, formats=_formats(content))
    if not {raw[-4:] for raw in _raw_modes(other)} <= set(_OTHER_BYTE) or other.mode not in ("RGB", "RGBA"):
        raise ValueError(f"{bit_depth} of 16 bits in colors; save it with 8 bits per channel")
    other.tile = [tile._replace(args=_in_other_order(tile.args)) for tile in other.tile]
    try:
        values = 256 * upper + np.asarray(other)
    except ValueError:
        raise ValueError(f"{bit_depth} of 16 bits in grey with alpha; save it with 8 bits") from None
    colors, white = values[..., :3], 2**bit_depth - 1
    if colors.max() > white:
        raise ValueError(f"pixels from {colors.min()} to {colors.max()}, expected 0 to {white}")
    pixels = values >> (bit_depth - 8)
    if values[..., 3:].max(initial=0) > white:
        pixels[..., 3:] = upper[..., 3:]
    return Image.fromarray(pixels.astype(np.uint8))


def _in_other_order(arguments: Any) -> Any:
    """Return the arguments of a decoder of Pillow, with the bytes of 16-bit values in the other order."""
    if isinstance(arguments, tuple):
        return (_in_other_order(arguments[0]), *arguments[1:])
    return re.sub(r";16.$", lambda found: _OTHER_BYTE[found[0]], arguments)


def _with_eight_bits(image: Image.Image, bit_depth: int) -> Image.Image:
    """Return a grey image with integers of `bit_depth` bits, or numbers from 0 to 1 or 255, with 8 bits."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F":
        scale, white = (255, 1) if high <= 1 else (1, 255)
    else:
        scale, white = 1 / 2 ** (bit_depth - 8), 2**bit_depth - 1
    if not 0 <= low <= high <= white:  # False for NaN
        raise ValueError(f"pixels from {low} to {high}, expected 0 to {white}")
    scaled = values * scale
    return Image.fromarray((np.rint(scaled) if image.mode == "F" else scaled).astype(np.uint8))


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {_MAX_PIXELS:,} pixels, a possible decompression bomb"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error) or type(error).__name__
