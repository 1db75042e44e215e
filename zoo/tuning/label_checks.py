"""Checks of a study against the labels of its dataset, before the first trial."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zoo.data import Dataset, Split
from zoo.data.quality import without_followed_advice
from zoo.data.store import open_dataset
from zoo.data.validation import training_and_validation
from zoo.errors import StudyError
from zoo.registry import OWN_DISTRIBUTION
from zoo.study import StudyDefinition
from zoo.training.class_weights import class_weights

_TOP = 5


def check_labels(definition: StudyDefinition, cache_dir: Path, digest: str) -> None:
    """Raise StudyError if the study cannot be run with the labels of this prepared dataset."""
    setting = definition.training.get("class_weight")
    table = setting.default if setting is not None and isinstance(setting.default, Mapping) else None
    # A plugin may register another metric with one of these names.
    own = {metric for metric, one in definition.metrics.items() if one.distribution == OWN_DISTRIBUTION}
    if table is None and not own & {"val_auc", "val_top5_accuracy"}:
        return
    dataset = open_dataset(cache_dir, digest)
    if "val_top5_accuracy" in own and len(dataset.class_names) <= _TOP:
        raise StudyError(
            f"val_top5_accuracy: expected a dataset with at least {_TOP + 1} classes, got "
            f"{len(dataset.class_names)}, so it would always be 1; use val_accuracy"
        )
    for fold in range(1, definition.folds + 1):
        splits = training_and_validation(cache_dir, digest, dataset, definition.validation, fold)
        if table is not None:
            class_weights(table, splits[0].labels, dataset.class_names)
        if "val_auc" in own:
            _check_auc(dataset, splits[1], f"fold {fold}" if definition.folds > 1 else "the validation split")


def warning_for_study(definition: StudyDefinition, warning: str) -> str:
    """Return a dataset's warning without the advice that the study follows already."""
    setting = definition.training.get("class_weight")
    weights = None if setting is None else setting.default
    return without_followed_advice(warning, weights, definition.objectives[0].metric)


def _check_auc(dataset: Dataset, validation: Split, title: str) -> None:
    """Raise StudyError if a class has no validation images."""
    counts = np.bincount(np.asarray(validation.labels, np.int64), minlength=len(dataset.class_names))
    if not counts.all():
        raise StudyError(
            f"val_auc: {title} has no image of class '{dataset.class_names[int(counts.argmin())]}', so this "
            "class cannot be compared with the rest; use val_balanced_accuracy, or add images"
        )
