"""What a dataset plugin returns: arrays, and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Args:
        images: `uint8`, shape `(n, height, width, channels)`; an array or a memory map.
        labels: integers, shape `(n,)`, each in `0 .. number of classes - 1`.
    """

    images: Any
    labels: Any

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A dataset: what to train on, and, where the source has them, splits of its own.

    Without a `validation` split zoo takes a stratified part of `train`, as the study says.
    The `test` split is touched once, by the champion.

    Args:
        source: where the arrays came from, in a few words, for the record. Two sources of one
            dataset can never share a study.
        warning: what a user of this source must know before they believe a figure; shown once,
            loudly, and recorded with every run.
    """

    train: Split
    validation: Split | None = None
    test: Split | None = None
    class_names: Sequence[str] = ()
    source: str = ""
    warning: str = ""
