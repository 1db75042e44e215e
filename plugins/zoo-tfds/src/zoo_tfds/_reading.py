"""Reading of a prepared dataset into arrays."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from zoo import Dataset, Split, ZooError, progress

from zoo_tfds._folders import configurations, folder_of_all, newest

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder


def read(name: str, image_size: int | None, data_dir: str | None) -> Dataset:
    """Return the splits `train`, `validation` and `test` of the dataset `name`, those that it has.

    Raises:
        ZooError: see `zoo_tfds.tfds`.
    """
    if image_size is not None and image_size < 1:
        raise ZooError(f"image_size: expected an integer >= 1 (pixels), got {image_size}.")
    builder = _prepared(name, data_dir)
    image, label = _features(name, builder)
    splits = {
        split: _split(name, _examples(builder, split), image, label, image_size)
        for split in ("train", "validation", "test")
        if split in builder.info.splits
    }
    if "train" not in splits:
        available = ", ".join(builder.info.splits)
        raise ZooError(
            f"the dataset '{name}' of TensorFlow Datasets has no split 'train'. Available: {available}."
        )
    return Dataset(
        **splits,
        class_names=tuple(builder.info.features[label].names),
        source=f"TensorFlow Datasets' {builder.info.full_name}",
    )


def _prepared(name: str, data_dir: str | None) -> DatasetBuilder:
    """Return the dataset from its folder; given its name, TensorFlow Datasets would use the network."""
    folder = newest(name, data_dir)
    if folder is not None:
        return tfds.builder_from_directory(folder)
    root = folder_of_all(data_dir)
    available = tfds.list_builders(with_community_datasets=False)
    base = name.partition("/")[0]
    if base not in available and not (root / base).is_dir():
        near = get_close_matches(base, available, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "tensorflow.org/datasets lists them."
        raise ZooError(f"TensorFlow Datasets has no dataset '{name}', and none is in {root}. {hint}")
    others = ", ".join(configurations(base, data_dir))
    command = ["tfds", "build", name, "--file_format=array_record"]
    command += [f"--data_dir={data_dir}"] if data_dir else []
    raise ZooError(
        f"the dataset '{name}' is not prepared in {root}{f', but {others} is' if others else ''}. "
        f"Run this with a network connection: {shlex.join(command)}"
    )


def _features(name: str, builder: DatasetBuilder) -> tuple[str, str]:
    """Return the keys of the image and of the label in an example."""
    features = builder.info.features
    keys = builder.info.supervised_keys or ()
    if len(keys) == 2:
        image, label = (features[key] for key in keys)
        pixels = isinstance(image, tfds.features.Image) and image.np_dtype == np.uint8
        if pixels and isinstance(label, tfds.features.ClassLabel):
            return keys
    found = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in features.items())
    raise ZooError(
        f"the dataset '{name}' of TensorFlow Datasets: expected uint8 images with one label each, got "
        f"{found}."
    )


def _examples(builder: DatasetBuilder, split: str) -> Iterable[dict[str, Any]]:
    """Return the examples of a split in a fixed order; only the tfrecord format needs TensorFlow."""
    if builder.info.available_file_formats() & tfds.core.FileFormat.with_random_access():
        return builder.as_data_source(split)
    return tfds.as_numpy(builder.as_dataset(split, shuffle_files=False))


def _split(
    name: str, examples: Iterable[dict[str, Any]], image: str, label: str, image_size: int | None
) -> Split:
    images, labels = [], []
    for example in progress(examples, f"reading {name}"):
        pixels = example[image]  # (height, width, channels)
        images.append(pixels if image_size is None else _scaled(pixels, image_size))
        labels.append(int(example[label]))
        if images[-1].shape != images[0].shape:
            raise ZooError(
                f"the images of '{name}' have different sizes, such as {_size(images[0])} and "
                f"{_size(pixels)}. Set image_size to scale them to one size."
            )
    return Split(np.stack(images), np.array(labels, "int64"))


def _scaled(pixels: Any, side: int) -> Any:
    """Scale an image: `(height, width, channels)` -> `(side, side, channels)`."""
    is_grey = pixels.shape[-1] == 1
    image = Image.fromarray(pixels[..., 0] if is_grey else pixels)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)).reshape(side, side, -1)


def _size(pixels: Any) -> str:
    return "×".join(map(str, pixels.shape))
