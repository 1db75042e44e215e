"""Finding and preparing the dataset that a figure or a table shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.data import Dataset
from zoo.data.contract import check_contract
from zoo.data.prepare import prepared_before, titled_errors, with_warnings
from zoo.data.quality import ImageFact
from zoo.data.split_facts import SplitFacts
from zoo.data.splits import split_facts
from zoo.data.store import open_dataset, with_columns
from zoo.data.validation import fold_of_images
from zoo.errors import StudyError
from zoo.models.recorded import configure, prepare, recorded_in_memory
from zoo.record import StudyDirectory
from zoo.registry import IN_MEMORY, PluginFile, Registry, using_plugins
from zoo.study import load_study
from zoo.trial import PluginConfig, count_folds
from zoo.tuning.display import Display


@dataclass(frozen=True)
class DatasetSource:
    """A dataset to show: data in memory, a dataset by name, or the dataset of a study.

    Args:
        name: the name of the dataset.
        content: its configuration, or data in memory, or the digest of data in memory that a study used.
        study: the name of the study; "" without one.
        validation: the table `[validation]` of the study; {} without one.
        plugin_files: the plugin files of the study.
    """

    name: str
    content: PluginConfig | Dataset | str
    study: str = ""
    validation: Mapping[str, Any] = field(default_factory=dict)
    plugin_files: Sequence[PluginFile] = ()

    @property
    def file_name(self) -> str:
        """The name as part of a file name."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class OpenedDataset:
    """A prepared dataset.

    Args:
        dataset: the dataset, with the names and columns of its images.
        splits: facts about the splits; with a study, after its validation split is cut.
        digest: the digest of the content; "" for data in memory.
        fold: `(n,)`, 1 for each training image that the study moves into its validation split, else 0; None
            if no image is moved.
    """

    source: DatasetSource
    dataset: Dataset
    splits: Mapping[str, SplitFacts]
    digest: str = ""
    fold: Any = None

    def split_of(self, image: ImageFact) -> str:
        """Return the split of an image, as the study divides the dataset."""
        is_held_out = self.fold is not None and image.split == "train" and self.fold[image.position] == 1
        return "validation" if is_held_out else image.split


def find_source(dataset: str | Dataset | None, study: str | None, overrides: Sequence[str]) -> DatasetSource:
    """Return the dataset that the arguments name; raise ZooError if they are invalid."""
    if (dataset is None) == (study is None):
        raise StudyError(
            f"expected a dataset or --study STUDY, got {'both' if study else 'neither'}; name one of them."
        )
    is_recorded_in_memory = study is not None and recorded_in_memory(study) is not None
    if overrides and (is_recorded_in_memory or isinstance(dataset, Dataset)):
        raise StudyError(
            f"data in memory has no parameters, got overrides {list(overrides)}; leave them out."
        )
    if isinstance(dataset, Dataset):
        return DatasetSource(IN_MEMORY, dataset)
    if dataset is not None:
        config = configure(Registry.load().get("dataset", dataset), overrides)
        return DatasetSource(config.name, config)
    assert study is not None
    if is_recorded_in_memory:  # the study file does not name this dataset
        return _recorded_source(StudyDirectory(Path.cwd(), study))
    definition = load_study(study, Registry.load(), overrides=overrides)
    return DatasetSource(
        definition.dataset.name,
        definition.dataset,
        definition.name,
        definition.validation,
        definition.plugin_files,
    )


def _recorded_source(directory: StudyDirectory) -> DatasetSource:
    """Return the data in memory that the trials of a study used."""
    digest = str(directory.digest_in_memory())
    validation = next(one["validation"] for one in directory.configs() if one.get("digest") == digest)
    return DatasetSource(IN_MEMORY, digest, directory.study, validation)


def open_source(source: DatasetSource, display: Display) -> OpenedDataset:
    """Prepare a dataset, and cut the validation split of a study. For data in memory, only check it."""
    cache_dir = StudyDirectory(Path.cwd(), "").cache_dir
    content = source.content
    if isinstance(content, Dataset):
        with titled_errors(f"the dataset {IN_MEMORY}"):
            check_contract(content)
        if warning := with_warnings(content).warning:
            display.problem(warning)
        return OpenedDataset(source, content, split_facts(cache_dir, "", content, {}))
    if isinstance(content, str):
        prepared = prepared_before(content, source.validation, cache_dir)
    else:
        with using_plugins(source.plugin_files):
            prepared = prepare(content, source.validation, cache_dir, display)
    digest, validation = prepared.digest, prepared.validation
    opened = with_columns(cache_dir, digest, open_dataset(cache_dir, digest))
    is_cut = validation and opened.validation is None and count_folds(validation) == 1
    fold = fold_of_images(cache_dir, digest, opened, validation) if is_cut else None
    return OpenedDataset(source, opened, prepared.splits, digest, fold)
