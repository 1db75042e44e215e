"""Distribution of groups of images to folds, stratified by class.

The method is that of scikit-learn's StratifiedGroupKFold, for parts of any size: groups with the most uneven
classes come first, and each goes to the part in which the classes become most even. zoo has its own code,
because a resumed study needs the same split with every version of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.errors import DataError, count_text

Array = np.ndarray[Any, Any]


def divide_groups(
    labels: Array,
    groups: Sequence[str],
    class_names: Sequence[str],
    shares: Sequence[float],
    stream: np.random.RandomState,
    *,
    where: str,
) -> Array:
    """Return the part of each image, `(n,)`, from 0. No group is divided.

    With two parts, each has images of every class. With more, every class is in at least two parts.

    Args:
        shares: the share of the images that each part should have.
        stream: random numbers, for the choice between equally good divisions.
        where: the setting that names the groups, for messages.

    Raises:
        DataError: there are too few groups, or too few groups of a class.
    """
    classes, labels = np.unique(labels, return_inverse=True)
    names = [*dict.fromkeys(groups)]  # in the order of the images, so that names have no influence
    position = {name: number for number, name in enumerate(names)}
    codes = np.array([position[name] for name in groups])
    _check_number(where, names, len(shares))
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (codes, labels), 1)
    used = [class_names[int(label)] for label in classes]
    _check_classes(where, counts, used, names)
    parts = assign_groups(counts, shares, stream)
    try:
        parts = spread_classes(counts, parts, len(shares), everywhere=len(shares) == 2)
    except LookupError as error:
        raise DataError(
            f"{where}: no division of the {len(names):,} groups was found that has images of class "
            f"'{used[error.args[0]]}' in two splits. Add images of other groups, or remove "
            "the setting `group`."
        ) from None
    part: Array = parts[codes]
    return part


def random_stream(seed: int) -> np.random.RandomState:
    """Return a generator with the same numbers in every version of NumPy; `seed` may have any size."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _check_number(where: str, names: Sequence[str], num_parts: int) -> None:
    if len(names) == 1:
        raise DataError(
            f"{where}: expected at least 2 groups, but all images are of '{names[0]}'. "
            "Correct the setting `group`."
        )
    if len(names) < num_parts:
        fewer = f"{len(names)}{' or fewer' if len(names) > 2 else ''}"
        raise DataError(
            f"{where}: expected at least {num_parts} groups for {num_parts} folds, got {len(names)}. "
            f"Set folds = {fewer}, or add groups."
        )


def _check_classes(where: str, counts: Array, class_names: Sequence[str], groups: Sequence[str]) -> None:
    """Raise DataError if all images of a class are in one group; `counts` is by group and class."""
    for label in np.flatnonzero((counts > 0).sum(axis=0) == 1):
        group = int(counts[:, label].argmax())
        images = count_text(int(counts[group, label]), "image")
        raise DataError(
            f"{where}: class '{class_names[int(label)]}' ({images}) is in the group '{groups[group]}' only, "
            "so it cannot be in two splits. Add images of other groups, or correct group."
        )


def assign_groups(counts: Array, shares: Sequence[float], stream: np.random.RandomState) -> Array:
    """Return the part of each group, `(groups,)`, from 0.

    Args:
        counts: number of images by group and class, `(groups, classes)`; every class has an image.
        shares: the share of the images that each part should have.
        stream: for the order of groups with equally uneven classes.
    """
    order = stream.permutation(len(counts))
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    expected = np.outer(shares, counts.sum(axis=0))
    filled = np.zeros(expected.shape)
    part_of_group = np.zeros(len(counts), int)
    one_more = np.eye(len(shares))[:, :, None]
    for group in order:
        # `(candidates, parts, classes)`: how full each part is if this candidate gets the group.
        fullness = (filled + one_more * counts[group]) / expected
        unevenness = fullness.std(axis=1).mean(axis=1)
        best = np.flatnonzero(np.isclose(unevenness, unevenness.min()))
        part = int(best[np.argmin(filled[best].sum(axis=1) / np.asarray(shares)[best])])
        part_of_group[group] = part
        filled[part] += counts[group]
    return part_of_group


def spread_classes(counts: Array, part_of_group: Array, num_parts: int, *, everywhere: bool) -> Array:
    """Return `part_of_group` with single groups moved until no class is in only one part.

    Args:
        everywhere: every class must be in every part, not only in two parts.

    Raises:
        LookupError: no move of one group helps; the argument is the number of the class.
    """
    parts = part_of_group.copy()
    for _ in range(counts.shape[1] * num_parts + 1):
        filled = np.stack([counts[parts == part].sum(axis=0) for part in range(num_parts)])
        wanted = num_parts if everywhere else 2
        lacking = np.flatnonzero((filled > 0).sum(axis=0) < wanted)
        if not len(lacking):
            return parts
        label = int(lacking[0])
        empty = np.flatnonzero(filled[:, label] == 0)
        target = int(empty[np.argmin(filled[empty].sum(axis=1))])
        parts[_movable(counts, parts, filled, label)] = target
    raise LookupError(label)


def _movable(counts: Array, parts: Array, filled: Array, label: int) -> int:
    """Return the smallest group with images of class `label` that can leave its part.

    The part must keep images of all classes that it has. Raise LookupError if there is no such group.
    """
    members = np.flatnonzero(counts[:, label])
    for group in members[np.argsort(counts[members].sum(axis=1), kind="stable")]:
        rest = filled[parts[group]] - counts[group]
        if (rest[counts[group] > 0] > 0).all():
            return int(group)
    raise LookupError(label)
