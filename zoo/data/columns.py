"""Names and columns of the images in the cache: all facts about an image except pixels and label.

Names and columns are not part of a dataset's digest. Two sources of the same images may have different
columns, so the name of the file has its own digest: `columns-<digest>.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from zoo.data.dataset import Dataset, Split
from zoo.files import write_atomically


def write_columns(folder: Path, dataset: Dataset) -> str:
    """Write names and columns of every split, and return the digest that names the file."""
    digest, text = _content(dataset)
    path = folder / f"columns-{digest}.json"
    if not path.exists():
        write_atomically(path, text)
    return digest


def columns_digest(dataset: Dataset) -> str:
    """Return the digest that `write_columns` returns."""
    return _content(dataset)[0]


def _content(dataset: Dataset) -> tuple[str, str]:
    """Return the digest of names and columns of every split, and these as JSON."""
    text = json.dumps(
        {
            name: {
                "names": None if split.names is None else [str(one) for one in split.names],
                "columns": plain_columns(split),
            }
            for name, split in dataset.splits().items()
        }
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16], text


def add_columns(folder: Path, digest: str, dataset: Dataset) -> Dataset:
    """Return the dataset with the names and columns that `write_columns` wrote, or raise OSError."""
    import numpy as np

    content = json.loads((folder / f"columns-{digest}.json").read_text(encoding="utf-8"))
    splits: dict[str, Any] = {}
    for name, part in content.items():
        columns = {column: np.array(values, object) for column, values in part["columns"].items()}
        names = None if part["names"] is None else np.array(part["names"], object)
        splits[name] = replace(getattr(dataset, name), columns=columns, names=names)
    return replace(dataset, **splits)


def plain_columns(split: Split) -> dict[str, list[Any]]:
    """Return the columns whose values are text, numbers or dates, as lists of text and numbers.

    A missing value is None, and a whole number is an integer. Other columns, such as columns of arrays, are
    left out.
    """
    columns: Mapping[str, Any] = {name: _plain_values(values) for name, values in split.columns.items()}
    return {str(name): values for name, values in columns.items() if values is not None}


def _plain_values(values: Any) -> list[Any] | None:
    plain = [_plain(value) for value in values]
    return None if any(value is NotImplemented for value in plain) else plain


def _plain(value: Any) -> Any:
    """Return a value as a type of JSON; NotImplemented if JSON has no such type."""
    if hasattr(value, "dtype") and not value.shape:  # a scalar of NumPy
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None  # pandas has three kinds of missing values
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value) if isinstance(value, date) else NotImplemented
