"""Groups of images that no split may divide, such as the photographs of one person.

`[validation] group` is the name of a column of `Split.columns`, or a regular expression that is searched in
the names of the images. Then the group is the text that the first parentheses match.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.columns import plain_columns
from zoo.data.dataset import Dataset, Split
from zoo.errors import DataError, count_text, did_you_mean
from zoo.files import write_atomically

if TYPE_CHECKING:
    from zoo.data.dataset import Array

EXAMPLE = "(person[0-9]+)_"
UNKNOWN = -1  # the code of images outside the training split with unknown groups


@dataclass(frozen=True)
class Groups:
    """The group of every image of a dataset.

    Args:
        names: the names of the groups.
        codes: by split, the position of each image's group in `names`, `(n,)`.
        problems: a sentence for each split except train whose groups are unknown.
    """

    names: Sequence[str]
    codes: Mapping[str, Array]
    problems: Sequence[str] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the partition; it does not depend on the names of the groups."""
        codes = {split: codes.tolist() for split, codes in self.codes.items()}
        return hashlib.sha256(json.dumps(codes).encode()).hexdigest()


def find_groups(dataset: Dataset, group: str) -> Groups:
    """Return the groups of all images by the setting `[validation] group`; DataError if it is invalid."""
    import numpy as np

    where, problems = f'[validation] group = "{group}"', []
    values = {"train": group_values(dataset.train, group, where)}
    for name, split in dataset.splits().items():
        if name != "train":
            try:
                values[name] = group_values(split, group, where)
            except DataError as error:
                values[name] = [None] * len(split)
                problems.append(f"The groups of the {name} split are unknown: {error}")
    found = dict.fromkeys(value for of_split in values.values() for value in of_split if value is not None)
    position = {name: number for number, name in enumerate(found)}
    codes = {
        name: np.array([UNKNOWN if value is None else position[value] for value in of_split], np.int64)
        for name, of_split in values.items()
    }
    return Groups(list(found), codes, problems)


def hold_out_groups(
    split: Split, class_names: Sequence[str], group: str, fraction: float, seed: int
) -> Array:
    """Return a mask of the images to hold out, `(n,)`: about `fraction` of every class, in whole groups.

    Args:
        split: the images in it are not read and may be None.
        group: the name of a column, or a regular expression for the names of the images.

    Raises:
        DataError: `group` does not fit, or a class has fewer than two groups.
    """
    import numpy as np

    from zoo.data.group_split import divide_groups, random_stream

    where = f'group = "{group}"'
    values, shares = group_values(split, group, where), [1 - fraction, fraction]
    stream = random_stream(seed)
    parts = divide_groups(np.asarray(split.labels), values, class_names, shares, stream, where=where)
    return np.asarray(parts == 1)


def group_values(split: Split, group: str, where: str) -> list[Any]:
    """Return the group of each image, as text; raise DataError for a missing column or group.

    `where` is the setting, for messages.
    """
    columns = plain_columns(split)
    by_lower = {name.lower(): name for name in columns}
    column = group if group in columns else by_lower.get(group.lower())
    if column is None:
        return _matches(split, _expression(group, columns, where), where)
    values = [None if value is None else str(value).strip() or None for value in columns[column]]
    missing = [row for row, value in enumerate(values) if value is None]
    if missing:
        raise DataError(
            f"{where}: {_images_text(len(missing), len(values))} no value in the column '{column}', such as "
            f"{_name_of(split, missing[0])}. Complete the column."
        )
    return values


def _expression(group: str, columns: Mapping[str, Any], where: str) -> re.Pattern[str]:
    """Return `group` as a regular expression; raise DataError if it is invalid."""
    hint = f"For names of files, write a regular expression with a group in parentheses, such as {EXAMPLE!r}."
    try:
        expression = re.compile(group)
    except re.error as error:
        raise DataError(f"{where}: invalid regular expression: {error}. {hint}") from None
    if expression.groups:
        return expression
    available = did_you_mean(group, columns)
    if not columns:
        available += f" If {group!r} is a column of a table of pixels, set group in [dataset], too."
    raise DataError(f"{where}: there is no column {group!r}. {available} {hint}")


def _matches(split: Split, expression: re.Pattern[str], where: str) -> list[Any]:
    if split.names is None:
        raise DataError(f"{where}: this dataset has no file names. Set group to a column, or remove it.")
    found = [expression.search(str(name)) for name in split.names]
    values = [match[1] if match else None for match in found]
    missing = [row for row, value in enumerate(values) if value is None]
    if len(missing) == len(values):
        raise DataError(
            f"{where}: it matches none of the {count_text(len(values), 'name')} of images, such as "
            f"{_name_of(split, 0)}. Correct the expression."
        )
    if missing:
        raise DataError(
            f"{where}: {_images_text(len(missing), len(values))} no match, such as "
            f"{_name_of(split, missing[0])}. Correct the expression."
        )
    return values


def _images_text(count: int, total: int) -> str:
    return f"{count:,} of {count_text(total, 'image')} {'has' if count == 1 else 'have'}"


def _name_of(split: Split, row: int) -> str:
    return f"image {row}" if split.names is None else str(split.names[row])


def save_groups(folder: Path, groups: Groups) -> None:
    """Write groups into a dataset's folder in the cache, for `open_groups`."""
    path = folder / f"groups-{groups.digest[:16]}.json"
    content = {
        "names": list(groups.names),
        "codes": {split: codes.tolist() for split, codes in groups.codes.items()},
    }
    write_atomically(path, json.dumps(content))


def open_groups(folder: Path, digest: str) -> Groups:
    """Return the groups with this digest; raise DataError if they are missing or damaged."""
    import numpy as np

    try:
        content = json.loads((folder / f"groups-{digest[:16]}.json").read_text(encoding="utf-8"))
        codes = {split: np.array(values, np.int64) for split, values in content["codes"].items()}
        return Groups(content["names"], codes)
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise DataError(
            f"the groups {digest[:12]} of the prepared dataset are missing or damaged in {folder}. "
            "Run the study again to prepare it."
        ) from None


def shared_group_warning(groups: Groups) -> str:
    """Return a sentence for each split whose groups are unknown, or also in the training split, or ""."""
    import numpy as np

    train = np.unique(groups.codes["train"])
    sentences = list(groups.problems)
    for name, codes in groups.codes.items():
        is_shared = np.isin(codes, train)
        if name != "train" and is_shared.any():
            first = int(np.flatnonzero(is_shared)[0])
            shared = groups.names[int(codes[first])]
            number, images = int(is_shared.sum()), count_text(len(codes), f"{name} image")
            sentences.append(
                f"{number:,} of {images} {'belongs' if number == 1 else 'belong'} to groups that are also in "
                f"train, such as '{shared}', so the score is too high for new groups. If the dataset cuts "
                "this split, set group in [dataset], too."
            )
    return " ".join(sentences)
