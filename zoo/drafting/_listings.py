"""CSV files that list image files, recognized by their first rows."""

from __future__ import annotations

import codecs
import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.data import IMAGE_SUFFIXES
from zoo.data.table_columns import LABEL_NAMES

IMAGE_NAMES = re.compile(r"(^|[^a-z])(id|im(age|g)|file|path|name|photo|picture)", re.IGNORECASE)
MAX_COLUMNS = 50  # a table with more columns contains pixels
MAX_FOLDERS = 20
MAX_BYTES = 65_536
USUAL_SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".JPG", ".tif", ".tiff", ".bmp", ".gif", ".webp")


def column_names(file: Path) -> list[str]:
    """Return the names of the columns, sorted; only their number if line 1 has numbers instead of names."""
    first = next(iter(_rows(file)), [])
    are_numbers = sum(cell.replace(".", "", 1).isdigit() for cell in first) > len(first) / 2
    return [str(len(first))] if are_numbers else sorted(first)


def find_listing(file: Path) -> dict[str, Any] | None:
    """Return the parameters of `labelled_files` for a CSV file; None if its rows name no image files."""
    rows = _rows(file)
    if not rows or len(rows[0]) > MAX_COLUMNS:
        return None
    header, first = rows[0], rows[1] if len(rows) > 1 else rows[0]
    for position, cell in enumerate(first):
        name = header[position] if position < len(header) else ""
        image = _image_parameters(file, cell, IMAGE_NAMES.search(name) is not None)
        if image is not None:
            return {**_columns(header, position), **image}
    return None


def has_label(listing: dict[str, Any] | None) -> bool:
    """Return True if a listing exists and the column with the labels is known."""
    return listing is not None and ("label_column" in listing or "header" in listing)


def _columns(header: list[str], position: int) -> dict[str, Any]:
    """Return the parameters that name the columns of images and labels."""
    cell = header[position] if position < len(header) else ""
    if cell.lower().endswith(IMAGE_SUFFIXES):
        return {"image_column": position, "header": False}
    others = [name for name in header if name != cell]
    usual = [name for label in LABEL_NAMES for name in others if name.lower() == label]
    labels = usual[:1] or (others if len(others) == 1 else [])
    return {"image_column": cell, **({"label_column": labels[0]} if labels else {})}


def _image_parameters(file: Path, cell: str, may_lack_suffix: bool) -> dict[str, str] | None:
    """Return the parameters with which a cell gives the path of an image; None if the cell names no image.

    The image is searched beside the CSV file and in the folders there.

    Args:
        may_lack_suffix: the cell may name `3.png` as `3`. This needs a column with a usual name for images:
            the label 3 in a table of pixels is not the image `3.png`.
    """
    name = cell.strip().replace("\\", "/")
    if not name or len(name) > 255 or "\0" in name:
        return None
    suffixes = USUAL_SUFFIXES if may_lack_suffix else USUAL_SUFFIXES[:1]
    for folder, suffix in itertools.product(_folders(file.parent), suffixes):
        path = file.parent / folder / f"{name}{suffix}"
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            parameters = {"folder": folder, "suffix": suffix}
            return {key: value for key, value in parameters.items() if value}
    # Preparing the dataset will name a missing image.
    return {} if name.lower().endswith(IMAGE_SUFFIXES) else None


def _folders(parent: Path) -> Iterator[str]:
    yield ""
    folders = (one.name for one in sorted(parent.iterdir()) if one.is_dir() and not one.name.startswith("."))
    yield from itertools.islice(folders, MAX_FOLDERS)


def _rows(file: Path) -> list[list[str]]:
    """Return the first rows of a CSV file; [] if it cannot be read (preparing the dataset says why)."""
    try:
        with file.open("rb") as content:
            start = content.read(MAX_BYTES)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(file) as content:
                start = content.read(MAX_BYTES)
    except (OSError, EOFError, zlib.error):
        return []
    is_utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = start.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    lines = [line for line in text.splitlines()[:4] if not line.startswith("sep=")]
    if not lines:
        return []
    separator = max(",;\t|", key=lines[0].count)
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    return [[cell.strip() for cell in row] for row in rows]
