"""Images in tables: a row is an image, with its label in one column and its pixels in the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zoo.data.class_names import class_text
from zoo.data.dataset import SPLITS, Dataset, Split
from zoo.data.table_columns import (
    Columns,
    column_position,
    drop_hint,
    find_columns,
    label_key,
    label_position,
    other_column,
)
from zoo.data.table_pixels import (
    CellError,
    alpha_warning,
    channel_warning,
    check_scale,
    dark_warning,
    image_shape_of,
    numbers_of,
    scale_hint,
    to_pixels,
    usual_scale,
    with_shape,
)
from zoo.data.table_splits import row_splits
from zoo.errors import ZooError, listed

if TYPE_CHECKING:
    import pandas as pd

    from zoo.data.dataset import Array

    Label = int | str

MAX_LISTED = 100
INTEGER = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)
FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """A table with one image per row.

    Args:
        name: the name in messages, such as the path of a file.
        columns: names of the columns; "" for a column without a name.
        chunks: returns the rows as data frames, in order and with these columns; takes the positions of the
            columns to read as text.
        cell: takes row and column of a cell, from 0; returns its place and text for an error message.
        label_names: the names of the labels 0, 1, 2 … by column, if the table has them.
    """

    name: str
    columns: Sequence[str]
    chunks: Callable[[Sequence[int]], Iterable[pd.DataFrame]]
    cell: Callable[[int, int], tuple[str, str]]
    label_names: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Images:
    """The content of a table.

    The labels of `split` are integers or text, `(n,)`. Its images are pixels, `(n, …)`, or the cells of the
    image column until these are decoded.
    """

    table: Table
    label: int  # position of the column
    pixel_names: list[str]
    split: Split
    warning: str
    is_decoded: bool = False  # decoded from image files; the decoder gives the warnings


def read_tables(
    train: Table,
    test: Table | None = None,
    *,
    validation: Table | None = None,
    label_column: str | int | None = None,
    drop_columns: Sequence[str | int] = (),
    classes: Sequence[Label] | None = None,
    class_names: Sequence[str] | None = None,
    image_size: tuple[int, int] | None = None,
    image_shape: Sequence[int] | None = None,
    channels_first: bool = False,
    scale: float | None = None,
    image_column: str | int | None = None,
    decode: Callable[[Sequence[Any]], Array] | None = None,
) -> Dataset:
    """Return the images of one, two or three tables as a dataset.

    Labels are integers or text; classes are in ascending or natural order, or in the order of `classes`.

    Args:
        label_column: name or position of the column with the label; by default `label`, `class`, `target`
            or `y`, or the first column if the columns have no names.
        drop_columns: columns that are not pixels; `Split.columns` has their values.
        classes: use only these labels.
        class_names: a name for each class, in the same order; the labels by default.
        image_size: height and width.
        image_shape: height and width, or height, width and channels.
        channels_first: the pixels are stored channel by channel.
        scale: factor that gives pixels from 0 to 255.
        image_column, decode: a column with cells such as paths, and the function that returns
            the images of such cells: `uint8`, `(n, height, width, channels)`.

    Raises:
        ZooError: a column, a cell or a label is not as expected, or the images have another shape.
    """
    check_scale(scale)
    given = {"train": train, "validation": validation, "test": test}
    images: dict[str, _Images] = {}
    for split, table in given.items():
        if table is not None:
            names = images["train"].pixel_names if images else ()
            images[split] = _read(table, label_column, drop_columns, scale, image_column, names)
    if classes is None:
        for of_table in images.values():
            _check_rare_text(of_table)
    if len(images) == 1:
        images = _by_split_column(images["train"])
    if decode is not None:
        images = _decoded(images, decode)
    pixels = images["train"].split.images
    shape = image_shape_of(train.name, pixels, image_size, image_shape)
    dataset = _dataset(images, classes, class_names, shape, channels_first)
    if image_size is not None or image_shape is not None:
        return dataset
    alpha = alpha_warning(train.name, pixels, shape)
    return replace(dataset, warning=" ".join(filter(None, [dataset.warning, alpha])))


def _dataset(
    images: Mapping[str, _Images],
    classes: Sequence[Label] | None,
    class_names: Sequence[str] | None,
    shape: tuple[int, ...],
    channels_first: bool,
) -> Dataset:
    """Return the content of the tables as a dataset, with labels as positions of classes."""
    train = images["train"]
    _check_equal_shapes(list(images.values()))
    images = _same_type(images)
    labels = _labels_of_classes(classes, list(images.values()))
    label_names = train.table.label_names.get(train.table.columns[train.label], ())
    splits: dict[str, Any] = {
        name: _split(of_table, labels, with_shape(of_table.split.images, shape, channels_first))
        for name, of_table in images.items()
    }
    warnings = [of_table.warning for of_table in images.values()]
    if not train.is_decoded:
        warnings.append(dark_warning(train.table.name, train.split.images))
    if not channels_first:
        warnings.append(channel_warning(train.table.name, train.split.images, shape))
    return Dataset(
        **splits,
        class_names=_names_of_classes(class_names, labels, label_names),
        warning=" ".join(filter(None, warnings)),
    )


def _read(
    table: Table,
    label_column: str | int | None,
    drop_columns: Sequence[str | int],
    scale: float | None,
    image_column: str | int | None,
    pixel_names: Sequence[str],
) -> _Images:
    """Read one table; put pixel columns with the names `pixel_names` into that order."""
    import numpy as np

    names = table.columns
    label = label_position(table.name, names, label_column)
    dropped = [column_position(table.name, names, column, "drop_columns") for column in drop_columns]
    columns: Columns | None = None
    if image_column is not None:
        position = column_position(table.name, names, image_column, "image_column")
        dropped = [other for other in range(len(names)) if other not in (label, position)]
        columns = Columns(label, [position], dropped)
    labels: list[Label] = []
    pixels: list[Array] = []
    others: list[Array] = []
    for frame in table.chunks([*range(len(names))] if image_column is not None else [label, *dropped]):
        if columns is None:
            columns = find_columns(table.name, names, frame, label, dropped, pixel_names)
        others.append(frame.iloc[:, columns.left_out].to_numpy(object))
        if image_column is not None:
            pixels.append(frame.iloc[:, columns.pixels[0]].to_numpy(object))
        else:
            pixels.append(_pixels(table, frame, columns, len(labels), scale, drop_columns))
        labels += _labels(table, frame, label, len(labels))
    if columns is None or not columns.pixels or not labels:
        image = "pixels" if image_column is None else "an image"
        raise ZooError(f"{table.name}: expected rows with a label and {image}, got none.")
    values = np.concatenate(others)
    kept = {names[position] or str(position): values[:, n] for n, position in enumerate(columns.left_out)}
    where = table.name.rpartition("/")[2]
    rows = np.array([f"row {row} of {where}" for row in range(1, len(labels) + 1)], object)
    pixel_names = [names[position] for position in columns.pixels]
    split = Split(np.concatenate(pixels), np.array(labels, object), kept, rows)
    return _Images(table, label, pixel_names, split, columns.warning)


def _pixels(
    table: Table,
    frame: pd.DataFrame,
    columns: Columns,
    first_row: int,
    scale: float | None,
    drop_columns: Sequence[str | int],
) -> Array:
    cells = frame.iloc[:, columns.pixels]
    try:
        return to_pixels(cells, scale)
    except CellError as error:
        place, text = table.cell(first_row + error.row, columns.pixels[error.column])
        if error.problem:
            raise ZooError(f"{table.name}: {place}: {error.problem}.") from None
        usual = usual_scale(numbers_of(cells)) if scale is None else None
        other = other_column(table.columns, columns.pixels, error.column)
        fix: dict[str, Any] = {} if usual is None else {"scale": usual}
        hint = drop_hint(other) or scale_hint(usual)
        if other is not None:
            fix = {"drop_columns": [*drop_columns, other]}
        problem = f"expected {_range(scale)}, got {text[:40]!r}.{hint}"
        raise ZooError(f"{table.name}: {place}: {problem}", fix=fix) from None


def _decoded(images: Mapping[str, _Images], decode: Callable[[Sequence[Any]], Array]) -> dict[str, _Images]:
    """Return the tables with decoded images, all decoded in one call; paths become names of images."""
    import numpy as np

    cells = [cell for of_table in images.values() for cell in of_table.split.images]
    bounds = np.cumsum([len(of_table.split) for of_table in images.values()])[:-1]
    are_files, are_paths = not isinstance(cells[0], int), isinstance(cells[0], str)
    decoded = {}
    for (name, of_table), part in zip(images.items(), np.split(decode(cells), bounds), strict=True):
        names = of_table.split.images if are_paths else of_table.split.names
        split = replace(of_table.split, images=part, names=names)
        decoded[name] = replace(of_table, split=split, is_decoded=are_files)
    return decoded


def _check_equal_shapes(images: Sequence[_Images]) -> None:
    first = images[0].split.images
    for of_table in images[1:]:
        pixels = of_table.split.images
        if pixels.shape[1:] != first.shape[1:]:
            raise ZooError(
                f"{of_table.table.name}: expected images of {first[0].size:,} pixels as in "
                f"{images[0].table.name}, got {pixels[0].size:,}."
            )


def _names_of_classes(
    class_names: Sequence[str] | None, labels: Sequence[Label], label_names: Sequence[str]
) -> list[str]:
    if class_names is None:
        known: dict[Label, str] = dict(enumerate(label_names))
        return [known.get(label, str(label)) for label in labels]
    if len(class_names) != len(labels):
        raise ZooError(
            f"class_names: expected {len(labels)} names, one for each of the labels {_listed(labels)}; "
            f"got {len(class_names)}."
        )
    return [str(name) for name in class_names]


def _range(scale: float | None) -> str:
    return "an integer from 0 to 255" if scale is None else f"a number from 0 to {255 / scale:g}"


def _labels(table: Table, frame: pd.DataFrame, position: int, first_row: int) -> list[Label]:
    """Return the labels as integers or text; `0.0` is 0. Raises ZooError for an empty cell or a fraction."""
    import pandas as pd

    codes, values = pd.factorize(frame.iloc[:, position].astype(object))
    labels = [_label(value) for value in values]
    for row, code in enumerate(codes):
        if code < 0 or labels[code] is None:
            place, text = table.cell(first_row + row, position)
            raise ZooError(
                f"{table.name}: {place}: expected an integer or the name of a class, got {text[:40]!r}. "
                "Correct it, or remove the row."
            )
    return [label for code in codes if (label := labels[code]) is not None]


def _label(value: Any) -> Label | None:
    """Return a label as an integer or as text; None for an empty text or a fraction."""
    text = class_text(value)
    if INTEGER.fullmatch(text):
        return int(text.partition(".")[0])
    return None if FRACTION.fullmatch(text) else text or None


def _check_rare_text(images: _Images) -> None:
    """Raise ZooError for text that occurs once in a column of integers."""
    labels = images.split.labels.tolist()
    counts = Counter(labels)
    for label, count in counts.items():
        if count == 1 and isinstance(label, str) and any(isinstance(other, int) for other in counts):
            place, text = images.table.cell(labels.index(label), images.label)
            raise ZooError(
                f"{images.table.name}: {place}: expected an integer as in other rows, got {text[:40]!r}. "
                "Correct it, or set classes to the labels to be used."
            )


def _by_split_column(images: _Images) -> dict[str, _Images]:
    """Return the images of each split, if all values of a column are names of splits, one of them train."""
    splits, note = row_splits(images.table.name, images.split.columns)
    warning = " ".join(filter(None, [images.warning, note]))
    if splits is None:
        return {"train": replace(images, warning=warning)}
    return {
        name: replace(
            images, split=images.split.take(splits == name), warning=warning if name == "train" else ""
        )
        for name in SPLITS
        if name in splits
    }


def _same_type(images: Mapping[str, _Images]) -> Mapping[str, _Images]:
    """Return the images with all labels as text if one of them is text."""
    import numpy as np

    if not any(isinstance(label, str) for of_table in images.values() for label in of_table.split.labels):
        return images
    texts = {}
    for name, of_table in images.items():
        labels = np.array([str(label) for label in of_table.split.labels], object)
        texts[name] = replace(of_table, split=replace(of_table.split, labels=labels))
    return texts


def _labels_of_classes(classes: Sequence[Label] | None, images: Sequence[_Images]) -> list[Any]:
    """Return the label of each class, in the order of the classes."""
    name = images[0].table.name
    found: set[Any] = {label for of_table in images for label in of_table.split.labels}
    present = sorted(found, key=label_key)
    labels = present if classes is None else list(classes)
    where = name if classes is None else f"classes = {labels}"
    for label in labels:
        if isinstance(label, bool) or label not in found:
            raise ZooError(f"{where}: {name} has no label {label!r}. Available: {_listed(present)}.")
    if len(set(labels)) != len(labels):
        raise ZooError(f"{where}: expected each label once. Remove the repeated labels.")
    if len(labels) < 2:
        found_text = f"only {_listed(labels)}" if labels else "none"
        raise ZooError(f"{where}: expected at least two labels, got {found_text}.")
    return labels


def _split(images: _Images, labels: Sequence[Label], pixels: Array) -> Split:
    """Return the images with these labels; the class is the position of the label in `labels`."""
    import numpy as np

    class_of_label = {label: number for number, label in enumerate(labels)}
    classes = np.array([class_of_label.get(label, -1) for label in images.split.labels], np.int64)
    is_used = classes >= 0
    if not is_used.any():
        raise ZooError(f"{images.table.name} has no image with one of the labels {_listed(labels)}.")
    split = replace(images.split, images=pixels, labels=classes)
    return split if is_used.all() else split.take(is_used)


def _listed(labels: Sequence[Label]) -> str:
    return listed([str(label)[:40] for label in labels], MAX_LISTED)
