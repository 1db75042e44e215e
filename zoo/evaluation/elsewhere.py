"""Scores of any model on any dataset with the same classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import Dataset
from zoo.data.store import image_names, open_dataset
from zoo.errors import ModelError, StudyError, ZooError, listed, shape_text
from zoo.evaluation.result import Evaluation
from zoo.metrics import all_metrics
from zoo.models import FoundModel
from zoo.models.recorded import configure, prepare
from zoo.record import StudyDirectory
from zoo.registry import IN_MEMORY, Component, Registry
from zoo.training.info import ModelInfo
from zoo.training.measuring import measure_predictions
from zoo.training.saved import other_versions, predict_splits
from zoo.training.worker import call_in_worker
from zoo.trial import PluginConfig
from zoo.tuning.display import Display

SPLITS = ("test", "validation", "train")
_MAX_LISTED = 5


def evaluate_on(
    found: FoundModel,
    dataset: str | Dataset | None,
    overrides: Sequence[str],
    split: str | None,
    display: Display,
) -> Evaluation:
    """Score a model on a split of a dataset, or on all its images if `split` is `all`.

    Without `dataset`, use the dataset that the model was trained on, from the cache of the working folder.
    """
    cache_dir = StudyDirectory(Path.cwd(), "").cache_dir
    if dataset is None:
        name, digest, opened = found.info.dataset, found.info.digest, _own_dataset(found)
    else:
        name = dataset if isinstance(dataset, str) else IN_MEMORY
        digest = prepare(_source(dataset, overrides, found.info), {}, cache_dir, display).digest
        opened = open_dataset(cache_dir, digest)
    if split is None:
        split = "all" if isinstance(dataset, Dataset) and dataset.test is None else "test"
    title = f"the dataset '{name}'"
    _check_shape(found, title, opened.train.images.shape[1:], name == IN_MEMORY)
    order = _class_order(found, title, opened.class_names)
    splits = _splits(title, opened, split)
    display.phase("loading the model, scoring it …")
    for warning in other_versions(found.path, found.name):
        display.problem(warning)
    try:
        log_path = cache_dir / "evaluate.log"
        probabilities, labels = call_in_worker(
            predict_splits, found.path, cache_dir, digest, splits, log_path=log_path
        )
    except ZooError as error:
        raise ZooError(f"{found.name}: {error}") from None
    probabilities = np.asarray(probabilities)[:, order]
    metrics = dict(all_metrics(labels, probabilities))
    metrics |= _registered(found.info, metrics, labels, probabilities, log_path, display)
    return Evaluation(
        study=found.info.study,
        name=found.name,
        metrics=metrics,
        class_names=tuple(opened.class_names),
        labels=labels,
        probabilities=probabilities,
        image_names=_image_names(cache_dir, digest, opened, splits),
        dataset=name,
        split=split,
        source=opened.source,
        warning=opened.warning,
    )


def _own_dataset(found: FoundModel) -> Dataset:
    """Return the training dataset of a model without a record; an error names the option for another one."""
    try:
        return found.dataset()
    except ZooError:
        fix = f"Name a dataset with --dataset {found.info.dataset or 'NAME'}."
        if found.info.dataset == IN_MEMORY:
            fix = "Pass it in Python, zoo.evaluate(…, dataset=…)."
        raise ModelError(
            f"the cache of this folder does not have the dataset that the model {found.name} was trained on. "
            f"{fix}"
        ) from None


def _source(dataset: str | Dataset, overrides: Sequence[str], info: ModelInfo) -> PluginConfig | Dataset:
    """Return the data to prepare: a dataset in memory, or a named one with images of the model's size."""
    if isinstance(dataset, str):
        component = Registry.load().get("dataset", dataset)
        return configure(component, overrides, _image_parameters(component, info))
    if overrides:
        raise StudyError(
            f"data in memory has no parameters, got overrides {list(overrides)}; leave them out."
        )
    return dataset


def _registered(
    info: ModelInfo, known: Collection[str], labels: Any, probabilities: Any, log_path: Path, display: Display
) -> dict[str, float]:
    """Return the scores by metrics that the model's study measured, except those in `known`."""
    measured = [name.removeprefix("best_val_") for name in info.metrics if name.startswith("best_val_")]
    names = [name for name in measured if name not in (*known, "loss") and not name.endswith("_std")]
    if not names:
        return {}
    values, problems = call_in_worker(measure_predictions, names, labels, probabilities, log_path=log_path)
    for problem in problems:
        display.problem(f"a score is missing: {problem}")
    return dict(values)


def _image_parameters(component: Component, info: ModelInfo) -> Mapping[str, Any]:
    """Return the parameters with which a dataset of image files has images of the model's shape."""
    if not {"image_size", "color_mode"} <= set(component.space) or not info.color_mode:
        return {}
    size = (info.image_height, info.image_width)
    values = {"image_size": size, "color_mode": info.color_mode, **info.decoding}
    return {name: value for name, value in values.items() if name in component.space}


def _check_shape(found: FoundModel, title: str, shape: Sequence[int], is_in_memory: bool) -> None:
    expected = found.info.image_shape
    if all(expected) and tuple(shape) != expected:  # has zeros if the model file does not name the size
        given, wanted = shape_text(shape), shape_text(expected)
        fix = "Choose another dataset, or set its parameters with --set."
        raise StudyError(
            f"{title} has images of {given} (height × width × channels), but the model {found.name} takes "
            f"{wanted}. {'Resize the images.' if is_in_memory else fix}"
        )


def _class_order(found: FoundModel, title: str, class_names: Sequence[str]) -> list[int]:
    """Return the model's output for each class of the dataset; an error names the classes that differ."""
    known = found.info.class_names
    if known is None:
        raise ModelError(
            f"the model {found.name} does not name its classes, so they cannot be compared with those of a "
            "dataset. Expected a model that zoo saved."
        )
    missing = [name for name in class_names if name not in known]
    unused = [name for name in known if name not in class_names]
    if missing or unused:
        parts = [f"the model does not know {_listed(missing)}"] if missing else []
        parts += [f"the dataset does not have {_listed(unused)}"] if unused else []
        raise StudyError(f"{title} has other classes than the model {found.name}: {'; '.join(parts)}.")
    return [known.index(name) for name in class_names]


def _listed(names: Sequence[str]) -> str:
    return listed([f"'{name}'" for name in names], _MAX_LISTED)


def _splits(title: str, dataset: Dataset, split: str) -> list[str]:
    available = [name for name in SPLITS if getattr(dataset, name) is not None]
    if split == "all":
        return available
    if split not in available:
        raise StudyError(f"{title} has no {split} split. Available: {', '.join(available)}, all.")
    return [split]


def _image_names(cache_dir: Path, digest: str, dataset: Dataset, splits: Sequence[str]) -> list[str]:
    """Return the names of the images of splits; for several splits without names `test 0`, `test 1` …"""
    named = {split: image_names(cache_dir, digest, split) for split in splits}
    if len(splits) > 1:
        for split in splits:
            rows = range(len(getattr(dataset, split)))
            named[split] = named[split] or [f"{split} {row}" for row in rows]
    return [name for split in splits for name in named[split]]
