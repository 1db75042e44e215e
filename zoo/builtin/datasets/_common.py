"""Helpers that several datasets share: paths, image sizes and test splits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import Dataset, Split, Table, ZooError, hold_out_groups

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SEED = 42  # seed of the test split in datasets without the parameter `seed`


def data_folder() -> Path | None:
    """Return `$ZOO_DATA_DIR`, or None if it is not set; raise ZooError if it cannot be read."""
    folder = os.environ.get("ZOO_DATA_DIR")
    if not folder:
        return None
    path = Path(folder).expanduser()
    try:
        os.scandir(path).close()
    except OSError as error:
        raise ZooError(
            f"ZOO_DATA_DIR is '{folder}', but this folder cannot be read ({error.strerror}). "
            "Set it to the folder with your data, or unset it."
        ) from error
    return path


def find_path(parameter: str, path: str) -> Path:
    """Return the file or folder at `path`, the value of `parameter`; raise ZooError if it does not exist.

    A relative path is looked up in the working folder, then in `$ZOO_DATA_DIR`.
    """
    if not path.strip():
        raise ZooError(f'{parameter} = "{path}": expected the path of a file or folder, got none.')
    here, wanted = Path.cwd(), Path(path).expanduser()
    try:
        folder = None if wanted.is_absolute() or (here / wanted).exists() else data_folder()
        found = (here if folder is None else folder) / wanted
        if found.is_file() or found.is_dir():
            return found
        if found.exists():  # a named pipe blocks when it is opened
            raise ZooError(
                f'{parameter} = "{path}": neither a file nor a folder, but a pipe or a device. '
                "Write the data to a file, and give its path."
            )
        similar = _similar_path(here, wanted) or (folder and _similar_path(folder, wanted))
    except OSError as error:  # such as a name that is too long, or missing permission
        raise ZooError(
            f'{parameter} = "{path}": cannot be read ({error.strerror}). Correct the path or its permissions.'
        ) from error
    searched = f" in {here}" + (f" or in {folder}" if folder else "; ZOO_DATA_DIR is not set")
    fix = f"Did you mean '{similar}'?" if similar else "Correct the path, or set ZOO_DATA_DIR to its folder."
    raise ZooError(
        f'{parameter} = "{path}": no such file or folder{"" if wanted.is_absolute() else searched}. {fix}'
    )


def _similar_path(root: Path, wanted: Path) -> Path | None:
    """Return the existing path below `root` whose spelling is most similar to `wanted`, or None."""
    found = root
    for part in wanted.parts:
        if not (found / part).exists():
            names = [path.name for path in found.iterdir()] if found.is_dir() else []
            close = get_close_matches(part, names, n=1)
            if not close:
                return None
            part = close[0]
        found = found / part
    return found if wanted.is_absolute() else found.relative_to(root)


def table_paths(train: str, test: str | None) -> list[Path]:
    """Return the files that the parameters `train` and `test` name; raise ZooError if one is missing."""
    return [find_path("train", train)] + ([] if test is None else [find_path("test", test)])


def completed(
    dataset: Dataset, sources: Iterable[str], warnings: Iterable[str], group: str | None = None
) -> Dataset:
    """Return the dataset with its source, its warnings and a test split, cut from `train` if there is none.

    `sources` are the names of the files or folders that were read.
    """
    source, warning = " and ".join(sources), " ".join(filter(None, warnings))
    dataset = replace(dataset, source=source, warning=warning)
    return dataset if dataset.test is not None else split_off_test(dataset, group=group)


def split_off_test(dataset: Dataset, fraction: float = 0.2, group: str | None = None) -> Dataset:
    """Return the dataset with a test split that has `fraction` of every class of the training split."""
    parts = cut_test(dataset.train, dataset.class_names, fraction, SEED, group)
    train, test = (dataset.train.take(indices) for indices in parts)
    if not len(test):
        raise ZooError(_too_few_for_test(dataset, fraction))
    return replace(dataset, train=train, test=test)


def group_column(table: Table, group: str | None) -> list[str]:
    """Return a list with the column that `group` names; [] for None. Raises ZooError if it is missing."""
    if group is None:
        return []
    if group.lower() not in [name.lower() for name in table.columns]:
        close = get_close_matches(group, table.columns, n=1)
        listed = ", ".join(filter(None, table.columns[:5])) + (" …" if len(table.columns) > 5 else "")
        fix = f"Did you mean {close[0]!r}?" if close else f"Available: {listed or 'none'}."
        raise ZooError(f"{table.name}: group: there is no column {group!r}. {fix}")
    return [group]


def count_text(number: int, noun: str) -> str:
    """Return a number and its noun: `1 image`, or `12,345 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _too_few_for_test(dataset: Dataset, fraction: float) -> str:
    import numpy as np

    counts = np.bincount(dataset.train.labels)
    label = int(counts.argmax())
    least = next(count for count in range(2, 100) if round(fraction * count) > 0)
    images = count_text(int(counts[label]), "image")
    return (
        f"cannot cut a test split with {fraction:g} of each class: expected at least {least} images of a "
        f"class, but the largest, '{dataset.class_names[label]}', has {images}. Add images, or a test split."
    )


def cut_test(
    split: Split, class_names: Sequence[str], fraction: float, seed: int, group: str | None = None
) -> tuple[Array, Array]:
    """Return the shuffled indices of the training and the test split; the images are not read.

    The test split has `fraction` of every class, rounded. Every class keeps at least one training image.
    If `group` names groups, no group is divided, and every class is in both splits.
    """
    import numpy as np

    stream = np.random.RandomState(seed)  # the numbers are the same in every version of NumPy
    labels = split.labels
    if group is not None and fraction:
        is_test = hold_out_groups(split, class_names, group, fraction, seed)
    else:
        is_test = np.zeros(len(labels), bool)
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            count = min(round(fraction * len(members)), len(members) - 1)
            is_test[stream.permutation(members)[:count]] = True
    train, test = (stream.permutation(np.flatnonzero(mask)) for mask in (~is_test, is_test))
    return train, test
