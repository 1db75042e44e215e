"""Preparation of the dataset that a figure or a table shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data import Dataset
from zoo.data.contract import check_contract
from zoo.data.prepare import prepared_before
from zoo.data.quality import ImageFact
from zoo.data.split_facts import SplitFacts
from zoo.data.splits import split_facts
from zoo.data.store import PreparedDataset, open_dataset, with_columns
from zoo.data.validation import fold_of_images
from zoo.errors import RecordError, StudyError
from zoo.models.recorded import configure, prepare, recorded_in_memory
from zoo.record import StudyDirectory
from zoo.registry import IN_MEMORY, Registry, using_plugins
from zoo.study import load_study
from zoo.trial import count_folds
from zoo.tuning.display import Display


@dataclass(frozen=True)
class OpenedDataset:
    """A dataset that is shown: data in memory, a dataset by its name, or that of a study.

    Args:
        name: the name of the dataset.
        dataset: the dataset, with the names and columns of its images.
        splits: facts about the splits; those of a study after its validation split is cut.
        study, digest: the name of the study, and the digest of its data; "" without a study.
        fold: `(n,)`, 1 for each training image that the study moves into its validation split, else 0; None
            if it moves none.
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
    """Prepare a dataset, or that of a study with its validation split. Data in memory is only checked."""
    check_named(dataset, study)
    cache_dir = StudyDirectory(Path.cwd(), "").cache_dir
    if isinstance(dataset, Dataset):
        refuse_overrides(overrides)
        check_contract(dataset)
        return OpenedDataset(IN_MEMORY, dataset, split_facts(cache_dir, "", dataset, {}))
    if dataset is not None:  # without a study, no validation split is cut
        config = configure(Registry.load().get("dataset", dataset), overrides)
        prepared = prepare(config, {}, cache_dir, display)
        opened = with_columns(cache_dir, prepared.digest, open_dataset(cache_dir, prepared.digest))
        return OpenedDataset(config.name, opened, prepared.splits)
    name, study, prepared = _prepare_of_study(str(study), overrides, cache_dir, display)
    opened = with_columns(cache_dir, prepared.digest, open_dataset(cache_dir, prepared.digest))
    is_cut = opened.validation is None and count_folds(prepared.validation) == 1
    fold = fold_of_images(cache_dir, prepared.digest, opened, prepared.validation) if is_cut else None
    return OpenedDataset(name, opened, prepared.splits, study, prepared.digest, fold)


def _prepare_of_study(
    study: str, overrides: Sequence[str], cache_dir: Path, display: Display
) -> tuple[str, str, PreparedDataset]:
    """Return the name of a study's dataset, the study's name, and the prepared dataset."""
    if recorded_in_memory(study) is not None:  # the study file does not name this dataset
        refuse_overrides(overrides)
        directory = StudyDirectory(Path.cwd(), study)
        digest = str(directory.digest_in_memory())
        configs = (_config(directory, number) for number in directory.numbers())
        validation = next(config["validation"] for config in configs if config.get("digest") == digest)
        return IN_MEMORY, directory.study, prepared_before(digest, validation, cache_dir)
    definition = load_study(study, Registry.load(), overrides=overrides)
    with using_plugins(definition.plugin_files):
        prepared = prepare(definition.dataset, definition.validation, cache_dir, display)
    return definition.dataset.name, definition.name, prepared


def _config(directory: StudyDirectory, number: int) -> Mapping[str, Any]:
    """Return the configuration of a trial; {} if it is missing or damaged."""
    with suppress(RecordError):
        return directory.trial(number).config() or {}
    return {}


def refuse_overrides(overrides: Sequence[str]) -> None:
    """Raise StudyError if there are overrides: data in memory has no parameters."""
    if overrides:
        raise StudyError(
            f"data in memory has no parameters, got overrides {list(overrides)}; leave them out."
        )


def check_named(dataset: object, study: object) -> None:
    """Raise StudyError unless exactly one of the two is given."""
    if (dataset is None) == (study is None):
        raise StudyError(
            f"expected a dataset or --study STUDY, got {'both' if study else 'neither'}; name one of them."
        )
