"""Preparation of the dataset that a figure or a table shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data import Dataset
from zoo.data.contract import check_contract
from zoo.data.quality import ImageFact
from zoo.data.splits import split_facts
from zoo.data.store import SplitFacts, open_dataset, with_columns
from zoo.data.validation import fold_of_images
from zoo.errors import StudyError
from zoo.models.recorded import configure, prepare
from zoo.record import StudyDirectory
from zoo.registry import Registry
from zoo.study import load_study
from zoo.trial import count_folds
from zoo.tuning.display import Display


@dataclass(frozen=True)
class OpenedDataset:
    """A dataset, in memory, named, or that of a study.

    Args:
        name: of the dataset.
        dataset: with the names and columns of its images.
        splits: facts about its splits, as a study divides it.
        study, digest: the name of the study, and the digest of its data; "" without a study.
        fold: with the single validation split that a study cuts, 1 for its images and 0 for the others,
            `(n,)`; else None.
    """

    name: str
    dataset: Dataset
    splits: Mapping[str, SplitFacts]
    study: str = ""
    digest: str = ""
    fold: Any = None

    def split_of(self, image: ImageFact) -> str:
        """Return the split of an image, as the study divides the dataset."""
        is_held_out = self.fold is not None and image.split == "train" and self.fold[image.position] == 1
        return "validation" if is_held_out else image.split


def open_inspected(
    dataset: str | Dataset | None, study: str | None, overrides: Sequence[str], display: Display
) -> OpenedDataset:
    """Prepare a dataset, or that of a study with the study's validation split; one in memory is checked."""
    check_named(dataset, study)
    cache_dir = StudyDirectory(Path.cwd(), "").cache_dir
    if isinstance(dataset, Dataset):
        check_contract(dataset)
        return OpenedDataset(dataset.source or "dataset", dataset, split_facts(cache_dir, "", dataset, {}))
    registry = Registry.load()
    if dataset is not None:  # without a study, no validation split is cut
        config = configure(registry.get("dataset", dataset), overrides)
        prepared = prepare(config, {}, cache_dir, display)
        opened = with_columns(cache_dir, prepared.digest, open_dataset(cache_dir, prepared.digest))
        return OpenedDataset(config.name, opened, prepared.splits)
    assert study is not None
    definition = load_study(study, registry, overrides=overrides)
    prepared = prepare(definition.dataset, definition.validation, cache_dir, display)
    opened = with_columns(cache_dir, prepared.digest, open_dataset(cache_dir, prepared.digest))
    is_cut = opened.validation is None and count_folds(prepared.validation) == 1
    fold = fold_of_images(cache_dir, prepared.digest, opened, prepared.validation) if is_cut else None
    name = definition.dataset.name
    return OpenedDataset(name, opened, prepared.splits, definition.name, prepared.digest, fold)


def check_named(dataset: object, study: object) -> None:
    """Raise StudyError unless exactly one of the two is given."""
    if (dataset is None) == (study is None):
        raise StudyError(
            f"expected a dataset or --study STUDY, got {'both' if study else 'none'}; name one of them."
        )
