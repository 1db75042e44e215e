"""The return value of a dataset plugin: arrays and class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`; an array or a memory map.
        labels: integers, shape `(n,)`, from 0 to the number of classes - 1.
        columns: further facts about each image by name, shape `(n,)`, such as the photographed person. Text,
            numbers and dates are kept in the cache; `[validation] group` may name such a column.
        names: of the images for messages, shape `(n,)`, such as their files.
    """

    images: Any
    labels: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    names: Any = None

    def take(self, indices: Any) -> Split:
        """Return the images at these positions, in this order, with all their facts."""
        return Split(
            self.images[indices],
            self.labels[indices],
            {name: values[indices] for name, values in self.columns.items()},
            None if self.names is None else self.names[indices],
        )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training split, and a validation and a test split if the source has them.

    Without a `validation` split, zoo cuts one from `train`, stratified by label, according to the study's
    `[validation]`. The `test` split is used once, to score the best trial.

    Args:
        source: where the arrays came from, in a few words, for the record. Trials on two sources of the
            same dataset cannot share a study.
        warning: what a user has to know about this source before they trust a result. It is shown at the
            start of a study and recorded with every run.
        licence: of the images, such as `CC BY 4.0`; "" if it is unknown. It is part of a model's card.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    class_names: Sequence[str] = ()
    source: str = ""
    warning: str = ""
    licence: str = ""

    def splits(self) -> dict[str, Split]:
        """Return the splits that the dataset has, by name, train first."""
        return {name: split for name in SPLITS if (split := getattr(self, name)) is not None}
