"""Sizes and colors of image files, from a sample."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from drafting_tools import class_folders, image_files, save
from PIL import Image

from zoo.drafting._image_files import find_image_files
from zoo.drafting._sizes import image_size_for
from zoo.registry import Registry


def find(dataset, **parameters):
    return find_image_files(Registry.load([]).get("dataset", dataset), parameters)


def test_folder_is_described_by_its_images(in_tmp):
    class_folders("photos", count=3, shape=(10, 20, 3))
    save("photos/cat/tall.png", (40, 12, 3))
    (in_tmp / "photos/cat/damaged.png").write_text("no")
    files = find("image_folder", path="photos")
    assert (files.count, files.is_grey, files.is_deep) == (8, False, False)
    assert files.sizes_text() == "10×20 to 40×12, median 10×20"
    assert not files.has_one_size


def test_grey_images_in_color_files_are_grey(in_tmp):
    for name in ("a", "b"):
        for number in range(3):
            grey = np.random.default_rng(number).integers(0, 256, (9, 9, 1)).astype(np.uint8)
            save(f"scans/{name}/{number}.jpg")
            Image.fromarray(grey.repeat(3, axis=2)).save(f"scans/{name}/{number}.jpg")
    assert find("image_folder", path="scans").is_grey


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_images_inside_a_table_are_described(in_tmp, suffix):
    cells = []
    for number in range(6):
        content = io.BytesIO()
        Image.fromarray(np.full((7, 5 + number % 2, 3), number, np.uint8)).save(content, "PNG")
        cells.append({"bytes": content.getvalue(), "path": None})
    frame = pd.DataFrame({"image": cells, "label": [0, 1] * 3})
    getattr(frame, f"to_{suffix}")(f"train.{suffix}")
    files = find("parquet_images", train=f"train.{suffix}")
    assert (files.count, files.is_grey) == (6, True)
    assert files.sizes_text() == "7×5 to 7×6, median 7×6"


def test_table_of_pixels_has_no_image_files(in_tmp):
    pd.DataFrame({"label": [0, 1], "p0": [1, 2], "p1": [3, 4]}).to_parquet("train.parquet")
    assert find("parquet_images", train="train.parquet") is None
    assert find("csv_images", train="train.csv") is None


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (100, [(28, 28)], None),  # kept
        (100, [(100, 60)], None),
        (100, [(20, 30), (20, 20)], (22, 22)),  # smaller than every usual size
        (100, [(300, 400), (480, 640)], (160, 160)),
        (100, [(100, 130), (100, 120)], (96, 96)),
        (100, [(2000, 3000)], (160, 160)),
        (4_000, [(180, 220), (170, 240)], (64, 64)),  # the largest that is fast enough
        (1_000_000, [(300, 400)], (32, 32)),
    ],
)
def test_size_is_the_largest_within_the_budget(two_cores, count, sizes, expected):
    assert image_size_for(image_files(count, sizes)) == expected
