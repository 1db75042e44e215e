"""Grey images in CSV files: one image per line, its label first and then its pixels."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from zoo import Dataset, Split, ZooError, progress, reads
from zoo.builtin._common import reason_of
from zoo.builtin.datasets._common import find_path, height_and_width, with_test_split

if TYPE_CHECKING:
    from zoo.builtin.datasets._common import Array


@dataclass(frozen=True)
class _Table:
    """The content of one file: labels `(n,)` and pixels `(n, height × width)`, both `uint8`."""

    path: Path
    labels: Array
    pixels: Array
    warning: str


def _files(*, train: str, test: str | None, **_: Any) -> list[Path]:
    return [find_path("train", train)] + ([] if test is None else [find_path("test", test)])


@reads(_files)
def csv_images(
    *,
    train: str,
    test: str | None = None,
    classes: list | None = None,  # type: ignore[type-arg]
    class_names: list | None = None,  # type: ignore[type-arg]
    image_size: int | list | None = None,  # type: ignore[type-arg]
) -> Dataset:
    """Grey images in CSV files with a header `label,pixel1,…`, such as Sign Language MNIST.

    Labels and pixels are integers from 0 to 255; pixels are row by row, 0 is black. Labels become classes
    in ascending order, or in the order of `classes`.

    Args:
        train, test: paths of the files, in the working folder or in `$ZOO_DATA_DIR`. Without `test`, one
            fifth of each class of `train` becomes the test split.
        classes: use only these labels, such as `[0, 1, 21]`; they become the classes 0, 1, 2.
        class_names: a name for each class, in the same order; the labels themselves by default.
        image_size: one number for a square, or `[height, width]`, in pixels; a square by default.

    Raises:
        ZooError: a file is missing or damaged (with line and column), or a parameter does not fit it.
    """
    tables = [_read(path) for path in _files(train=train, test=test)]
    size = _image_size(image_size, tables)
    labels = _labels_of_classes(classes, tables)
    names = labels if class_names is None else class_names
    if len(names) != len(labels):
        raise ZooError(
            f"class_names: expected {len(labels)} names, one for each of the labels {_label_text(labels)}; "
            f"got {len(names)}."
        )
    splits = [_split(table, labels, size) for table in tables]
    facts: dict[str, Any] = {
        "class_names": [str(name) for name in names],
        "source": " and ".join(table.path.name for table in tables),
        "warning": " ".join(table.warning for table in tables if table.warning),
    }
    if test is None:
        return with_test_split(splits[0].images, splits[0].labels, 0.2, **facts)
    return Dataset(splits[0], test=splits[1], **facts)


def _read(path: Path) -> _Table:
    """Return the content of one file; raise ZooError with line and column if the file is damaged."""
    import numpy as np

    # Not pandas.read_csv: it takes longer (2 times with 784 columns, 10 times with 22,500), needs more
    # memory, and accepts 2.0 and 1e2, which are no integers.
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file, warnings.catch_warnings():
            warnings.simplefilter("error")  # for 2.0, and for a file without rows, NumPy only warns
            columns = _columns(path, file.readline())
            table = np.loadtxt(_rows(path, file), np.uint8, delimiter=",", comments=None, ndmin=2)
        with path.open("rb") as content:
            content.seek(-1, os.SEEK_END)
            has_last_break = content.read() in (b"\n", b"\r")
    except OSError as error:
        raise ZooError(
            f"{path} cannot be read: {error.strerror}. Correct the path, or its permissions."
        ) from error
    except (ValueError, Warning) as error:
        _check_lines(path)
        raise ZooError(
            f"{path} has no readable image ({reason_of(error)}); "
            "expected one line per image below the header."
        ) from None
    if table.shape[1] != len(columns):
        _check_lines(path)
    truncated = (
        f"{path} has no line break after line {len(table) + 1}: it may be truncated. Images, or "
        "digits of the last pixel, may be missing. If the file is complete, add a line break at its end."
    )
    return _Table(path, table[:, 0], table[:, 1:], "" if has_last_break else truncated)


def _columns(path: Path, header: str) -> list[str]:
    columns = [name.strip().strip('"') for name in header.rstrip("\n").split(",")]
    if len(columns) < 2 or columns[0].lower() != "label":
        raise ZooError(f"{path}: line 1: expected the header label,pixel1,…, got {header.strip()[:40]!r}.")
    return columns


def _rows(path: Path, file: TextIO) -> Iterator[str]:
    """Yield the lines after the header; raise ZooError for a blank line, which NumPy would skip."""
    first = file.readline()
    num_rows = path.stat().st_size // max(len(first), 1)  # rows have about the same length
    rows = itertools.chain([first] if first else [], file)
    for number, line in enumerate(progress(rows, f"reading {path}", total=num_rows), start=2):
        if not line.strip():
            raise ZooError(f"{path}: line {number} is blank; expected an image. Remove the line.")
        yield line


def _check_lines(path: Path) -> None:
    """Raise ZooError with the number of the first damaged line, which NumPy's errors do not contain."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        columns = _columns(path, file.readline())
        for number, line in enumerate(file, start=2):
            cells = line.rstrip("\n").split(",")
            if len(cells) != len(columns):
                raise ZooError(
                    f"{path}: line {number}: expected {len(columns):,} values, got {len(cells):,}."
                )
            for position, (column, cell) in enumerate(zip(columns, cells, strict=True), start=1):
                text = cell.strip()
                if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= 255):
                    raise ZooError(
                        f"{path}: line {number}, column {position} ({column[:40]!r}): expected an integer "
                        f"from 0 to 255, got {cell[:40]!r}."
                    )


