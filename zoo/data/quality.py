"""Suspicious images and labels: constant images, identical ones, imbalanced classes."""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split, class_counts
from zoo.data.reporting import progress
from zoo.errors import count_text

BLOCK_SIZE = 2**20  # bytes of images that are compared at once; they fit into the cache of a core
# Ratio to the images of the smallest class. Data sets with a ratio above 9 count as highly imbalanced
# (Fernández et al. 2008, the KEEL repository): one answer for all images of two classes is right for 90 %.
IMBALANCED = 9
# The settings of a study that give every class the same weight.
WEIGHTS, OBJECTIVE = 'class_weight = "balanced" in [training]', 'objective = "val_balanced_accuracy"'


@dataclass(frozen=True)
class ImageFact:
    """An image of a dataset, by its split and its position in the split."""

    split: str
    position: int
    label: int
    name: str


@dataclass(frozen=True)
class Comparison:
    """The result of comparing all images of a dataset.

    Args:
        constant: images with the same value in every pixel; they are not compared.
        identical: images with the same pixels, by digest of the pixels, in the order of the dataset.
    """

    constant: Sequence[ImageFact]
    identical: dict[str, list[ImageFact]]


def image_warnings(dataset: Dataset) -> str:
    """Return a sentence about each kind of suspicious images, with number and example; usually ""."""
    found = compare_images(dataset)
    sizes = {name: len(split) for name, split in dataset.splits().items()}
    constant = {name: [one for one in found.constant if one.split == name] for name in sizes}
    order = list(sizes)
    pairs = sorted(
        ((image, first) for first, *others in found.identical.values() for image in others),
        key=lambda pair: (order.index(pair[0].split), pair[0].position),
    )
    other_label = [(image, first) for image, first in pairs if first.label != image.label]
    other_split: dict[tuple[str, str], list[tuple[ImageFact, ImageFact]]] = {}
    for image, first in pairs:
        if first.split != image.split:
            other_split.setdefault((image.split, first.split), []).append((image, first))
    return " ".join(
        [
            *(_describe_constant(name, sizes[name], images) for name, images in constant.items() if images),
            *([_describe_labels(other_label, dataset.class_names)] if other_label else []),
            *(_describe_splits(names, sizes[names[0]], pairs) for names, pairs in other_split.items()),
        ]
    )


def compare_images(dataset: Dataset) -> Comparison:
    """Return the constant and the identical images of all splits, compared by a digest of their pixels."""
    splits = dataset.splits()
    checksums = {name: _checksums(split) for name, split in splits.items()}
    counts = Counter(checksum for found in checksums.values() for checksum in found)
    constant: list[ImageFact] = []
    images: dict[str, list[ImageFact]] = {}
    for name, split in splits.items():
        for position, checksum in enumerate(checksums[name]):
            if checksum is None:
                constant.append(_fact(name, split, position))
            elif counts[checksum] > 1:
                images.setdefault(_digest(split, position), []).append(_fact(name, split, position))
    return Comparison(constant, {digest: same for digest, same in images.items() if len(same) > 1})


def imbalance_warning(dataset: Dataset) -> str:
    """Return a sentence if the largest class has `IMBALANCED` times the training images of the smallest."""
    counts = class_counts(dataset)["train"]
    present = np.flatnonzero(counts)
    most, least = int(counts.argmax()), int(present[counts[present].argmin()])
    if counts[most] < IMBALANCED * counts[least]:
        return ""
    rare = count_text(int(counts[least]), "image")
    return (
        f"The training classes are imbalanced, from {rare} of '{dataset.class_names[least]}' to "
        f"{counts[most]:,} of '{dataset.class_names[most]}': a model that answers "
        f"'{dataset.class_names[most]}' for every image has an accuracy of "
        f"{counts[most] / counts.sum():.2f}. {WEIGHTS} and {OBJECTIVE} give every class the same weight."
    )


def without_followed_advice(warning: str, class_weight: Any, objective: str) -> str:
    """Return a dataset's warning without the advice on imbalanced classes that a study follows already.

    `class_weight` and `objective` are settings of the study; without class weights, None or `"none"`.
    """
    is_weighted, is_balanced = (
        class_weight not in (None, "none"),
        objective not in ("accuracy", "val_accuracy"),
    )
    advice = f"{WEIGHTS} and {OBJECTIVE} give every class the same weight."
    if is_weighted and is_balanced:
        pattern = rf"The training classes are imbalanced, .*? {re.escape(advice)} ?"
        return re.sub(pattern, "", warning, flags=re.DOTALL).strip()
    if is_weighted or is_balanced:
        left = OBJECTIVE if is_weighted else WEIGHTS
        return warning.replace(advice, f"{left} gives every class the same weight.")
    return warning


def _checksums(split: Split) -> list[int | None]:
    """Return the CRC-32 of each image; None for constant images. A digest takes 5 times as long."""
    checksums: list[int | None] = []
    count = max(1, BLOCK_SIZE // math.prod(split.images.shape[1:]))
    for start in progress(range(0, len(split), count), "comparing images"):
        block = np.ascontiguousarray(split.images[start : start + count])
        rows = block.reshape(len(block), -1)
        is_constant = rows.min(axis=1) == rows.max(axis=1)
        checksums += [
            None if constant else zlib.crc32(pixels.data)
            for pixels, constant in zip(rows, is_constant.tolist(), strict=True)
        ]
    return checksums


def _digest(split: Split, position: int) -> str:
    return hashlib.blake2b(np.ascontiguousarray(split.images[position]).data, digest_size=16).hexdigest()


def _fact(split_name: str, split: Split, position: int) -> ImageFact:
    """Return an image of a split; without a name, it is called `image 7 of train`."""
    name = f"image {position} of {split_name}" if split.names is None else str(split.names[position])
    return ImageFact(split_name, position, int(split.labels[position]), name)


def _describe_constant(split_name: str, total: int, images: list[ImageFact]) -> str:
    are = "is" if len(images) == 1 else "are"
    return (
        f"{len(images):,} of {count_text(total, f'{split_name} image')} {are} constant, with the same value "
        f"in every pixel, such as {images[0].name}."
    )


def _describe_labels(pairs: list[tuple[ImageFact, ImageFact]], class_names: Any) -> str:
    image, other = pairs[0]
    have = "image has" if len(pairs) == 1 else "images have"
    return (
        f"{len(pairs):,} {have} the same pixels as an image with another label, such as "
        f"{image.name} ('{class_names[image.label]}') and {other.name} ('{class_names[other.label]}')."
    )


def _describe_splits(names: tuple[str, str], total: int, pairs: list[tuple[ImageFact, ImageFact]]) -> str:
    image, other = pairs[0]
    have = "has" if len(pairs) == 1 else "have"
    return (
        f"{len(pairs):,} of {count_text(total, f'{names[0]} image')} {have} the same pixels as a {names[1]} "
        f"image, such as {image.name} and {other.name}."
    )
