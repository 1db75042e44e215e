"""Validation splits and folds: the training images on which a trial is validated.

Both are cut once for each dataset, fraction (or number of folds) and seed, and stored in the cache as one
array: the number of each training image's fold, from 1. A network is validated on one fold and trained on the
others. A single validation split is fold 1, and all other images are fold 0. Groups are never divided.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.group_split import divide_groups, random_stream
from zoo.data.groups import Groups, find_groups, open_groups, save_groups, shared_group_warning
from zoo.data.store import Array, open_dataset
from zoo.errors import DataError, count_text
from zoo.files import atomic_path, remove_leftovers
from zoo.trial import count_folds


def prepare_groups(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """Find the groups of the images; return `[validation]` with their digest, and a warning.

    Without `group`, return `validation` unchanged. The dataset must have its names and columns. Raises
    DataError if `validation` has the digest of other groups.
    """
    if "group" not in validation:
        return validation, ""
    groups = find_groups(dataset, validation["group"])
    recorded = validation.get("group_digest", groups.digest)
    if recorded != groups.digest:
        raise DataError(
            f"{_setting(validation)}: the groups of the images have changed since they were recorded "
            f"({recorded[:12]}…, now {groups.digest[:12]}…). Restore the names or columns of the images."
        )
    save_groups(cache / digest, groups)
    warnings = [shared_group_warning(groups), _few_group_warning(dataset, groups, count_folds(validation))]
    return {**validation, "group_digest": groups.digest}, " ".join(filter(None, warnings))


def open_with_groups(cache: Path, digest: str, validation: Mapping[str, Any]) -> Dataset:
    """Return the dataset with this digest; DataError if it, or its groups, are missing."""
    dataset = open_dataset(cache, digest)
    if group_digest := validation.get("group_digest"):
        open_groups(cache / digest, group_digest)
    return dataset


def _setting(validation: Mapping[str, Any]) -> str:
    return f'[validation] group = "{validation["group"]}"'


def cut_validation(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> int:
    """Choose the validation images, stratified by label, and return their number.

    With folds, that number is the size of the first fold, the largest. Raises DataError if a class has too
    few images, or if folds are set and the dataset has its own validation split.
    """
    folds = count_folds(validation)
    if dataset.validation is None:
        return int((fold_of_images(cache, digest, dataset, validation) == 1).sum())
    if folds > 1:
        raise DataError(
            f"[validation] folds = {folds}: this dataset has its own validation split, so it cannot be "
            "divided into folds. Remove folds."
        )
    return len(dataset.validation)


def training_and_validation(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any], fold: int = 1
) -> tuple[Split, Split]:
    """Return the training and the validation split.

    If the dataset has no validation split, both are cut from its training split, and `fold` is the number of
    the fold for validation.
    """
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    is_held_out = fold_of_images(cache, digest, dataset, validation) == fold
    return _subset(dataset.train, ~is_held_out), _subset(dataset.train, is_held_out)


def validation_split(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> Split:
    """Return the validation split; with folds, the training split, because each image is in one fold."""
    if dataset.validation is None and count_folds(validation) > 1:
        return dataset.train
    return training_and_validation(cache, digest, dataset, validation)[1]


def fold_of_images(cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]) -> Array:
    """Return the number of each training image's fold, `(n,)`; the first call computes and stores them."""
    path = fold_path(cache / digest, validation)
    try:
        fold: Array = np.load(path)
    except (OSError, ValueError, EOFError):  # missing or damaged
        fold = np.zeros(0, int)
    if fold.shape != dataset.train.labels.shape:
        fold = cut_folds(path.parent, dataset, validation)
        remove_leftovers(path.parent)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, fold)
    return fold


def fold_path(folder: Path, validation: Mapping[str, Any]) -> Path:
    """Return the file with the folds of the training images, in `folder` of a prepared dataset."""
    seed, count = validation["seed"], count_folds(validation)
    name = f"folds-{count}" if count > 1 else f"split-{float(validation['fraction'])!r}"
    group_digest = validation.get("group_digest", "")[:16]
    return folder / f"{name}-{seed}{group_digest and '-'}{group_digest}.npy"


def cut_folds(folder: Path, dataset: Dataset, validation: Mapping[str, Any]) -> Array:
    """Compute the number of each training image's fold, `(n,)`; the groups are read from `folder`."""
    seed, count = validation["seed"], count_folds(validation)
    if validation.get("group_digest"):
        return _grouped_folds(dataset, open_groups(folder, validation["group_digest"]), validation)
    if count > 1:
        return _stratified_folds(dataset, count, seed)
    return _stratified_split(dataset, validation["fraction"], seed)


