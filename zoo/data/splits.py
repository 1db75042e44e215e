"""Counting the images and groups in the splits of a dataset, for the record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.groups import open_groups
from zoo.data.split_facts import SplitFacts
from zoo.data.validation import fold_of_images
from zoo.trial import count_folds


def split_facts(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]
) -> dict[str, SplitFacts]:
    """Return the facts about `train`, `validation` and `test`, as divided by `[validation]`.

    With folds, `train` has the images of all folds, and `fold 1` … replace `validation`.
    """
    group_digest = validation.get("group_digest")
    codes = open_groups(cache / digest, group_digest).codes if group_digest else {}

    def facts(name: str, is_selected: Any = slice(None)) -> SplitFacts:
        labels = np.asarray(getattr(dataset, name).labels)[is_selected]
        counts = np.bincount(labels, minlength=len(dataset.class_names)).tolist()
        return SplitFacts(counts, len(np.unique(codes[name][is_selected])) if codes else None)

    found = {name: facts(name) for name in dataset.splits()}
    if dataset.validation is not None or not validation:
        return found
    fold = fold_of_images(cache, digest, dataset, validation)
    folds = count_folds(validation)
    if folds > 1:
        cut = {f"fold {number}": facts("train", fold == number) for number in range(1, folds + 1)}
    else:
        cut = {"train": facts("train", fold == 0), "validation": facts("train", fold == 1)}
    test = {"test": found.pop("test")} if "test" in found else {}
    return {**found, **cut, **test}
