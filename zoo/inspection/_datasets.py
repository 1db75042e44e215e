"""Figures of a dataset: samples of its classes, an augmentation policy, the classic kernels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import figures
from zoo.data import Dataset
from zoo.errors import ZooError, count_text
from zoo.inspection._figure import Figure, OptionalPath, image_at, output_path
from zoo.inspection._network import augment
from zoo.inspection._opening import find_source, open_source
from zoo.models.recorded import configure
from zoo.record import StudyDirectory
from zoo.registry import PluginFile, Registry, takes_plugins, using_plugins
from zoo.space import Space
from zoo.training.worker import call_in_worker, start_loading_keras
from zoo.tuning.display import Display, PlainDisplay
from zoo.tuning.opening import load_definition


@takes_plugins
def samples(
    dataset: str | Dataset | None = None,
    *,
    study: str | None = None,
    overrides: Sequence[str] = (),
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw a few training images of every class of a dataset, with the number of images in each class.

    Args:
        dataset: the name of a dataset, or data in memory.
        study: the name of a study, instead of `dataset`: draw its dataset with the study's parameters.
        overrides: parameters of the dataset, `["count=500"]`; with a study, `["dataset.count=500"]`.
        output: the PNG file to write; `samples-DATASET.png` in the working folder by default.
        plugins: plugin files that the dataset needs: paths, or imported modules.
        display: shows the progress; plain lines on stderr by default.
    """
    name, path, data = _open(dataset, study, overrides, output, "samples-{}.png", display)
    return Figure(figures.samples(data.train.images, data.train.labels, data.class_names, path, title=name))


@takes_plugins
def kernels(
    dataset: str | Dataset | None = None,
    *,
    study: str | None = None,
    image: int = 0,
    overrides: Sequence[str] = (),
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw a training image, and the results of classic kernels that smooth it or detect its edges.

    Args:
        image: number of the image, from 0.
        dataset, study, overrides, output, plugins, display: as for `samples`.
    """
    name, path, data = _open(dataset, study, overrides, output, f"kernels-{{}}-{image}.png", display)
    pixels = image_at(data.train.images, image, "training")
    title = f"{name}, training image {image}"
    subtitle = f"class {data.class_names[int(data.train.labels[image])]}; four 3×3 kernels on the grey levels"
    return Figure(figures.kernels(pixels, path, title=title, subtitle=subtitle))


@takes_plugins
def augmentation(
    policy: str,
    dataset: str | Dataset | None = None,
    *,
    study: str | None = None,
    image: int = 0,
    seed: int = 0,
    overrides: Sequence[str] = (),
    output: OptionalPath = None,
    plugins: Sequence[Any] = (),
    display: Display | None = None,
) -> Figure:
    """Draw many augmented versions of one image, and one augmented version of several images.

    Args:
        policy: the name of a policy.
        dataset: the name of the dataset with the images, or data in memory.
        study: the name of a study, instead of `dataset`: use its dataset and its settings of the policy.
        image: number of the first image in the training split, from 0.
        seed: seed of the policy; equal seeds give equal versions.
        overrides: parameters of the policy, `["rotation=20"]`, or of the dataset,
            `["dataset.count=500"]`.
        output: the PNG file to write; `augmentation-POLICY-DATASET.png` in the working folder by default.
        plugins, display: as for `samples`.
    """
    display = display or PlainDisplay()
    dataset_overrides = [override for override in overrides if override.startswith("dataset.")]
    policy_overrides = [override for override in overrides if override not in dataset_overrides]
    registry = Registry.load()
    spaces: Mapping[str, Space] = {}
    files: Sequence[PluginFile] = ()
    if study is not None:
        definition = load_definition(study, registry, (), None)
        spaces, files = definition.augmentation.spaces, definition.plugin_files
    component = registry.with_files(files).get("augmentation", policy)
    defaults = spaces[policy].defaults() if policy in spaces else {}
    config = configure(component, policy_overrides, defaults)
    start_loading_keras()
    source, path, data = _open(
        dataset, study, dataset_overrides, output, f"augmentation-{policy}-{{}}.png", display
    )
    original = image_at(data.train.images, image, "training")
    numbers = _evenly_spaced(image, len(data.train.images), figures.NUM_IMAGES)
    originals = np.stack([np.asarray(data.train.images[number]) for number in numbers])
    copies = np.repeat(original[None], figures.NUM_VERSIONS, axis=0)
    display.phase("augmenting …")
    try:
        log_path = StudyDirectory(Path.cwd(), "").cache_dir / "inspect.log"
        with using_plugins(files):
            versions, others = call_in_worker(augment, config, [copies, originals], seed, log_path=log_path)
    except ZooError as error:
        raise ZooError(f"the augmentation '{policy}' of {component.origin}: {error}") from None
    parameters = ", ".join(f"{name} = {json.dumps(value)}" for name, value in config.parameters.items())
    title = f"{policy} on {source}, training image {image} and others"
    subtitle = parameters or "without parameters"
    return Figure(
        figures.augmentation(original, versions, originals, others, path, title=title, subtitle=subtitle)
    )


def _evenly_spaced(first: int, num_images: int, count: int) -> list[int]:
    """Return up to `count` evenly spaced numbers from `first`, because a dataset may be sorted by class."""
    count = min(count, num_images)
    return [(first + position * num_images // count) % num_images for position in range(count)]


def _open(
    dataset: str | Dataset | None,
    study: str | None,
    overrides: Sequence[str],
    output: OptionalPath,
    file_name: str,
    display: Display | None,
) -> tuple[str, Path, Dataset]:
    """Prepare a dataset, or the dataset of a study; return its name, the file to write, and the dataset.

    Args:
        file_name: the default for `output`; `{}` is replaced by the name of the dataset.
    """
    source = find_source(dataset, study, overrides)
    path = output_path(output, Path(file_name.format(source.file_name)))
    display = display or PlainDisplay()
    opened = open_source(source, display).dataset
    images = count_text(len(opened.train.labels), "image")
    display.phase(f"{source.name}: {images} of the training split")
    return source.name, path, opened