def _stratified_folds(dataset: Dataset, folds: int, seed: int) -> Array:
    """Return the fold of each training image, `(n,)`, from 1.

    Folds differ by at most one in their number of images, in total and in each class.
    """
    labels = np.asarray(dataset.train.labels)
    classes, _ = _class_counts(dataset, folds, f"{folds} folds")
    stream = random_stream(seed)
    # The images are assigned to the folds in turn, class by class, in a random order within each class.
    order = np.concatenate([stream.permutation(np.flatnonzero(labels == label)) for label in classes])
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds + 1
    return fold


def _stratified_split(dataset: Dataset, fraction: float, seed: int) -> Array:
    """Return the fold of each training image, `(n,)`: 1 (validation) for `fraction` of every class, else 0.

    The number of images of each class is rounded by the largest remainder method, so that the total is exact.
    Every class has at least one image in both splits.
    """
    # train_test_split of another version of scikit-learn may give another split. Then the trials of a
    # resumed study would be validated on images that earlier trials were trained on.
    labels = np.asarray(dataset.train.labels)
    classes, counts = _class_counts(dataset, 2, "a validation split")
    exact = counts * fraction
    num_held_out = np.floor(exact).astype(int)
    missing = round(fraction * len(labels)) - int(num_held_out.sum())
    num_held_out[np.argsort(num_held_out - exact, kind="stable")[:missing]] += 1
    num_held_out = np.clip(num_held_out, 1, counts - 1)
    stream = random_stream(seed)
    fold = np.zeros(len(labels), int)
    for label, count in zip(classes, num_held_out, strict=True):
        fold[stream.permutation(np.flatnonzero(labels == label))[:count]] = 1
    return fold


def _grouped_folds(dataset: Dataset, groups: Groups, validation: Mapping[str, Any]) -> Array:
    """Return the fold of each training image, `(n,)`, as the other functions do, but divide no group.

    With a single validation split, every class has at least one image in both splits; with folds, every class
    is in the training images of every fold.
    """
    folds = count_folds(validation)
    share = validation.get("fraction", 0.0)
    part: Array = divide_groups(
        np.asarray(dataset.train.labels),
        [groups.names[code] for code in groups.codes["train"]],
        dataset.class_names,
        [1 / folds] * folds if folds > 1 else [1 - share, share],
        random_stream(validation["seed"]),
        where=_setting(validation),
    )
    return part + 1 if folds > 1 else part


def _few_group_warning(dataset: Dataset, groups: Groups, folds: int) -> str:
    """Return a sentence about classes with fewer groups than folds; "" if there is none."""
    labels, codes = np.asarray(dataset.train.labels), groups.codes["train"]
    num_groups = {int(label): len(np.unique(codes[labels == label])) for label in np.unique(labels)}
    few = [label for label, count in num_groups.items() if count < folds]
    if not few:
        return ""
    more = f" and {len(few) - 1} other {'class' if len(few) == 2 else 'classes'}" if len(few) > 1 else ""
    has = "has" if len(few) == 1 else "have"
    return (
        f"Class '{dataset.class_names[few[0]]}' ({count_text(num_groups[few[0]], 'group')}){more} {has} "
        f"fewer groups than there are folds ({folds}), so some folds are validated without it."
    )


def _class_counts(dataset: Dataset, minimum: int, purpose: str) -> tuple[Array, Array]:
    """Return the labels in the training split, and the number of images of each.

    Raises DataError if a class has fewer than `minimum` images, with `purpose` in the message.
    """
    classes, counts = np.unique(np.asarray(dataset.train.labels), return_counts=True)
    least = int(counts.min())
    if least < minimum:
        name = dataset.class_names[int(classes[counts.argmin()])]
        images = count_text(least, "image")
        fewer = f"Set folds = {least}{' or fewer' if least > 2 else ''}, or add images"
        fix = fewer if least > 1 else "Add images"
        raise DataError(
            f"cannot cut {purpose}: expected at least {minimum} training images of each class, "
            f"got {images} of class '{name}'. {fix}."
        )
    return classes, counts


def _subset(split: Split, is_selected: Array) -> Split:
    """Return the selected images and labels; images stay in the memory map until they are used."""
    return Split(Rows(split.images, is_selected), split.labels[is_selected])


class Rows:
    """Selected rows of `array`, `(n, …)`, indexed like a NumPy array along the first axis.

    `array[is_selected]` would copy all selected rows of a memory map into memory, in every trial. This class
    reads only the requested rows: `rows[3]`, `rows[:2]`, `rows[[5, 1]]`.
    """

    def __init__(self, array: Array, is_selected: Array) -> None:
        self._array = array
        self._numbers = np.flatnonzero(is_selected)
        self.dtype = array.dtype
        self.shape = (len(self._numbers), *array.shape[1:])

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, rows: Any) -> Array:
        return np.asarray(self._array[self._numbers[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._array[self._numbers], dtype=dtype)
