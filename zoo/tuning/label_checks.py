"""Checks of a study against the labels of its dataset, before the first trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.data.store import open_dataset
from zoo.study import StudyDefinition
from zoo.training.class_weights import class_weights


def check_labels(definition: StudyDefinition, cache_dir: Path, digest: str) -> None:
    """Raise StudyError if the study cannot be run with the labels of this prepared dataset."""
    weights = definition.training.get("class_weight")
    if weights is not None and isinstance(weights.default, Mapping):
        dataset = open_dataset(cache_dir, digest)
        class_weights(weights.default, dataset.train.labels, dataset.class_names)
