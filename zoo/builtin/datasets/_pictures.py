"""Decoding image files, many at once, into arrays that need not fit into memory."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoo import ZooError, progress

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Array = np.ndarray[Any, Any]

FORMATS = "JPEG, PNG, GIF or BMP"
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp")
MOST_PIXELS = 89_478_485  # where Pillow, too, begins to think of a decompression bomb
MODES = {1: "L", 3: "RGB"}  # what Pillow calls an image of so many channels


def decode_all(
    root: Path, files: Mapping[str, Sequence[Path]], size: tuple[int, int], channels: int, *, scale: bool
) -> dict[str, Array]:
    """The images of each split as `uint8`, shape `(n, height, width, channels)`, in temporary files.

    Args:
        size: height and width of the arrays, in pixels.
        scale: bring every image to that size; otherwise each has to have it.

    Raises:
        ZooError: with the names of those that cannot be read; or two are of different sizes.
    """
    arrays = {split: _scratch((len(of_split), *size, channels)) for split, of_split in files.items()}
    places = [
        (file, arrays[split][number])
        for split, of_split in files.items()
        for number, file in enumerate(of_split)
    ]
    first = places[0][0]

    def decode(place: tuple[Path, Array]) -> str:
        """One image into its place; what is wrong with it, or nothing."""
        file, pixels = place
        try:
            picture = _decode(file, MODES[channels], size if scale else None)
        except Exception as error:  # whatever damaged bytes make Pillow raise
            return f"{file.relative_to(root)} ({_reason(error)})"
        if picture.shape[:2] != size:
            raise ZooError(
                f"{first} has {_shown(size)} pixels (height × width), but {file} has "
                f"{_shown(picture.shape[:2])}; images of different sizes need image_size = a number, "
                "or [height, width]."
            )
        pixels[...] = picture.reshape(pixels.shape)
        return ""

    # Pillow lets other threads run while it decodes.
    with ThreadPoolExecutor(_cores()) as pool:
        decoding = progress(pool.map(decode, places), f"decoding {len(places):,} images", total=len(places))
        problems = list(filter(None, decoding))
    if problems:
        more = f" and {len(problems) - 5:,} more" if len(problems) > 5 else ""
        raise ZooError(
            f"{len(problems):,} of {len(places):,} images in {root} cannot be read: "
            f"{', '.join(problems[:5])}{more}. Replace or remove them."
        )
    return arrays


def size_of(file: Path) -> tuple[int, int]:
    """Height and width of one image, in pixels, the right way up.

    Raises:
        ZooError: it cannot be read.
    """
    try:
        height, width = _decode(file, "L", None).shape
    except Exception as error:
        raise ZooError(f"{file} cannot be read ({_reason(error)}). Replace or remove it.") from error
    return height, width


def _decode(file: Path, mode: str, size: tuple[int, int] | None) -> Array:
    """One image, every byte of it, scaled to `size` if one is given: `uint8`, (height, width[, 3])."""
    import numpy as np
    from PIL import Image, ImageOps

    with file.open("rb") as content:
        image = _open(content)
        if size is not None:  # a large JPEG need not be decoded at its full size
            image.draft(mode, (2 * max(size), 2 * max(size)))
        ImageOps.exif_transpose(image, in_place=True)
        image = _in_mode(image, mode)
        if size is not None:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image)


def _open(content: BinaryIO) -> Image.Image:
    """An image of which only the header is decoded yet."""
    from PIL import Image

    formats = FORMATS.replace(" or ", ", ").split(", ")
    image = Image.open(content, formats=formats)
    if math.prod(image.size) > MOST_PIXELS:
        raise Image.DecompressionBombError
    if image.format == "PNG":  # its checksums are not looked at otherwise
        image.verify()
        content.seek(0)
        image = Image.open(content, formats=formats)
    return image


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 255
        image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
    return image.convert(mode)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"it is no {FORMATS}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {MOST_PIXELS:,} pixels, as a decompression bomb has"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def _scratch(shape: tuple[int, ...]) -> Array:
    """An array in a temporary file, which goes when the array does."""
    import numpy as np

    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):  # else a full disk ends the process, later
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        except OSError as error:
            raise ZooError(
                f"There is no room for {shape[0]:,} images of {_shown(shape[1:])} "
                f"({math.prod(shape) / 1e9:.1f} GB) in {tempfile.gettempdir()}: {error.strerror}. "
                "Set TMPDIR to a folder that has it, or image_size to less."
            ) from error
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _shown(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
