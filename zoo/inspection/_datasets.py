"""Pictures of a dataset: its classes, an augmentation policy at work on it, the classic kernels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import figures
from zoo.data import Dataset
from zoo.data.store import open_dataset
from zoo.errors import SpaceError, StudyError, ZooError, did_you_mean
from zoo.inspection._network import augmented
from zoo.inspection._picture import Picture, checked_output, image_of, written
from zoo.models.recorded import prepare
from zoo.record import StudyDirectory
from zoo.registry import Component, Registry
from zoo.study import load_study, parse_value
from zoo.training.worker import call_in_worker, start_loading_keras
from zoo.trial import PluginConfig
from zoo.tuning.display import Display, PlainDisplay

Output = str | os.PathLike[str] | None

_VALIDATION = {"fraction": 0.1, "seed": 0}  # where no study says how it is cut; nothing here looks at it
_WHERE = "the training split"


def samples(
    dataset: str | None = None,
    *,
    study: str | None = None,
    overrides: Sequence[str] = (),
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """A few images of every class of a dataset's training split, and how many there are of each.

    Args:
        dataset: a registered one; or
        study: a study whose dataset is meant, with the parameters it has there.
        overrides: parameters of the dataset, `["count=500"]`; of a study, as `--set` takes them.
        output: the PNG to write; `samples-DATASET.png` in the working folder by default.
        display: told of the progress; plain lines on stderr by default.

    Raises:
        ZooError: something a person can put right.
    """
    source = _source(dataset, study, overrides)
    path = checked_output(output, Path(f"samples-{source.name}.png"))
    data = source.open(display or PlainDisplay())
    return written(
        lambda path: figures.samples(
            data.train.images,
            data.train.labels,
            data.class_names,
            path,
            title=source.name,
            note=_WHERE,
        ),
        path,
    )


def kernels(
    dataset: str | None = None,
    *,
    study: str | None = None,
    image: int = 0,
    overrides: Sequence[str] = (),
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """What smoothing and edge-finding kernels make of one image of a dataset's training split.

    Args:
        image: its number, the first is 0.
        dataset, study, overrides, output, display: as for `samples`.

    Raises:
        ZooError: something a person can put right.
    """
    source = _source(dataset, study, overrides)
    path = checked_output(output, Path(f"kernels-{source.name}-{image}.png"))
    data = source.open(display or PlainDisplay())
    pixels = image_of(data.train.images, image, _WHERE)
    name = data.class_names[int(data.train.labels[image])]
    title, told = f"{source.name}, image {image}", f"of class {name}; four kernels of 3×3 on its grey levels"
    return written(lambda path: figures.kernels(pixels, path, title=title, subtitle=told), path)


def augmentation(
    policy: str,
    dataset: str | None = None,
    *,
    study: str | None = None,
    image: int = 0,
    seed: int = 0,
    overrides: Sequence[str] = (),
    output: Output = None,
    display: Display | None = None,
) -> Picture:
    """What an augmentation policy does: many versions of one image, and one version of several.

    Args:
        policy: a registered one.
        dataset: the images' dataset; or
        study: a study, for its dataset, and for its parameters of the policy if it names that.
        image: number of the first image in the training split, the first is 0.
        seed: for the same versions again.
        overrides: parameters of the policy, `["rotation=20"]`, and of the dataset,
            `["dataset.count=500"]`.
        output: the PNG to write; `augmentation-POLICY-DATASET.png` in the working folder by default.
        display: as for `samples`.

    Raises:
        ZooError: something a person can put right.
    """
    display = display or PlainDisplay()
    of_dataset = [one for one in overrides if one.startswith("dataset.")]
    of_policy = [one for one in overrides if one not in of_dataset]
    source = _source(dataset, study, of_dataset)
    entry = Registry.load().get("augmentation", policy)
    chosen = _chosen(entry, of_policy, _defaults_in(study, entry))
    path = checked_output(output, Path(f"augmentation-{policy}-{source.name}.png"))
    start_loading_keras()
    data = source.open(display)
    original = image_of(data.train.images, image, _WHERE)
    numbers = _spread(image, len(data.train.images), figures.AUGMENTED_IMAGES)
    originals = np.stack([np.asarray(data.train.images[number]) for number in numbers])
    copies = np.repeat(original[None], figures.AUGMENTED_VERSIONS, axis=0)
    display.phase("augmenting …")
    try:
        log = source.cache / "inspect.log"
        versions, others = call_in_worker(augmented, chosen, [copies, originals], seed, log_path=log)
    except ZooError as error:
        raise ZooError(f"The augmentation '{policy}' of {entry.origin}: {error}") from None
    told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in chosen.parameters.items())
    return written(
        lambda path: figures.augmentation(
            original,
            versions,
            originals,
            others,
            path,
            title=f"{policy} on {source.name}, image {image} and others",
            subtitle=told or "it has no parameters",
        ),
        path,
    )


def _spread(first: int, images: int, count: int) -> list[int]:
    """Up to `count` numbers of `images`, `first` and others at equal distances: files are often sorted."""
    count = min(count, images)
    return [(first + place * images // count) % images for place in range(count)]


@dataclass(frozen=True)
class _Source:
    """A dataset that was named, not read yet."""

    dataset: PluginConfig
    validation: Mapping[str, Any]
    cache: Path

    @property
    def name(self) -> str:
        return self.dataset.name

    def open(self, display: Display) -> Dataset:
        prepared = prepare(self.dataset, self.validation, self.cache, display)
        return open_dataset(self.cache, prepared.digest)


def _source(dataset: str | None, study: str | None, overrides: Sequence[str]) -> _Source:
    """The dataset of that name, or that of a study."""
    if (dataset is None) == (study is None):
        raise StudyError("Whose images? Name either a dataset or, with --study STUDY, the study that has it")
    registry = Registry.load()
    cache = StudyDirectory(Path.cwd(), study or "").cache_dir
    if study is not None:
        definition = load_study(study, registry, overrides=overrides)
        return _Source(definition.dataset, definition.validation, cache)
    assert dataset is not None
    return _Source(_chosen(registry.get("dataset", dataset), overrides), _VALIDATION, cache)


def _chosen(
    entry: Component, overrides: Sequence[str], values: Mapping[str, Any] | None = None
) -> PluginConfig:
    """`entry` with `values`, and over them what `overrides` set: `count=500`, or `dataset.count=500`."""
    told = f"{entry.kind} {entry.name}"
    values = dict(values or {})
    for override in overrides:
        key, equals, text = override.removeprefix(f"{entry.kind}.").partition("=")
        if not equals:
            raise StudyError(f"--set {override}: expected KEY=VALUE, such as rotation=20")
        key = key.strip()
        if key not in entry.space:
            hint = did_you_mean(key, entry.space) if entry.space else "It has none."
            raise SpaceError(f"--set {override}: the {told} has no parameter '{key}'. {hint}")
        try:
            values[key] = entry.space[key].domain.check(parse_value(text))
        except SpaceError as error:
            raise SpaceError(f"--set {override}: {error}") from None
    try:
        return PluginConfig(entry.name, entry.space.check(values))
    except SpaceError as error:  # one that has to be given, or two that do not go together
        raise SpaceError(f"--set: the {told}: {error}") from None


def _defaults_in(study: str | None, entry: Component) -> Mapping[str, Any]:
    """What a study pins of a policy, if it names that."""
    if study is None:
        return {}
    space = load_study(study, Registry.load()).augmentation.spaces.get(entry.name)
    return {} if space is None else space.defaults()
