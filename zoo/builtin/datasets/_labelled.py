"""Image files that a table lists with their labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from zoo import IMAGE_SUFFIXES, Choice, Dataset, ImageDecoder, Int, Table, ZooError, read_tables, reads
from zoo.builtin.datasets._common import completed, find_path, table_paths
from zoo.builtin.datasets._csv_file import csv_table, truncation_warning

PATH_NAMES = (
    *("path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image", "image_path", "image_file", "img", "img_path", "image_id", "id"),
)


class _Listing:
    """One or two tables of image files, and the folders of the files."""

    def __init__(
        self,
        train: str,
        test: str | None,
        folder: str | None,
        image_column: str | int | None,
        label_column: str | int | None,
        suffix: str,
        header: bool,
        separator: str | None,
        encoding: str | None,
        **_: Any,  # parameters without influence on the files that are read
    ) -> None:
        self.paths = table_paths(train, test)
        self.roots = [path.parent for path in self.paths]
        if folder is not None:
            self.roots = [find_path("folder", folder)]
        self.tables = [csv_table(path, header, separator, encoding, label_column) for path in self.paths]
        self.image_column = _image_column(self.tables[0]) if image_column is None else image_column
        self.label_column = label_column
        if label_column is None and not any(self.tables[0].columns):
            self.label_column = 1 if self.image_column == 0 else 0
        self._suffix = suffix

    def file(self, cell: str) -> Path:
        """Return the file that a cell names; the first possible one if none exists."""
        name = f"{cell.strip()}{self._suffix}"
        candidates = [root / form for form in (name, name.replace("\\", "/")) for root in self.roots]
        return next((path for path in candidates if path.exists()), candidates[0])

    def cells(self) -> Iterator[str]:
        for table in self.tables:
            position = self.image_column
            if isinstance(position, str):
                lower = [name.lower() for name in table.columns]
                position = lower.index(position.lower()) if position.lower() in lower else len(lower)
            if position < len(table.columns):  # else `read_tables` raises the error
                for frame in table.chunks([*range(len(table.columns))]):
                    yield from frame.iloc[:, position]


def _files(**parameters: Any) -> Iterator[Path]:
    listing = _Listing(**parameters)
    yield from listing.paths
    yield from map(listing.file, listing.cells())


@reads(_files)
def labelled_files(
    *,
    train: str,
    test: str | None = None,
    folder: str | None = None,
    image_column: str | int | None = None,
    label_column: str | int | None = None,
    suffix: str = "",
    classes: list | None = None,  # type: ignore[type-arg]
    class_names: list | None = None,  # type: ignore[type-arg]
    image_size: int | list | None = None,  # type: ignore[type-arg]
    color_mode: Annotated[str, Choice("rgb", "grayscale")] = "rgb",
    background: str = "white",
    bit_depth: Annotated[int, Int(9, 16)] = 16,
    header: bool = True,
    separator: str | None = None,
    encoding: str | None = None,
    group: str | None = None,
) -> Dataset:
    """Image files that a CSV file lists with their labels: `path,label`.

    Labels are integers or text; they become classes in ascending or natural order, or in the order of
    `classes`. Images are read as by `image_folder`.

    Args:
        train, test: paths of the CSV files, in the working folder or in `$ZOO_DATA_DIR`. Without `test`, one
            fifth of each class of `train` becomes the test split.
        folder: the start of the paths in the CSV files; by default the folder of the CSV file.
        image_column: name or position of the column with the paths; by default `path`, `file`, `filename`,
            `image`, `id` or a similar name, or the first column whose cells end like image files.
        label_column: name or position of the column with the label; by default `label`, `class`, `target` or
            `y`.
        suffix: text that is added to every path, such as `.png` for names without it.
        classes: use only these labels.
        class_names: a name for each class, in the same order; the labels themselves by default.
        image_size: scale every image to this size, in pixels: one number for a square, or
            `[height, width]`; the aspect ratio is not kept. Without it, all images must have one size.
        color_mode: convert images to `rgb`, or to `grayscale` with one channel.
        background: the color behind transparent pixels: a name or `#rrggbb`.
        bit_depth: number of bits that images with more than 8 bits per pixel use: 12 if 4095 is white.
        header: whether line 1 of the CSV files has the names of the columns.
        separator: the character between two values; by default found from the first lines.
        encoding: the encoding of the CSV files, such as `cp1252`; UTF-8 by default.
        group: name of a column, or a regular expression for the paths with a group in parentheses. Images of
            one group stay in one split when zoo cuts the test split.

    Raises:
        ZooError: a file is missing or damaged, or a parameter does not fit the files.
    """
    listing = _Listing(train, test, folder, image_column, label_column, suffix, header, separator, encoding)
    decoder = ImageDecoder(image_size, color_mode, background, bit_depth)
    return _dataset(listing, decoder, classes, class_names, group)


def _dataset(
    listing: _Listing,
    decoder: ImageDecoder,
    classes: list[Any] | None,
    class_names: list[str] | None,
    group: str | None,
) -> Dataset:
    root, warnings = listing.roots[0], [truncation_warning(path) for path in listing.paths]

    def decode(cells: Sequence[str]) -> Any:
        files = [listing.file(cell) for cell in cells]
        if not any(file.exists() for file in files):
            raise ZooError(
                f"{listing.tables[0].name}: none of the {len(files):,} listed files exists, such as "
                f"{files[0]}. Set folder to the folder in which the paths start, or suffix to what they "
                "lack, such as '.png'."
            )
        images = decoder.decode(root, files, cells)
        warnings.append(decoder.warning(root, images, files, cells))
        return images

    dataset = read_tables(
        *listing.tables,
        label_column=listing.label_column,
        classes=classes,
        class_names=class_names,
        image_column=listing.image_column,
        decode=decode,
    )
    splits: dict[str, Any] = {}
    for name, split in dataset.splits().items():
        sizes = decoder.original_sizes([listing.file(cell) for cell in split.names])
        splits[name] = replace(split, columns={**split.columns, **sizes})
    dataset = replace(dataset, **splits)
    return completed(dataset, [path.name for path in listing.paths], [*warnings, dataset.warning], group)


def _image_column(table: Table) -> str | int:
    """Return the column with the paths, by its name or by the content of the first rows."""
    lower, listed = [name.lower() for name in table.columns], ", ".join(table.columns)[:80]
    for name in PATH_NAMES:
        if name in lower:
            return lower.index(name)
    if any(name.endswith(IMAGE_SUFFIXES) for name in lower):
        raise ZooError(
            f"{table.name}: line 1: expected the names of the columns, got {listed!r}. "
            "Set header = false if line 1 lists an image.",
            fix={"header": False},
        )
    for frame in itertools.islice(table.chunks([*range(len(lower))]), 1):
        for position in range(len(lower)):
            if str(frame.iat[0, position]).lower().endswith(IMAGE_SUFFIXES):
                return position
    raise ZooError(
        f"{table.name}: expected a column path with image files, got {listed!r}. Set "
        "image_column to the name or position of the column with the paths."
    )
