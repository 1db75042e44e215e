"""Small data of every kind, and facts about data that does not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.drafting._facts import Facts
from zoo.drafting._image_files import ImageFiles


def save(path, shape=(8, 8, 3), seed=0, **options):
    """Write an image of random pixels, different for every path and seed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *path.as_posix().encode()])
    pixels = random.integers(0, 256, shape).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def class_folders(root, names=("cat", "dog"), count=10, shape=(8, 8, 3)):
    for name in names:
        for number in range(count):
            save(Path(root, name, f"{number}.png"), shape)
    return Path(root)


def pixel_table(path, labels, pixels, header=True, separator=","):
    """Write a CSV file with a label and pixels in each line."""
    names = ["label", *(f"p{number}" for number in range(pixels.shape[1]))]
    rows = [[label, *row] for label, row in zip(labels, pixels, strict=True)]
    lines = [separator.join(map(str, row)) for row in [*([names] if header else []), *rows]]
    Path(path).write_text("\n".join(lines) + "\n")
    return Path(path)


def facts(
    class_names=("cat", "dog"),
    image_shape=(64, 64, 3),
    counts=(1000, 1000),
    splits=("train", "test"),
    files=None,
):
    """Return facts about a dataset with these class names and numbers of images."""
    return Facts(
        path="photos",
        dataset="image_folder",
        parameters={"path": "photos"},
        found={},
        notes=(),
        class_names=class_names,
        image_shape=image_shape,
        counts={split: np.array(counts) for split in splits},
        files=files,
        warning="",
    )


def image_files(count=100, sizes=((100, 100),), is_grey=False, is_deep=False):
    return ImageFiles(count, list(sizes), is_grey, is_deep)
