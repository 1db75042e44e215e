"""Datasets from data frames of pandas: a row is an image, in one column or in pixel columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.arrays import to_images
from zoo.data.dataset import Dataset
from zoo.data.decoding import ImageDecoder, height_and_width
from zoo.data.images import IMAGE_SUFFIXES
from zoo.data.table_columns import column_position
from zoo.data.table_pixels import dark_warning
from zoo.data.tables import Table, read_tables
from zoo.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]
ROWS_AT_ONCE = 4096  # rows of pixel columns


def dataset_of_frames(
    train: Any,
    validation: Any,
    test: Any,
    image_column: str | int | None,
    image_size: int | Sequence[int] | None,
    scale: float | None,
    folder: str | os.PathLike[str] | None,
    color_mode: str,
    background: str,
    bit_depth: int,
    source: str,
    licence: str,
    **options: Any,
) -> Dataset:
    """Return data frames as a dataset; see `zoo.Dataset.from_frame`.

    `options` are other arguments of `read_tables`.
    """
    frames = {"train": train, "validation": validation, "test": test}
    given = {split: frame for split, frame in frames.items() if frame is not None or split == "train"}
    for split, frame in given.items():
        if not (hasattr(frame, "iloc") and hasattr(frame, "columns")):
            raise DataError(f"{split}: expected a pandas DataFrame, got {type(frame).__name__}.")
    column = _image_column(given["train"], image_column)
    tables = {split: _table(split, frame, column) for split, frame in given.items()}
    warnings: list[str] = []
    if column is not None:
        root = Path.cwd() if folder is None else Path(folder)
        decoder = ImageDecoder(image_size, color_mode, background, bit_depth)
        decode = partial(_decode, decoder=decoder, root=root, scale=scale, warnings=warnings)
        options |= {"image_column": column, "decode": decode}
    else:
        size = None if image_size is None else height_and_width(image_size)
        options |= {"scale": scale, "image_size": size}
    dataset = read_tables(tables["train"], tables.get("test"), validation=tables.get("validation"), **options)
    warning = " ".join(filter(None, [*warnings, dataset.warning]))
    return replace(dataset, source=source, licence=licence, warning=warning)


def _image_column(frame: pd.DataFrame, given: str | int | None) -> int | None:
    """Return the position of the column with images or image files; None if there is none."""
    names = list(map(str, frame.columns))
    if given is not None:
        return column_position("frame", names, given, "image_column")
    if not len(frame):
        return None
    return next((position for position in range(len(names)) if _is_image(frame.iat[0, position])), None)


def _is_image(cell: Any) -> bool:
    if isinstance(cell, str | os.PathLike):
        return os.fspath(cell).lower().endswith(IMAGE_SUFFIXES)
    is_file = isinstance(cell, bytes) or (isinstance(cell, dict) and ("bytes" in cell or "path" in cell))
    return is_file or _is_pillow(cell) or _has_rows(cell)


def _is_pillow(cell: Any) -> bool:
    return hasattr(cell, "convert") and hasattr(cell, "size")


def _has_rows(cell: Any) -> bool:
    """Return True for an array with more than one dimension, and for a list of lists."""
    if hasattr(cell, "shape"):
        return len(cell.shape) > 1
    return isinstance(cell, list | tuple) and bool(cell) and hasattr(cell[0], "__len__")


def _table(split: str, frame: pd.DataFrame, image_column: int | None) -> Table:
    name = "frame" if split == "train" else f"{split} frame"
    names = [str(column) for column in frame.columns]

    def chunks(text_columns: Sequence[int]) -> Iterator[pd.DataFrame]:
        for start in range(0, len(frame), ROWS_AT_ONCE):
            rows = frame.iloc[start : start + ROWS_AT_ONCE]
            if image_column is not None and image_column < len(names):
                cells = [_file_of(cell) for cell in rows.iloc[:, image_column]]
                rows = rows.copy(deep=False)
                rows.isetitem(image_column, _objects(cells))
            yield rows

    def cell(row: int, column: int) -> tuple[str, str]:
        return f"row {row + 1}, column {names[column]!r}", str(frame.iat[row, column])

    return Table(name=name, columns=names, chunks=chunks, cell=cell)


def _file_of(cell: Any) -> Any:
    """Return a path as text; for a dict of Hugging Face's datasets, the content or the path in it."""
    if isinstance(cell, dict) and cell.get("bytes") is not None:
        return cell["bytes"]
    cell = cell.get("path") if isinstance(cell, dict) else cell
    return os.fspath(cell) if isinstance(cell, os.PathLike) else cell


def _objects(cells: Sequence[Any]) -> Array:
    """Return an array with one object per cell; `numpy.array` would make arrays of them."""
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def _decode(
    cells: Sequence[Any],
    decoder: ImageDecoder,
    root: Path,
    scale: float | None,
    warnings: list[str],
) -> Array:
    """Return the images of the cells of one column: paths, contents of files, images of Pillow, or arrays."""
    kinds = [_kind(cell) for cell in cells]
    for row, kind in enumerate(kinds):
        if kind != kinds[0] or not kind:
            got = f"{cells[row]!r:.40}"
            raise DataError(
                f"frame: row {row + 1}: expected {kinds[0] or 'an image or its path'}, got {got}."
            )
    if kinds[0] == "an array":
        images = _stack(cells, decoder, scale)
        warnings.append(dark_warning("the frame", images) if scale is None else "")
        return images
    are_paths = kinds[0] == "a path"
    sources = [root / cell for cell in cells] if are_paths else list(cells)
    where, names = (
        (root, cells) if are_paths else (Path("frame"), [f"row {row}" for row in range(1, len(cells) + 1)])
    )
    images = decoder.decode(where, sources, names)
    warnings.append(decoder.warning(where, images, sources, names))
    return images


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "a path" if cell.strip() else ""
    if isinstance(cell, bytes):
        return "the content of a file"
    if _is_pillow(cell):
        return "an image of Pillow"
    return "an array" if _has_rows(cell) else ""


def _stack(cells: Sequence[Any], decoder: ImageDecoder, scale: float | None) -> Array:
    """Return arrays of equal shape as one array of images."""
    if decoder.image_size is not None:
        raise DataError("image_size: arrays are not resized. Leave it out, or resize them.")
    images: Array = np.empty(0, np.uint8)
    for row, cell in enumerate(cells):
        image = to_images(np.asarray(cell)[None], f"frame: row {row + 1}", scale)[0]
        if not row:
            images = np.empty((len(cells), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise DataError(
                f"frame: row {row + 1}: expected the shape {images.shape[1:]} as in row 1, got {image.shape}."
            )
        images[row] = image
    return images
