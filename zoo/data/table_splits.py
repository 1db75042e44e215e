"""The split of each row of a table, by a column with names of splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.data.dataset import SPLIT_WORDS
from zoo.errors import listed

if TYPE_CHECKING:
    from zoo.data.dataset import Array

MAX_LISTED = 5
_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}


def row_splits(table: str, columns: Mapping[str, Array]) -> tuple[Array | None, str]:
    """Return the split of each row, `(n,)`, or None if no column has it; and a note about the column.

    A column decides the splits if all its values are names of splits, and one is the training split. The note
    also names a column in which most values, but not all, are such names.
    """
    import numpy as np

    note = ""
    for column, values in columns.items():
        words = [str(value).strip() for value in values]
        splits = np.array([_SPLIT_OF.get(word.lower(), "") for word in words], object)
        found = set(splits)
        if "train" in found and len(found) > 1 and "" not in found:
            return splits, f"{table}: the column {column!r} decides the splits."
        is_like_splits = (splits != "").mean() >= 0.5 and found != {"train"}
        if is_like_splits and not note:
            names = [repr(word) for word in sorted(set(words))]
            note = (
                f"{table}: the column {column!r} does not decide the splits, because it has "
                f"{listed(names, MAX_LISTED)}. If it should, write only train, validation and test into it."
            )
    return None, note
