"""Errors of the datasets have the parameters that follow from the data, for `zoo init`."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from zoo import ZooError
from zoo.builtin.datasets import array_images, csv_images, image_folder, labelled_files

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (30, 9))
ROWS = np.column_stack([np.arange(30) % 3, PIXELS])
NAMES = [f"p{number}" for number in range(9)]


def lines(rows, header=None):
    return "".join(",".join(map(str, row)) + "\n" for row in [*([header] if header else []), *rows])


def fix_of(read, **parameters):
    with pytest.raises(ZooError) as error:
        read(**parameters)
    return error.value.fix


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (lines(ROWS), {"header": False}),
        (lines(ROWS, ["label", *NAMES]).encode("utf-16"), {"encoding": "utf-16"}),
        (lines(ROWS, ["sort", *NAMES]), {"label_column": "sort"}),
        (lines([[row[0], *row[1:] / 255] for row in ROWS], ["label", *NAMES]), {"scale": 255}),
        (lines([[*row, f"p{row[0]}"] for row in ROWS], ["label", *NAMES, "who"]), {"drop_columns": ["who"]}),
        (lines([[*row, 999] for row in ROWS], ["label", *NAMES, "age"]), {"drop_columns": ["age"]}),
        (lines(ROWS, ["sort", "who", *NAMES[1:]]), {}),  # either may be the label
        (lines([*ROWS[:-1], [0, 999, *PIXELS[0, 1:]]], ["label", *NAMES]), {}),  # one damaged cell
    ],
)
def test_csv_error_has_the_only_possible_parameter(in_tmp, content, fix):
    (in_tmp / "train.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert fix_of(csv_images, train="train.csv") == fix
    if fix:
        assert len(csv_images(train="train.csv", **fix).train) == 24 or "drop_columns" in fix


def test_second_column_is_dropped_beside_the_first(in_tmp):
    rows = [[*row, f"p{row[0]}", "x"] for row in ROWS]
    (in_tmp / "train.csv").write_text(lines(rows, ["label", *NAMES, "who", "how"]))
    assert fix_of(csv_images, train="train.csv", drop_columns=["who"]) == {"drop_columns": ["who", "how"]}


def test_ambiguous_number_of_pixels_has_no_fix(in_tmp):
    header = ["label", *(f"p{number}" for number in range(3136))]
    (in_tmp / "train.csv").write_text(lines(np.zeros((6, 3137), int), header))
    assert fix_of(csv_images, train="train.csv") == {}


def test_list_without_header_has_the_fix(in_tmp):
    (in_tmp / "train.csv").write_text("a.png,cat\nb.png,dog\n")
    assert fix_of(labelled_files, train="train.csv") == {"header": False}


def test_folder_with_one_folder_of_classes_has_the_fix(in_tmp):
    for name in ("cat", "dog"):
        (in_tmp / "photos" / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(in_tmp / "photos" / "photos" / name / "0.png")
    fix = fix_of(image_folder, path="photos")
    assert [*fix] == ["path"]
    assert image_folder(test_fraction=0.0, **fix).class_names == ["cat", "dog"]


def test_arrays_have_the_fix_if_two_fit(in_tmp):
    pixels, labels = PIXELS.reshape(30, 3, 3) / 255, np.arange(30) % 3
    np.savez("data.npz", pictures=pixels, sorts=labels)
    fix = fix_of(array_images, path="data.npz")
    assert fix == {"images": "pictures", "labels": "sorts"}
    assert fix_of(array_images, path="data.npz", **fix) == {"scale": 255}
    np.savez("data.npz", pictures=pixels, sorts=labels, owners=labels)
    assert fix_of(array_images, path="data.npz") == {}
