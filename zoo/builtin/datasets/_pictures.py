"""Decoding of image files, many at once, into arrays that need not fit into memory."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from zoo import ZooError, progress
from zoo.builtin._common import reason_of

if TYPE_CHECKING:
    from PIL import Image

    from zoo.builtin.datasets._common import Array

FORMATS = ("JPEG", "PNG", "GIF", "BMP")
FORMAT_NAMES = "JPEG, PNG, GIF or BMP"
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp")
MAX_PIXELS = 89_478_485  # Pillow warns of a decompression bomb above this size
MODES = {1: "L", 3: "RGB"}  # number of channels -> Pillow's mode


def decode_all(
    root: Path, files: Mapping[str, Sequence[Path]], size: tuple[int, int], channels: int, *, scale: bool
) -> dict[str, Array]:
    """Return the images of each split as `uint8`, `(n, height, width, channels)`, in temporary files.

    `size` is their height and width, in pixels. If `scale` is set, every image is scaled to it.

    Raises:
        ZooError: images cannot be read (with their names), or have another size and `scale` is not set.
    """
    arrays = {split: _scratch((len(of_split), *size, channels)) for split, of_split in files.items()}
    jobs = [
        (file, arrays[split][number])
        for split, of_split in files.items()
        for number, file in enumerate(of_split)
    ]
    first = jobs[0][0]

    def decode(job: tuple[Path, Array]) -> str:
        """Decode one image into its array; return its problem, or ""."""
        file, pixels = job
        try:
            image = _decode(file, MODES[channels], size if scale else None)
        except Exception as error:  # Pillow raises many types for damaged bytes
            return f"{file.relative_to(root)} ({_reason(error)})"
        if image.shape[:2] != size:
            raise ZooError(
                f"{first} has {_size_text(size)} pixels (height × width), {file} has "
                f"{_size_text(image.shape[:2])}. Set image_size to a number, or to [height, width], "
                "to scale all images to one size."
            )
        pixels[...] = image.reshape(pixels.shape)
        return ""

    # Pillow releases Python's lock while it decodes.
    with ThreadPoolExecutor() as pool:
        decoding = progress(pool.map(decode, jobs), f"decoding {len(jobs):,} images", total=len(jobs))
        problems = list(filter(None, decoding))
    if problems:
        more = f" and {len(problems) - 5:,} more" if len(problems) > 5 else ""
        raise ZooError(
            f"{len(problems):,} of {len(jobs):,} images in {root} cannot be read: "
            f"{', '.join(problems[:5])}{more}. Replace or remove them."
        )
    return arrays


def size_of(file: Path) -> tuple[int, int]:
    """Return height and width of an image, in pixels, after its EXIF rotation."""
    try:
        height, width = _decode(file, "L", None).shape
    except Exception as error:
        raise ZooError(f"{file} cannot be read ({_reason(error)}). Replace or remove it.") from error
    return height, width


def _decode(file: Path, mode: str, size: tuple[int, int] | None) -> Array:
    """Return one image as `uint8`, `(height, width[, 3])`, scaled to `size` if that is given."""
    import numpy as np
    from PIL import Image, ImageOps

    with file.open("rb") as content:
        image = _open(content)
        if size is not None:  # decode a large JPEG at a fraction of its size
            image.draft(mode, (2 * max(size), 2 * max(size)))
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16 bits per pixel; convert() alone would clip them at 255
            image = image.point(lambda value: value / 256)
        image = image.convert(mode)
        if size is not None:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image)


def _open(content: BinaryIO) -> Image.Image:
    """Open an image; only its header is decoded yet."""
    from PIL import Image

    image = Image.open(content, formats=FORMATS)
    if math.prod(image.size) > MAX_PIXELS:
        raise Image.DecompressionBombError
    if image.format == "PNG":  # Pillow checks the checksums of a PNG only in verify()
        image.verify()
        content.seek(0)
        image = Image.open(content, formats=FORMATS)
    return image


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"not a {FORMAT_NAMES}"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {MAX_PIXELS:,} pixels, a possible decompression bomb"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return reason_of(error)


def _scratch(shape: tuple[int, ...]) -> Array:
    """Return an array in a temporary file that disappears with the array."""
    import numpy as np

    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):  # otherwise a full disk kills the process later (SIGBUS)
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        except OSError as error:
            raise ZooError(
                f"No room for {shape[0]:,} images of {_size_text(shape[1:])} "
                f"({math.prod(shape) / 1e9:.1f} GB) in {tempfile.gettempdir()}: {error.strerror}. "
                "Set TMPDIR to a folder with more room, or set a smaller image_size."
            ) from error
        return np.memmap(file, np.uint8, "w+", shape=shape)


def _size_text(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))
