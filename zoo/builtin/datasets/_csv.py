"""Grey images in CSV files: a label and then every pixel, an image a line."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from zoo import Dataset, Split, ZooError, progress, reads
from zoo.builtin.datasets._files import find
from zoo.builtin.datasets._sizes import height_and_width
from zoo.builtin.datasets._splits import split_of, with_test_split

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CHUNK = 8_000_000  # characters that are held as text at once


@dataclass(frozen=True)
class _Table:
    """What one file holds: labels `(n,)` and pixels `(n, height × width)`, both `uint8`."""

    path: Path
    labels: Array
    pixels: Array
    warning: str


def _files(*, train: str, test: str | None, **_: Any) -> list[Path]:
    return [find("train", train)] + ([] if test is None else [find("test", test)])


@reads(_files)
def csv_images(
    *,
    train: str,
    test: str | None = None,
    classes: list | None = None,  # type: ignore[type-arg]
    class_names: list | None = None,  # type: ignore[type-arg]
    image_size: int | list | None = None,  # type: ignore[type-arg]
) -> Dataset:
    """Grey images in CSV files with a header `label,pixel1,…`, as Sign Language MNIST has them.

    Labels are whole numbers from 0 to 255, and so are pixels, row by row, 0 for black. Labels become
    classes in ascending order, or in that of `classes`.

    Args:
        train, test: paths of the files, from the working folder or else from `$ZOO_DATA_DIR`. Without
            `test`, a fifth of `train` becomes the test split, class by class.
        classes: only these labels, such as `[0, 1, 21]`; they become the classes 0, 1, 2.
        class_names: a name for each class, in the same order; the labels themselves by default.
        image_size: in pixels: one number for a square, or `[height, width]`; by default a square.

    Raises:
        ZooError: a file is missing or damaged, with its line and column, or a parameter does not fit it.
    """
    tables = [_read(path) for path in _files(train=train, test=test)]
    size = _image_size(image_size, tables)
    kept = _kept(classes, tables)
    splits = [_split(table, kept, size) for table in tables]
    names = _class_names(class_names, kept)
    source = " and ".join(table.path.name for table in tables)
    warning = " ".join(filter(None, (table.warning for table in tables)))
    if test is None:
        images, labels = splits[0].images, splits[0].labels
        return with_test_split(images, labels, 0.2, class_names=names, source=source, warning=warning)
    return Dataset(splits[0], test=splits[1], class_names=names, source=source, warning=warning)


def _read(path: Path) -> _Table:
    """Every row of one file; ZooError names the line and column of what is no pixel or label."""
    import numpy as np

    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            columns = _columns(path, file.readline())
            total = math.ceil(path.stat().st_size / CHUNK)
            chunks = progress(_chunks(file), f"reading {path}", total=total)
            rows = [_numbers(path, columns, first, lines) for first, lines in chunks]
            is_ended = _ends_with_a_line_break(path)
    except OSError as error:
        raise ZooError(f"{path} cannot be read: {error.strerror}.") from error
    if not rows:
        raise ZooError(f"{path} has a header, but no image below it.")
    table = np.concatenate(rows)
    cut_short = (
        f"{path} ends within line {len(table) + 1}, as a file does that was cut short: images, and "
        "digits of the last pixel, may be missing. If it is whole, end it with a line break."
    )
    return _Table(path, table[:, 0], table[:, 1:], "" if is_ended else cut_short)


def _columns(path: Path, header: str) -> list[str]:
    columns = [name.strip().strip('"') for name in header.rstrip("\n").split(",")]
    if len(columns) < 2 or columns[0].lower() != "label":
        shown = header.strip()[:40]
        raise ZooError(f"{path}: line 1: expected the header label,pixel1,…, but got {shown!r}.")
    return columns


def _chunks(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Lines, with the number of the first of them; the header was line 1."""
    first = 2
    while lines := file.readlines(CHUNK):
        yield first, lines
        first += len(lines)