def _image_size(image_size: Any, tables: Sequence[_Table]) -> tuple[int, int]:
    """Return height and width in pixels; raise ZooError if they do not fit the images of all tables."""
    first, last = tables[0], tables[-1]
    pixels = first.pixels.shape[1]
    if last.pixels.shape[1] != pixels:
        raise ZooError(
            f"{last.path}: expected images of {pixels:,} pixels as in {first.path}, "
            f"got {last.pixels.shape[1]:,}."
        )
    side = math.isqrt(pixels)
    if image_size is None and side * side != pixels:
        raise ZooError(f"{first.path}: {pixels:,} pixels are not a square. Set image_size = [height, width].")
    height, width = (side, side) if image_size is None else height_and_width(image_size)
    if height * width != pixels:
        raise ZooError(
            f"{first.path}: image_size = {height}×{width} does not fit images of {pixels:,} pixels. "
            f"Set a height and a width whose product is {pixels:,}."
        )
    return height, width


def _labels_of_classes(classes: Any, tables: Sequence[_Table]) -> list[int]:
    """Return the label of each class, in the order of the classes."""
    import numpy as np

    present = np.unique(np.concatenate([table.labels for table in tables])).tolist()
    labels = present if classes is None else list(classes)
    where = tables[0].path if classes is None else f"classes = {labels}"
    for label in labels:
        if type(label) is not int or label not in present:
            raise ZooError(
                f"{where}: {tables[0].path} has no label {label!r}. Available: {_label_text(present)}."
            )
    if len(set(labels)) != len(labels):
        raise ZooError(f"{where}: expected each label once. Remove the repeated labels.")
    if len(labels) < 2:
        raise ZooError(f"{where}: expected at least two labels, got {_label_text(labels) or 'none'}.")
    return labels


def _split(table: _Table, labels: Sequence[int], size: tuple[int, int]) -> Split:
    """Return the images with these labels; their class is the position of their label in `labels`."""
    import numpy as np

    is_used = np.isin(table.labels, labels)
    if not is_used.any():
        raise ZooError(f"{table.path} has no image with one of the labels {_label_text(labels)}. Add some.")
    class_of_label = np.zeros(256, np.int64)
    class_of_label[list(labels)] = np.arange(len(labels))
    return Split(table.pixels[is_used].reshape(-1, *size, 1), class_of_label[table.labels[is_used]])


def _label_text(labels: Sequence[int]) -> str:
    return ", ".join(map(str, labels))
