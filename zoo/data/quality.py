"""Warnings about images: constant ones, and identical ones in two splits or of two classes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.data.reporting import progress

BLOCK_SIZE = 2**26  # bytes of the images that are compared at once


@dataclass(frozen=True)
class _Image:
    split: str
    label: int
    name: str


def image_warnings(dataset: Dataset) -> str:
    """Return a sentence about each kind of suspicious images, with their number and an example; usually "".

    Images are compared by a digest of their pixels. A constant image is not compared.
    """
    splits = {
        name: split
        for name in ("train", "validation", "test")
        if (split := getattr(dataset, name)) is not None
    }
    constant: dict[str, list[_Image]] = {}
    first: dict[bytes, _Image] = {}
    other_label: list[tuple[_Image, _Image]] = []
    other_split: dict[tuple[str, str], list[tuple[_Image, _Image]]] = {}
    for split_name, split in splits.items():
        for image, digest in _digests(split_name, split):
            if digest is None:
                constant.setdefault(split_name, []).append(image)
                continue
            before = first.setdefault(digest, image)
            if before.label != image.label:
                other_label.append((image, before))
            if before.split != image.split:
                other_split.setdefault((image.split, before.split), []).append((image, before))
    return " ".join(
        [
            *(_describe_constant(name, len(splits[name]), images) for name, images in constant.items()),
            *([_describe_labels(other_label, dataset.class_names)] if other_label else []),
            *(_describe_splits(names, len(splits[names[0]]), pairs) for names, pairs in other_split.items()),
        ]
    )


def _digests(split_name: str, split: Split) -> Iterator[tuple[_Image, bytes | None]]:
    """Yield every image of a split with a digest of its pixels; None for a constant image."""
    names = split.names if split.names is not None else _Numbers(split_name)
    labels = np.asarray(split.labels).tolist()
    count = max(1, BLOCK_SIZE // math.prod(split.images.shape[1:]))
    starts = range(0, len(labels), count)
    for start in progress(starts, "comparing images"):
        images = np.ascontiguousarray(split.images[start : start + count])
        block = images.reshape(len(images), -1)
        is_constant = (block.min(axis=1) == block.max(axis=1)).tolist()
        for offset, pixels in enumerate(block):
            image = _Image(split_name, labels[start + offset], names[start + offset])
            digest = None if is_constant[offset] else hashlib.blake2b(pixels.data, digest_size=16).digest()
            yield image, digest


class _Numbers:
    """Names of images that have none: `image 7 of train`."""

    def __init__(self, split_name: str) -> None:
        self._split_name = split_name

    def __getitem__(self, position: int) -> str:
        return f"image {position} of {self._split_name}"


def _describe_constant(split_name: str, total: int, images: list[_Image]) -> str:
    are = "is" if len(images) == 1 else "are"
    return (
        f"{len(images):,} of {total:,} {split_name} images {are} constant, with the same value in every "
        f"pixel, such as {images[0].name}."
    )


def _describe_labels(pairs: list[tuple[_Image, _Image]], class_names: Any) -> str:
    image, other = pairs[0]
    have = "image has" if len(pairs) == 1 else "images have"
    return (
        f"{len(pairs):,} {have} the same pixels as an image with another label, such as "
        f"{image.name} ('{class_names[image.label]}') and {other.name} ('{class_names[other.label]}')."
    )


def _describe_splits(names: tuple[str, str], total: int, pairs: list[tuple[_Image, _Image]]) -> str:
    image, other = pairs[0]
    have = "has" if len(pairs) == 1 else "have"
    return (
        f"{len(pairs):,} of {total:,} {names[0]} images {have} the same pixels as a {names[1]} image, "
        f"such as {image.name} and {other.name}."
    )
