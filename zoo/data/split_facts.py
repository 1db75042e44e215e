"""Numbers of images and groups in the splits of a dataset, and their text. Needs no NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.errors import count_text


@dataclass(frozen=True)
class SplitFacts:
    """The numbers of images and groups in a split, or in a fold."""

    class_counts: Sequence[int]
    num_groups: int | None = None  # None without `[validation] group`

    @property
    def images(self) -> int:
        return sum(self.class_counts)


def splits_text(splits: Mapping[str, SplitFacts]) -> str:
    """Return `train 43 images (21 to 22 per class, 10 groups), validation 5 (2 to 3, 2 groups)`."""
    folds = [facts for name, facts in splits.items() if name.startswith("fold ")]
    parts: list[str] = []
    for name, facts in splits.items():
        if name.startswith("fold "):
            continue
        per_class = range_text(facts.class_counts) + (" per class" if not parts else "")
        groups = "" if facts.num_groups is None else f", {count_text(facts.num_groups, 'group')}"
        images = f"{facts.images:,}" if parts else count_text(facts.images, "image")
        parts.append(f"{name} {images} ({per_class}{groups})")
        if name == "train" and folds:
            parts[0] += f" in {len(folds)} folds of {range_text([fold.images for fold in folds])}"
            if facts.num_groups is not None:
                parts[0] += f" ({range_text([fold.num_groups or 0 for fold in folds])} groups)"
    return ", ".join(parts)


def range_text(numbers: Sequence[int]) -> str:
    """Return `21 to 22`, or `21` if all numbers are equal."""
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
