"""Datasets from a caller's arrays, with integers or text as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.arrays import check_not_masked, to_images
from zoo.data.class_names import class_text
from zoo.data.contract import check_class_names
from zoo.data.dataset import Dataset, Split
from zoo.data.table_columns import label_key
from zoo.data.table_pixels import dark_warning
from zoo.errors import DataError, count_text, one_line

Array = np.ndarray[Any, Any]


def dataset_of_arrays(
    arrays: Mapping[str, tuple[str, Any, str, Any]],
    class_names: Sequence[str] | None,
    scale: float | None,
    columns: Mapping[str, Any],
    source: str,
    licence: str,
) -> Dataset:
    """Return arrays as a dataset; see `zoo.Dataset.from_arrays`.

    Args:
        arrays: for each split `(x_name, x, y_name, y)`: images and labels, each with its name in messages.
        columns: for each split, its columns by name, or None.
    """
    images: dict[str, Array] = {}
    labels: dict[str, Array] = {}
    warnings = []
    for split, (x_name, x, y_name, y) in arrays.items():
        if x is None and y is None and split != "train":
            continue
        images[split] = _to_images(x, x_name, scale)
        labels[split] = checked_labels(as_array(y, y_name), y_name, f"use `{y_name}.argmax(axis=1)`.")
        if len(images[split]) != len(labels[split]):
            got = f"{count_text(len(labels[split]), 'label')} for {count_text(len(images[split]), 'image')}"
            raise DataError(f"{y_name}: expected one label per image of {x_name}, got {got}.")
        if split == "train" and scale is None:
            warnings.append(dark_warning(x_name, images[split]))
    names = {split: arrays[split][2] for split in labels}
    classes, numbers = number_labels(labels, names, class_names)
    facts = {split: _columns(columns[split], arrays[split][0], len(images[split])) for split in images}
    return Dataset(
        **{split: Split(images[split], numbers[split], facts[split]) for split in images},
        class_names=classes,
        source=source,
        warning=" ".join(filter(None, warnings)),
        licence=licence,
    )


def _columns(columns: Any, images: str, count: int) -> dict[str, Array]:
    """Return the columns of a split as arrays; raise DataError unless each has one value per image."""
    parameter = images.replace("x", "columns", 1)
    if columns is None:
        return {}
    if not hasattr(columns, "items"):
        raise DataError(
            f'{parameter}: expected a dict such as {{"person": […]}}, got {type(columns).__name__}.'
        )
    arrays = {str(name): as_array(values, f"{parameter}[{name!r}]") for name, values in columns.items()}
    for name, values in arrays.items():
        if values.shape != (count,):
            raise DataError(
                f"{parameter}[{name!r}]: expected one value per image of {images}, shape ({count},), got "
                f"{values.shape}."
            )
    return arrays


def as_array(values: Any, name: str) -> Array:
    """Return numbers or text in any form as a NumPy array, without copying an array."""
    if values is None:
        raise DataError(f"{name}: expected an array, got None.")
    check_not_masked(values, name)
    try:
        return np.asarray(values)
    except Exception as error:  # lists of unequal lengths, a tensor on a GPU, one that requires a gradient
        raise DataError(
            f"{name}: expected values for numpy.asarray, got {type(values).__name__} ({one_line(error)})."
        ) from None


def _to_images(values: Any, name: str, scale: float | None) -> Array:
    """Return images of three or four dimensions as `to_images` does."""
    array = as_array(values, name)
    expected = "expected images of the shape (n, height, width) or (n, height, width, channels)"
    if array.ndim == 2:
        raise DataError(
            f"{name}: {expected}, got {array.shape}. Use `{name}.reshape(-1, height, width, channels)`."
        )
    if 0 in array.shape:
        raise DataError(f"{name}: {expected}, with at least one image and pixel, got {array.shape}.")
    return to_images(array, name, scale)


def checked_labels(labels: Array, name: str, one_hot_fix: str) -> Array:
    """Return labels `(n,)` or `(n, 1)` as `(n,)`: integers, or text; raise DataError for others."""
    expected = f"{name}: expected integers or text, shape (n,),"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        raise DataError(f"{expected} got the shape {labels.shape}. If they are one-hot: {one_hot_fix}")
    if labels.ndim != 1:
        raise DataError(f"{expected} got the shape {labels.shape}.")
    if labels.dtype.kind in "SOT" and len(labels):
        labels = _text_labels(labels, name)
    if labels.dtype.kind not in "iuU":
        raise DataError(f'{expected} got {labels.dtype}. If they are integers: use `{name}.astype("int64")`.')
    return labels


def _text_labels(labels: Array, name: str) -> Array:
    """Return labels that are Python objects as text, or as integers if all are integers."""
    if all(isinstance(label, int | np.integer) and not isinstance(label, bool) for label in labels):
        return labels.astype(np.int64)
    texts = [label.decode(errors="replace") if isinstance(label, bytes) else label for label in labels]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"{name}[{row}]: expected text as in other rows, got {text!r:.40}.")
    return np.array(texts, dtype=str)


def _class_names(texts: Array, name: str) -> Array:
    """Return the class name of each text label; raise DataError for a blank label."""
    found, inverse = np.unique(texts, return_inverse=True)
    names = [class_text(text) for text in found.tolist()]
    if "" in names:
        row = int(np.flatnonzero(inverse == names.index(""))[0])
        raise DataError(f"{name}[{row}]: expected the name of a class, got {str(texts[row])!r}. Complete it.")
    class_names: Array = np.array(names)[inverse.reshape(-1)]
    return class_names


def number_labels(
    labels: Mapping[str, Array], names: Mapping[str, str], class_names: Sequence[str] | None
) -> tuple[list[str], dict[str, Array]]:
    """Return the class names, and the labels of each split as positions in the class names.

    If `class_names` is given, integer labels are positions in it. Without it, every value becomes a class, in
    ascending order of integers or natural order of text. `names` has the names of `labels` in messages.
    """
    are_text = {split: array.dtype.kind == "U" for split, array in labels.items()}
    if len(set(are_text.values())) > 1:
        kinds = [
            f"{'text' if is_text else 'integers'} in {names[split]}" for split, is_text in are_text.items()
        ]
        raise DataError(f"expected labels of one kind in all splits, got {', '.join(kinds)}.")
    if are_text["train"]:
        labels = {split: _class_names(array, names[split]) for split, array in labels.items()}
    if class_names is not None:
        check_class_names(class_names)
        if not are_text["train"]:
            return list(class_names), {split: array.astype(np.int64) for split, array in labels.items()}
    values = np.unique(np.concatenate([np.unique(array) for array in labels.values()])).tolist()
    if class_names is None and len(values) == 1:
        raise DataError(
            f"{names['train']}: expected labels of at least two classes, got only {values[0]!r}. Add images "
            "of another class."
        )
    classes = list(class_names) if class_names is not None else sorted(values, key=label_key)
    position = {class_text(value) if are_text["train"] else value: n for n, value in enumerate(classes)}
    numbered = {}
    for split, array in labels.items():
        found, inverse = np.unique(array, return_inverse=True)
        unknown = [value for value in found.tolist() if value not in position]
        if unknown:
            raise DataError(f"{names[split]}: class_names does not have the label {unknown[0]!r}. Add it.")
        of_found = np.array([position[value] for value in found.tolist()], np.int64)
        numbered[split] = of_found[inverse.reshape(-1)]
    return [str(value) for value in classes], numbered
