"""Sizes and colors of the image files of a dataset, from a sample."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from zoo.data import is_image, read_image
from zoo.data.images import read_header
from zoo.data.sources import declared_files
from zoo.drafting._sources import PARQUET_SUFFIXES
from zoo.errors import ImageError, shape_text

if TYPE_CHECKING:
    from zoo.registry import Component

Size = tuple[int, int]  # height and width, pixels

NUM_HEADERS = 2_000  # files whose size is read
NUM_DECODED = 100  # files whose colors are read
THUMBNAIL = (32, 32)
COLORED = 4  # of 255; mean difference of the largest and smallest channel; JPEG's rounding gives less than 2
GREY_SHARE = 0.98  # if at least this share of the images has no color, all are read as grey


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a dataset."""

    count: int
    sizes: Sequence[Size]  # sizes of a sample of the files
    is_grey: bool  # the images have no color
    is_deep: bool  # some have more than 8 bits per pixel

    @property
    def has_one_size(self) -> bool:
        return len(set(self.sizes)) == 1

    @property
    def median_size(self) -> Size:
        heights, widths = zip(*self.sizes, strict=True)
        return round(median(heights)), round(median(widths))

    def sizes_text(self) -> str:
        """Return the range of sizes: `180×180 to 500×374, median 204×180`."""
        by_area = sorted(self.sizes, key=lambda size: size[0] * size[1])
        if self.has_one_size:
            return shape_text(by_area[0])
        return f"{shape_text(by_area[0])} to {shape_text(by_area[-1])}, median {shape_text(self.median_size)}"


def find_image_files(component: Component, parameters: Mapping[str, Any]) -> ImageFiles | None:
    """Return the image files that a dataset reads; None if it reads none, or if no file can be read."""
    if not {"image_size", "color_mode"} <= set(component.space):
        return None
    declared = declared_files(component.function, component.space.check(parameters)) or []
    paths = [*dict.fromkeys(declared)]  # a file may be declared in a split and in a folder
    tables = [path for path in paths if path.suffix.lower() in PARQUET_SUFFIXES]
    images = [path for path in paths if path.is_file() and is_image(path)]
    if tables:
        count, sample = _embedded_images(tables)
        return _inspect(count, sample)
    return _inspect(len(images), _evenly(images, NUM_HEADERS))


def _inspect(count: int, sample: Sequence[Path | bytes]) -> ImageFiles | None:
    with ThreadPoolExecutor() as pool:
        headers = [header for header in pool.map(_header, sample) if header is not None]
        colors = [spread for spread in pool.map(_color, _evenly(sample, NUM_DECODED)) if spread is not None]
    if not headers or not colors:
        return None  # preparing the dataset will name the files that cannot be read
    num_grey = sum(spread < COLORED for spread in colors)
    sizes = [(header.height, header.width) for header in headers]
    is_deep = any(header.is_deep for header in headers)
    return ImageFiles(count, sizes, num_grey >= GREY_SHARE * len(colors), is_deep)


def _header(source: Path | bytes) -> Any:
    with suppress(ImageError):
        return read_header(_file(source))
    return None


def _color(source: Path | bytes) -> float | None:
    """Return the mean difference of the largest and the smallest channel; None for an unreadable image."""
    import numpy as np

    with suppress(ImageError):
        pixels = read_image(_file(source), "rgb", THUMBNAIL).astype(np.int16)
        return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())
    return None


def _file(source: Path | bytes) -> Any:
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _evenly(items: Sequence[Any], count: int) -> list[Any]:
    """Return up to `count` evenly spaced items: files are often sorted by class."""
    count = min(count, len(items))
    return [items[position * len(items) // count] for position in range(count)]


def _embedded_images(tables: Sequence[Path]) -> tuple[int, list[bytes]]:
    """Return the number of rows of Parquet and Arrow files, and the image files in the first rows of each."""
    import pyarrow as pa

    count = 0
    sample: list[bytes] = []
    for file in tables:
        with suppress(OSError, pa.ArrowInvalid):  # preparing the dataset will name the damaged file
            num_rows, first = _head(file)
            count += num_rows
            if first is not None and len(sample) < NUM_DECODED:
                sample += list(_cells(first.slice(0, NUM_DECODED)))
    return count, sample


def _head(file: Path) -> tuple[int, Any]:
    """Return the number of rows of a Parquet or Arrow file, and its first batch (None if it is empty)."""
    from pyarrow import ipc, parquet

    with file.open("rb") as content:
        start = content.read(6)
        content.seek(0)
        if start.startswith(b"PAR1"):
            table = parquet.ParquetFile(content)
            return table.metadata.num_rows, next(table.iter_batches(NUM_DECODED), None)
        if start == b"ARROW1":
            whole = ipc.open_file(content)
            batches = [whole.get_batch(number) for number in range(whole.num_record_batches)]
        else:
            batches = list(ipc.open_stream(content))
        return sum(batch.num_rows for batch in batches), next(iter(batches), None)


def _cells(batch: Any) -> Iterator[bytes]:
    """Yield the content of each image file in a batch of rows.

    The column has the content itself, or structures with the fields `bytes` and `path` (Hugging Face).
    """
    import pyarrow as pa

    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            yield from (cell["bytes"] for cell in column.to_pylist() if cell and cell["bytes"])
            return
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            yield from (cell for cell in column.to_pylist() if cell)
            return
