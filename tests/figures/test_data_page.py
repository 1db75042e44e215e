"""The page about a dataset, with few, many and unequal classes."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.data import Dataset, Split
from zoo.figures import MAX_FINDINGS, Finding, data_page
from zoo.figures import _data as module


def dataset(num_classes, *, size=(8, 8), channels=1, columns=None):
    count = 3 * num_classes
    pixels = np.random.RandomState(0).randint(0, 256, (count, *size, channels)).astype(np.uint8)
    train = Split(pixels, np.arange(count) % num_classes, columns or {})
    return Dataset(train, class_names=[f"a class with a long name, {n}" for n in range(num_classes)])


def draw(tmp_path, data, findings=None, counts=None):
    counts = counts or {"train": np.bincount(data.train.labels).tolist()}
    return data_page(data, counts, findings or {}, tmp_path / "d.png", title="pets", subtitle="train 9")


def size_of(path):
    from PIL import Image

    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("num_classes", [2, 10, 60, 150])
def test_page_fits_any_number_of_classes(tmp_path, num_classes):
    width, height = size_of(draw(tmp_path, dataset(num_classes, channels=3)))
    assert 700 <= width <= 1300
    assert 250 <= height <= 1700


def test_wide_images_and_findings_are_drawn(tmp_path):
    data = dataset(3, size=(10, 40))
    tiles = [Finding(data.train.images[0], [0, "→", 2])] * MAX_FINDINGS
    _, plain = size_of(draw(tmp_path, data))
    _, height = size_of(draw(tmp_path, data, {"suspicious labels: 12": tiles, "constant: 1": tiles[:1]}))
    assert plain + 100 < height < plain + 500


def test_folds_are_no_part_of_the_bars(tmp_path):
    data = dataset(2)
    counts = {"train": [3, 3], "fold 1": [2, 1], "fold 2": [1, 2]}
    alone = draw(tmp_path, data).read_bytes()
    assert draw(tmp_path, data, counts=counts).read_bytes() == alone


def test_largest_and_smallest_of_many_classes_are_shown():
    totals = np.arange(100)
    shown = module._shown_classes(totals)
    assert shown == [*range(30), *range(70, 100)]


def test_sizes_are_drawn_if_files_differ(tmp_path):
    known = {"original_width": np.arange(6) + 50, "original_height": np.full(6, 40)}
    assert module._sizes(dataset(2, columns=known)).shape == (6, 2)
    assert module._sizes(dataset(2)) is None
    equal = {"original_width": np.full(6, 50), "original_height": np.full(6, 40)}
    assert module._sizes(dataset(2, columns=equal)) is None
    assert size_of(draw(tmp_path, dataset(2, columns=known)))[1] > size_of(draw(tmp_path, dataset(2)))[1]


def test_class_without_images_has_an_empty_row(tmp_path):
    data = dataset(3)
    labels = np.where(data.train.labels == 1, 0, data.train.labels)
    empty = Dataset(Split(data.train.images, labels), class_names=data.class_names)
    draw(tmp_path, empty, counts={"train": [6, 0, 3]})
