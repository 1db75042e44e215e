"""Decoding of image files into one array."""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo.data.images import BIT_DEPTH, is_deep_image, read_header, read_image_and_size
from zoo.data.reporting import progress
from zoo.data.table_pixels import DARK, MAX_SIDE
from zoo.errors import ImageError, ZooError, count_text, listed, shape_text

if TYPE_CHECKING:
    from PIL import Image

    from zoo.data.dataset import Array


DARK_SHARE = 0.1  # share of dark images for a warning; even photographs at night have bright pixels


@dataclass(frozen=True)
class ImageDecoder:
    """A decoder of many image files into one array, on all cores.

    Args:
        image_size: scale every image to this size: one number for a square, or `[height, width]`; by default,
            all images must have one size.
        color_mode, background, bit_depth: as for `zoo.read_image`.
    """

    image_size: Any = None
    color_mode: str = "rgb"
    background: str = "white"
    bit_depth: int = BIT_DEPTH
    _sizes: dict[Path, tuple[int, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def decode(
        self, where: Path, sources: Sequence[Path | bytes | Image.Image], names: Sequence[str]
    ) -> Array:
        """Return images as `uint8`, `(n, height, width, channels)`, in a temporary file.

        All are scaled to `image_size`; with None, all must have one size already.

        Args:
            where: the folder or file that contains the images, for messages.
            sources: files, their contents, or images of Pillow.
            names: the name of each image in `where`, for messages.
        """
        import numpy as np

        _check_color(self.background)
        new_size = None if self.image_size is None else height_and_width(self.image_size)
        size = new_size or self._size_of(where, sources[0], names[0])
        shape = (len(sources), *size, 3 if self.color_mode == "rgb" else 1)

        def decode(position: int, file: IO[bytes]) -> str:
            """Decode one image into `file`; return the problem, or "" if there is none."""
            source, name = sources[position], names[position]
            try:
                image = self._read(source, new_size)
            except ImageError as error:
                return f"{name} ({error.reason})"
            if image.shape[:2] != size:
                raise ZooError(
                    f"{where / names[0]} has {shape_text(size)} pixels (height × width), {where / name} has "
                    f"{shape_text(image.shape[:2])}. Set image_size to a number, or to [height, width], "
                    "to scale all images to one size."
                )
            # A memory map would take longer to write: the system interrupts the thread for every few pages.
            try:
                written = os.pwrite(file.fileno(), image.data, position * image.nbytes)
            except OSError as error:
                raise _no_space(shape, error.strerror) from error
            if written < image.nbytes:
                raise _no_space(shape, "the disk is full")
            return ""

        # Pillow releases Python's lock while it decodes.
        with _temporary_file(shape) as file, ThreadPoolExecutor() as pool:
            decoding = pool.map(partial(decode, file=file), range(len(sources)))
            step = f"decoding {count_text(len(sources), 'image')}"
            problems = list(filter(None, progress(decoding, step, total=len(sources))))
            arrays = np.memmap(file, np.uint8, "r+", shape=shape)
        if problems:
            raise ZooError(
                f"{len(problems):,} of {count_text(len(sources), 'image')} in {where} cannot be read: "
                f"{listed(problems, 5)}. Replace or remove them."
            )
        return arrays

    def original_sizes(self, files: Sequence[Path]) -> dict[str, Array]:
        """Return the columns height and width of image files, before scaling; {} if nothing is scaled.

        Files that this object has decoded are not read again.
        """
        import numpy as np

        if self.image_size is None:
            return {}
        with ThreadPoolExecutor() as pool:
            sizes = np.array(list(pool.map(self._original_size, files)))
        return {"original_height": sizes[:, 0], "original_width": sizes[:, 1]}

    def _original_size(self, file: Path) -> tuple[int, int]:
        if file in self._sizes:
            return self._sizes[file]
        header = read_header(file)
        return header.height, header.width

    def warning(
        self,
        where: Path,
        images: Array,
        sources: Sequence[Path | bytes | Image.Image] = (),
        names: Sequence[str] = (),
    ) -> str:
        """Return a warning if many images are dark, probably because they do not use all bits; usually "".

        `where`, `sources` and `names` are as for `decode`, which returned `images`.
        """
        import numpy as np

        brightest = np.asarray(images).reshape(len(images), -1).max(axis=1)
        dark = np.flatnonzero((brightest > 0) & (brightest < DARK))
        if len(dark) < max(1, DARK_SHARE * len(images)):
            return ""
        limit, first = int(brightest[dark].max()), int(dark[0])
        which = f"No pixel of the images in {where} is brighter than {limit} of 255."
        if len(dark) < len(images):
            example = f", such as {names[first]}" if len(names) else ""
            have = "has" if len(dark) == 1 else "have"
            which = (
                f"{len(dark):,} of {len(images):,} images in {where} {have} no pixel brighter than {limit} "
                f"of 255{example}."
            )
        used = self.bit_depth - 8 + limit.bit_length()
        if used <= 8 or (sources and not _is_deep(sources[first])):
            return f"{which} If they have another range, save them with values from 0 to 255."
        return f"{which} If they have {used} bits per pixel, set bit_depth = {used}."

    def _read(self, source: Path | bytes | Image.Image, size: tuple[int, int] | None) -> Array:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        options: Any = {"background": self.background, "bit_depth": self.bit_depth}
        pixels, original_size = read_image_and_size(file, self.color_mode, size, **options)
        if isinstance(source, Path):
            self._sizes[source] = original_size
        return pixels

    def _size_of(self, where: Path, source: Path | bytes | Image.Image, name: str) -> tuple[int, int]:
        """Return height and width of an image, in pixels, after its EXIF rotation."""
        try:
            height, width, _ = self._read(source, None).shape
        except ImageError as error:
            raise ZooError(
                f"{where / name} cannot be read ({error.reason}). Replace or remove it."
            ) from error
        return height, width


def height_and_width(image_size: Any) -> tuple[int, int]:
    """Return the parameter `image_size`, a number or `[height, width]`, as `(height, width)` in pixels.

    Raise ZooError for any other value.
    """
    sides = list(image_size) if isinstance(image_size, list | tuple) else [image_size, image_size]
    if len(sides) == 2 and all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        return sides[0], sides[1]
    value = list(image_size) if isinstance(image_size, tuple) else image_size
    raise ZooError(
        f"image_size = {value}: expected one number for a square, or [height, width], "
        f"from 1 to {MAX_SIDE} pixels."
    )


def _is_deep(source: Path | bytes | Image.Image) -> bool:
    if isinstance(source, bytes | Path):
        return read_header(io.BytesIO(source) if isinstance(source, bytes) else source).is_deep
    return is_deep_image(source)


def _check_color(background: str) -> None:
    from PIL import ImageColor

    try:
        ImageColor.getrgb(background)
    except ValueError:
        problem = f"background = {background!r}: expected a color, such as black or #c0c0c0."
        raise ZooError(problem) from None


@contextmanager
def _temporary_file(shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Yield a temporary file with room for images of this shape; its memory map outlasts the block."""
    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):  # otherwise a full disk kills the process later (SIGBUS)
                os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        except OSError as error:
            raise _no_space(shape, error.strerror) from error
        file.truncate(math.prod(shape))
        yield file


def _no_space(shape: tuple[int, ...], reason: str | None) -> ZooError:
    return ZooError(
        f"no space for {count_text(shape[0], 'image')} of {shape_text(shape[1:])} "
        f"({math.prod(shape) / 1e9:.1f} GB) in {tempfile.gettempdir()}: {reason}. "
        "Set TMPDIR to a folder with more space, or set a smaller image_size."
    )
