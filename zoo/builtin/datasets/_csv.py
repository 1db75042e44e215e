"""CSV files with one image per line: its label, and its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo import Dataset, height_and_width, read_tables, reads
from zoo.builtin.datasets._common import completed, group_column, table_paths
from zoo.builtin.datasets._csv_file import csv_table, truncation_warning


def _files(*, train: str, test: str | None, **_: Any) -> list[Path]:
    return table_paths(train, test)


@reads(_files)
def csv_images(
    *,
    train: str,
    test: str | None = None,
    classes: list | None = None,  # type: ignore[type-arg]
    class_names: list | None = None,  # type: ignore[type-arg]
    image_size: int | list | None = None,  # type: ignore[type-arg]
    image_shape: list | None = None,  # type: ignore[type-arg]
    channels_first: bool = False,
    label_column: str | int | None = None,
    drop_columns: list | None = None,  # type: ignore[type-arg]
    scale: float | None = None,
    header: bool = True,
    separator: str | None = None,
    encoding: str | None = None,
    group: str | None = None,
) -> Dataset:
    """Images in CSV files with one image per line, such as Sign Language MNIST.

    Every column has one pixel, except the label column and index columns. Pixels are integers from 0 (black)
    to 255, row by row. Labels are integers or text; they become classes in ascending or natural order, or in
    the order of `classes`.

    Args:
        train, test: paths of the files, in the working folder or in `$ZOO_DATA_DIR`. Without `test`, one
            fifth of each class of `train` becomes the test split.
        classes: use only these labels, such as `[0, 1, 21]`; they become the classes 0, 1, 2.
        class_names: a name for each class, in the same order; the labels themselves by default.
        image_size: one number for a square, or `[height, width]`, in pixels; a square by default.
        image_shape: `[height, width]` or `[height, width, channels]`, if the number of pixels is ambiguous.
        label_column: name or position (0 is the first, -1 the last) of the column with the label; by default
            `label`, `class`, `target` or `y`, and the first column without a header.
        drop_columns: names or positions of other columns without pixels.
        channels_first: the pixels in columns are stored channel by channel: all red ones first.
        scale: factor that gives pixels from 0 to 255, such as 255 for values from 0 to 1.
        header: whether line 1 has the names of the columns.
        separator: the character between two values; by default found from the first lines.
        encoding: the encoding of the text, such as `cp1252`; UTF-8 by default.
        group: a column without pixels; images with equal values stay together when zoo cuts a test split.

    Raises:
        ZooError: a file is missing or damaged (with line and column), or a parameter does not fit it.
    """
    paths = table_paths(train, test)
    tables = [csv_table(path, header, separator, encoding, label_column) for path in paths]
    dataset = read_tables(
        *tables,
        label_column=label_column,
        drop_columns=[*(drop_columns or ()), *group_column(tables[0], group)],
        classes=classes,
        class_names=class_names,
        image_size=None if image_size is None else height_and_width(image_size),
        image_shape=image_shape,
        channels_first=channels_first,
        scale=scale,
    )
    warnings = [*map(truncation_warning, paths), dataset.warning]
    return completed(dataset, [path.name for path in paths], warnings, group)
