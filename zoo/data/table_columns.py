"""The columns of a table of images: the label column, the pixel columns, and those that are left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError, did_you_mean, listed
from zoo.space import show

if TYPE_CHECKING:
    import pandas as pd

LABEL_NAMES = ("label", "class", "target", "y")
INDEX_NAMES = re.compile(r"|index|id|unnamed: \d+|__index_level_\d+__", re.IGNORECASE)
PACKED = re.compile(r"[\s\[]*\d+(\.\d*)?([\s,;]+\d+){3}")  # matches a pixel column such as FER2013's
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
MIN_INDEX_ROWS = 10  # a shorter column may have consecutive numbers by chance
MAX_LISTED = 5


@dataclass(frozen=True)
class Columns:
    """Positions of columns, from 0."""

    label: int
    pixels: list[int]
    left_out: list[int]
    warning: str = ""


def natural_key(name: str) -> tuple[Any, ...]:
    """Return a sort key by which `pixel2` is before `pixel10`."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], name


def label_key(label: int | str) -> Any:
    """Return a sort key for labels of one type: ascending integers, or text in natural order."""
    return natural_key(label) if isinstance(label, str) else label


def label_position(table: str, names: Sequence[str], label_column: str | int | None) -> int:
    """Return the position of the column with the label; raise ZooError if there is none."""
    if label_column is not None:
        return column_position(table, names, label_column, "label_column")
    if not any(names):
        return 0
    lower = [name.lower() for name in names]
    for name in LABEL_NAMES:
        if name in lower:
            return lower.index(name)
    raise ZooError(
        f"{table}: expected a column label, class, target or y, got {_listed(names)}. Set label_column to "
        "the name of the column with the label, or to its position: 0 is the first column, -1 the last.",
        fix=_only_other_column(names),
    )


def _only_other_column(names: Sequence[str]) -> dict[str, str]:
    """Return the label column if only one column is neither an index nor named like others."""
    skeletons = Counter(map(_skeleton, names))
    single = [name for name in names if skeletons[_skeleton(name)] == 1 and not INDEX_NAMES.fullmatch(name)]
    return {"label_column": single[0]} if len(single) == 1 else {}


def column_position(table: str, names: Sequence[str], column: str | int, parameter: str) -> int:
    """Return the position of the column that `parameter` names; raise ZooError if there is none."""
    if isinstance(column, int):
        if -len(names) <= column < len(names):
            return column % len(names)
        raise ZooError(
            f"{table}: {parameter} = {column}: expected a position from {-len(names)} to {len(names) - 1}."
        )
    for wanted, spelt in ((column, list(names)), (column.lower(), [name.lower() for name in names])):
        if wanted in spelt:
            return spelt.index(wanted)
    raise ZooError(
        f"{table}: {parameter}: there is no column {column!r}. "
        + (did_you_mean(column, filter(None, names)) if any(names) else "Give its position, from 0.")
    )


def find_columns(
    table: str,
    names: Sequence[str],
    frame: pd.DataFrame,
    label: int,
    left_out: Sequence[int],
    pixel_names: Sequence[str],
) -> Columns:
    """Return the columns of a table from their names and `frame`, their first rows.

    Index columns are left out. Pixel columns with the names `pixel_names` are put into that order. Otherwise,
    if their names differ only in numbers, they are sorted by these numbers, because some programs write
    `pixel10` before `pixel2`. Raises ZooError for columns of text.
    """
    rest = [position for position in range(len(names)) if position != label and position not in left_out]
    skeletons = Counter(map(_skeleton, names))
    index = [position for position in rest if _is_index(names, skeletons, frame, position)]
    pixels = [position for position in rest if position not in index]
    texts = [position for position in pixels if len(pixels) > 1 and _is_text(frame.iloc[:, position])]
    if texts:
        columns = [names[position] or position for position in texts]
        raise ZooError(
            f"{table}: expected pixels in every column but '{names[label] or label}', got text in "
            f"{_listed(list(map(str, columns)))}. Set drop_columns = {show(columns)} to leave "
            f"{'it' if len(texts) == 1 else 'them'} out, or label_column to the column with the label.",
            fix={"drop_columns": [*(names[position] or position for position in left_out), *columns]},
        )
    warnings = [
        f"{table}: column {position + 1} ({names[position]!r}) is an index and was left out."
        for position in index
    ]
    found = [names[position] for position in pixels]
    if len(set(found)) == len(found) and set(found) == set(pixel_names):
        ordered = [list(names).index(name) for name in pixel_names]
    elif (ordered := _in_order(names, pixels)) != pixels:
        warnings.append(
            f"The pixel columns of {table} are sorted by the numbers in their names: "
            f"{_listed([names[p] for p in ordered])}."
        )
    return Columns(label, ordered, [*left_out, *index], " ".join(warnings))


def other_column(names: Sequence[str], pixels: Sequence[int], column: int) -> str | None:
    """Return the name of a column if it is not like the names of the pixel columns; usually None."""
    skeletons = Counter(_skeleton(names[position]) for position in pixels)
    name = names[pixels[column]]
    if not name or skeletons[_skeleton(name)] > 1 or len(pixels) < 3 or len(skeletons) > 2:
        return None
    return name


def drop_hint(name: str | None) -> str:
    """Return the advice to leave out the column of this name; "" for None."""
    return "" if name is None else f" If this column has no pixels, set drop_columns = {show([name])}."


def _is_index(names: Sequence[str], skeletons: Mapping[str, int], frame: pd.DataFrame, position: int) -> bool:
    """Return True for a column that is named like an index, has no name, or counts the rows."""
    column, name = frame.iloc[:, position], names[position]
    if any(names):
        if INDEX_NAMES.fullmatch(name):
            return True
        if skeletons[_skeleton(name)] > 1:
            return False
    elif position > 0:
        return False
    if len(column) < MIN_INDEX_ROWS or column.dtype.kind not in "iu":
        return False
    return bool((column.diff()[1:] == 1).all())


def _skeleton(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _is_text(column: pd.Series) -> bool:
    """Return True if no cell has a number; in a column with some numbers, other cells are damaged."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) or is_packed(column):
        return False
    return bool(as_numbers(column).isna().all())


def as_numbers(column: pd.Series) -> pd.Series:
    """Return the cells as numbers: NaN for text, infinity for an integer that is too large for a float."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:  # pandas reads integers of any size, but cannot convert them
        return column.astype(str).map(lambda cell: float(cell) if NUMBER.fullmatch(cell) else float("nan"))


def is_packed(column: pd.Series) -> bool:
    """Return True if a cell has all pixels of an image: a list, an array, or `70 80 82 …`."""
    first = column.iloc[0]
    return PACKED.match(first) is not None if isinstance(first, str) else hasattr(first, "__len__")


def _in_order(names: Sequence[str], pixels: list[int]) -> list[int]:
    skeletons = {_skeleton(names[position]) for position in pixels}
    keys = [natural_key(names[position]) for position in pixels]
    if len(skeletons) > 1 or len({names[position] for position in pixels}) < len(pixels):
        return pixels
    return [position for _, position in sorted(zip(keys, pixels, strict=True))]


def _listed(names: Sequence[str]) -> str:
    return listed([f"{name[:40]!r}" for name in names], MAX_LISTED)