def _numbers(path: Path, columns: Sequence[str], first: int, lines: Sequence[str]) -> Array:
    """The lines as `uint8`, shape `(lines, columns)`."""
    import numpy as np

    reason = "expected whole numbers from 0 to 255"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # some are: 2.0 read as 2, nothing to read
            table = np.loadtxt(lines, np.uint8, delimiter=",", comments=None, ndmin=2)
        if table.shape == (len(lines), len(columns)):
            return table
    except (ValueError, Warning) as error:
        reason = str(error)
    for number, line in enumerate(lines, start=first):
        _check_line(path, columns, number, line)
    raise ZooError(f"{path}: lines {first} to {first + len(lines) - 1}: {reason}.")


def _check_line(path: Path, columns: Sequence[str], number: int, line: str) -> None:
    cells = line.rstrip("\n").split(",")
    if len(cells) != len(columns):
        got = f"{len(cells):,}" if line.strip() else "an empty line"
        raise ZooError(f"{path}: line {number}: expected {len(columns):,} values, but got {got}.")
    for position, (column, cell) in enumerate(zip(columns, cells, strict=True), start=1):
        text = cell.strip()
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= 255):
            raise ZooError(
                f"{path}: line {number}, column {position} ({_printable(column)}): expected a whole number "
                f"from 0 to 255, but got {cell[:40]!r}."
            )


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text[:40]))


def _ends_with_a_line_break(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() in (b"\n", b"\r")


def _image_size(image_size: Any, tables: Sequence[_Table]) -> tuple[int, int]:
    first = tables[0]
    pixels = first.pixels.shape[1]
    for table in tables[1:]:
        if table.pixels.shape[1] != pixels:
            raise ZooError(
                f"{table.path}: expected images of {pixels:,} pixels as in {first.path}, "
                f"but they have {table.pixels.shape[1]:,}."
            )
    side = math.isqrt(pixels)
    if image_size is None and side * side != pixels:
        raise ZooError(
            f"{first.path}: {pixels:,} pixels are no square; "
            "say what they are with image_size = [height, width]."
        )
    size = (side, side) if image_size is None else height_and_width(image_size)
    if size[0] * size[1] != pixels:
        raise ZooError(
            f"{first.path}: {pixels:,} pixels are no image of {size[0]}×{size[1]}: change image_size."
        )
    return size


def _kept(classes: Any, tables: Sequence[_Table]) -> list[int]:
    """The labels that are kept, in the order of their classes."""
    import numpy as np

    present = np.unique(np.concatenate([table.labels for table in tables])).tolist()
    kept = present if classes is None else list(classes)
    listed = ", ".join(map(str, present))
    for label in kept:
        if type(label) is not int or label not in present:
            raise ZooError(f"classes = {kept}: {tables[0].path} has no label {label!r}. There is: {listed}.")
    if len(set(kept)) != len(kept):
        raise ZooError(f"classes = {kept}: expected each label once.")
    if len(kept) < 2:
        told = f"{tables[0].path} has only one label, {listed}" if classes is None else f"classes = {kept}"
        raise ZooError(f"{told}: expected at least two classes.")
    return kept


def _class_names(names: Any, kept: Sequence[int]) -> list[str]:
    if names is None:
        return [str(label) for label in kept]
    if len(names) != len(kept):
        labels = ", ".join(map(str, kept))
        raise ZooError(
            f"class_names: expected {len(kept)} names, one for each of the labels {labels}, "
            f"but got {len(names)}."
        )
    return [str(name) for name in names]


def _split(table: _Table, kept: Sequence[int], size: tuple[int, int]) -> Split:
    """The images whose labels are kept, and for labels their places among those."""
    import numpy as np

    chosen = np.isin(table.labels, kept)
    if not chosen.any():
        raise ZooError(f"{table.path} has no image with one of the labels {', '.join(map(str, kept))}.")
    place = np.zeros(256, np.uint8)
    place[list(kept)] = np.arange(len(kept))
    return split_of(table.pixels[chosen].reshape(-1, *size, 1), place[table.labels[chosen]])
