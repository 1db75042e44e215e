"""Facts about the splits of a dataset for the record: images of each class, and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.groups import open_groups
from zoo.data.store import SplitFacts
from zoo.data.validation import fold_of_images
from zoo.trial import count_folds


def split_facts(
    cache: Path, digest: str, dataset: Dataset, validation: Mapping[str, Any]
) -> dict[str, SplitFacts]:
    """Return the facts about `train`, `validation` and `test`, as `[validation]` cuts them.

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


def splits_text(splits: Mapping[str, SplitFacts]) -> str:
    """Return `train 43 images (21 to 22 per class, 10 groups), validation 5 (2 to 3, 2 groups)`."""
    folds = [facts for name, facts in splits.items() if name.startswith("fold ")]
    parts: list[str] = []
    for name, facts in splits.items():
        if name.startswith("fold "):
            continue
        per_class = _range(facts.class_counts) + (" per class" if not parts else "")
        groups = "" if facts.num_groups is None else f", {_counted(facts.num_groups, 'group')}"
        images = f"{facts.images:,}" if parts else _counted(facts.images, "image")
        parts.append(f"{name} {images} ({per_class}{groups})")
        if name == "train" and folds:
            parts[0] += f" in {len(folds)} folds of {_range([fold.images for fold in folds])}"
            if facts.num_groups is not None:
                parts[0] += f" ({_range([fold.num_groups or 0 for fold in folds])} groups)"
    return ", ".join(parts)


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
