"""Parquet and Arrow files with one image per row, such as those of Hugging Face."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zoo import (
    SPLIT_WORDS,
    Choice,
    Dataset,
    ImageDecoder,
    Int,
    Table,
    ZooError,
    height_and_width,
    progress,
    read_tables,
    reads,
)
from zoo.builtin._common import reason_of
from zoo.builtin.datasets._common import completed, find_path, group_column

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SUFFIXES = (".parquet", ".pq", ".arrow", ".feather")
CELLS_PER_CHUNK = 4_000_000


def _split_paths(train: str, validation: str | None, test: str | None) -> dict[str, Path]:
    """Return the file or folder of each split; a folder that `save_to_disk` wrote has all splits."""
    given = {"train": train, "validation": validation, "test": test}
    paths = {split: find_path(split, path) for split, path in given.items() if path is not None}
    root = paths["train"]
    if len(paths) == 1 and root.is_dir() and not _data_files(root):
        inner = {path.name: path for path in root.iterdir() if path.is_dir() and _data_files(path)}
        found = {split: [name for name in names if name in inner] for split, names in SPLIT_WORDS.items()}
        paths |= {split: inner[names[0]] for split, names in found.items() if names}
    return paths


def _data_files(path: Path) -> list[Path]:
    """Return the files of a split: the file itself, or the files in the folder, sorted."""
    if path.is_file():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if special := [file for file in files if file.exists() and not (file.is_file() or file.is_dir())]:
        raise ZooError(f"{special[0]} is a pipe, a socket or a device, not a file. Remove it.")
    return files


def _files(*, train: str, validation: str | None, test: str | None, **_: Any) -> Iterator[Path]:
    for path in _split_paths(train, validation, test).values():
        yield path
        yield from _data_files(path)


@reads(_files)
def parquet_images(
    *,
    train: str,
    validation: str | None = None,
    test: str | None = None,
    classes: list | None = None,  # type: ignore[type-arg]
    class_names: list | None = None,  # type: ignore[type-arg]
    label_column: str | int | None = None,
    drop_columns: list | None = None,  # type: ignore[type-arg]
    image_size: int | list | None = None,  # type: ignore[type-arg]
    image_shape: list | None = None,  # type: ignore[type-arg]
    channels_first: bool = False,
    scale: float | None = None,
    color_mode: Annotated[str, Choice("rgb", "grayscale")] = "rgb",
    background: str = "white",
    bit_depth: Annotated[int, Int(9, 16)] = 16,
    group: str | None = None,
) -> Dataset:
    """Images in Parquet or Arrow files, such as those of Hugging Face.

    If a column has image files (bytes, or Hugging Face's `bytes` and `path`), they are decoded. Otherwise
    every column has a pixel, or one column has all pixels of an image, as in `csv_images`.

    Args:
        train, validation, test: paths of the files, or of folders with several files, in the working folder
            or in `$ZOO_DATA_DIR`. `train` may be a folder with a folder for each split. Without `test`, one
            fifth of each class of `train` becomes the test split.
        classes: use only these labels; they become classes in this order.
        class_names: a name for each class; by default the names in the file, or the labels.
        label_column: name or position of the label column; by default `label`, `class`, `target` or `y`.
        drop_columns: names or positions of other columns, if columns have pixels.
        image_size: one number for a square, or `[height, width]`, in pixels. Image files are scaled to it.
        image_shape: `[height, width]` or `[height, width, channels]` of images in columns of pixels.
        channels_first: the pixels in columns are stored channel by channel: all red ones first.
        scale: factor that gives pixels in columns from 0 to 255, such as 255 for values from 0 to 1.
        color_mode: convert image files to `rgb`, or to `grayscale` with one channel.
        background: the color behind transparent pixels of image files: a name or `#rrggbb`.
        bit_depth: number of bits that files with more than 8 bits per pixel use: 12 if 4095 is white.
        group: a column; images with equal values stay in one split when zoo cuts the test split.

    Raises:
        ZooError: a file is missing or damaged, or a parameter does not fit it.
    """
    paths = _split_paths(train, validation, test)
    options: dict[str, Any] = {"label_column": label_column, "classes": classes}
    options["class_names"] = class_names
    image_column = _image_column(paths["train"])
    if image_column is not None:
        decoder = ImageDecoder(image_size, color_mode, background, bit_depth)
        dataset, warnings = _decoded(paths, image_column, decoder, options)
    else:
        if image_size is not None:
            options["image_size"] = height_and_width(image_size)
        options["drop_columns"] = [*(drop_columns or ()), *group_column(_table(paths["train"]), group)]
        pixels = {"image_shape": image_shape, "channels_first": channels_first, "scale": scale}
        dataset, warnings = _read(paths, {**options, **pixels}), []
    is_expanded = test is None and "test" in paths
    names = [find_path("train", train).name] if is_expanded else [path.name for path in paths.values()]
    return completed(dataset, names, [*warnings, dataset.warning], group)


def _decoded(
    paths: Mapping[str, Path], image_column: str, decoder: ImageDecoder, options: dict[str, Any]
) -> tuple[Dataset, list[str]]:
    """Return the dataset of tables with a column of image files, and warnings about the images."""
    root = paths["train"]
    warnings: list[str] = []

    def decode(cells: Sequence[Any]) -> Any:
        names = [f"image {number}" for number in range(1, len(cells) + 1)]
        contents = [_content(cell, root) for cell in cells]
        images = decoder.decode(root, contents, names)
        warnings.append(decoder.warning(root, images, contents, names))
        return images

    return _read(paths, {**options, "image_column": image_column, "decode": decode}), warnings


def _read(paths: Mapping[str, Path], options: dict[str, Any]) -> Dataset:
    tables: dict[str, Any] = {split: _table(path) for split, path in paths.items()}
    return read_tables(tables.pop("train"), **tables, **options)


def _table(path: Path) -> Table:
    """Return the files of a split as one table."""
    schema = _schema(path)
    return Table(
        name=str(path),
        columns=schema.names,
        chunks=lambda text_columns: _chunks(path),
        cell=lambda row, column: _cell(path, row, column),
        label_names=_label_names(schema),
    )


def _schema(path: Path) -> pa.Schema:
    if not _data_files(path):
        raise ZooError(f"{path} has no file that ends in {', '.join(SUFFIXES)}. Correct the path.")
    return next(_batches(_data_files(path)[0], 1)).schema


def _chunks(path: Path) -> Iterator[pd.DataFrame]:
    names = _schema(path).names
    files = _data_files(path)
    for file in progress(files, f"reading {path}"):
        for batch in _batches(file, max(1, CELLS_PER_CHUNK // max(len(names), 1))):
            if batch.schema.names != names:
                raise ZooError(f"{file}: expected the columns of {files[0]}. Remove one of the files.")
            frame = batch.to_pandas(ignore_metadata=True)  # metadata may make a column the index
            frame.columns = range(len(names))
            if len(frame):
                yield frame


def _batches(file: Path, size: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows of a Parquet or Arrow file; the first batch is empty and has the columns."""
    import pyarrow as pa
    from pyarrow import ipc, parquet

    try:
        with file.open("rb") as content:
            start = content.read(6)
            content.seek(0)
            if start.startswith(b"PAR1"):
                table = parquet.ParquetFile(content)
                yield _empty(table.schema_arrow)
                yield from table.iter_batches(size)
            elif start == b"ARROW1":
                whole = ipc.open_file(content)
                yield _empty(whole.schema)
                yield from (whole.get_batch(number) for number in range(whole.num_record_batches))
            else:
                stream = ipc.open_stream(content)
                yield _empty(stream.schema)
                yield from stream
    except OSError as error:
        if error.strerror:
            raise ZooError(f"{file} cannot be read: {error.strerror}. Correct its permissions.") from error
        raise ZooError(f"{file} is damaged ({reason_of(error)}). Replace it.") from error
    except pa.ArrowInvalid as error:
        raise ZooError(
            f"{file} is no Parquet or Arrow file, or is damaged ({reason_of(error)}). Replace it."
        ) from error


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)


def _cell(path: Path, row: int, column: int) -> tuple[str, str]:
    start = 0
    for frame in _chunks(path):
        if row < start + len(frame):
            name = _schema(path).names[column]
            return f"row {row + 1}, column {name[:40]!r}", str(frame.iat[row - start, column])
        start += len(frame)
    raise IndexError(row)


def _image_column(path: Path) -> str | None:
    """Return the name of the column with image files; None if there is none."""
    import pyarrow as pa

    for field in _schema(path):
        kind = field.type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return str(field.name)
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return str(field.name)
    return None


def _content(cell: Any, path: Path) -> bytes | Path:
    """Return the content of an image file, or its path if the table has only that."""
    if isinstance(cell, dict):
        folder = path if path.is_dir() else path.parent
        return cell["bytes"] if cell["bytes"] is not None else folder / str(cell.get("path"))
    return cell if isinstance(cell, bytes) else b""


def _label_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of labels that Hugging Face's library writes into its files."""
    text = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(text).get("info", {}).get("features", {}) if text else {}
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("names")
    }
