"""`labelled_files`: images that a CSV file lists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from zoo import ZooError
from zoo.builtin.datasets import labelled_files
from zoo.data.contract import check_contract
from zoo.data.prepare import prepare
from zoo.registry import Registry

FIFTH = {"fraction": 0.2, "seed": 0}


@pytest.fixture
def photos(in_tmp):
    """Twenty photographs, and `train.csv`, which lists them."""
    rows = []
    for number in range(20):
        path = in_tmp / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)
        rows.append((f"photos/{number}.png", ("cat", "dog")[number % 2]))
    write(in_tmp / "train.csv", rows)
    return in_tmp


def write(path, rows, header=("path", "label"), separator=","):
    lines = [separator.join(map(str, row)) for row in [*([header] if header else []), *rows]]
    path.write_text("\n".join(lines) + "\n")


def listed(numbers=range(20), form="photos/{}.png"):
    return [(form.format(number), ("cat", "dog")[number % 2]) for number in numbers]


def refused(text, **parameters):
    with pytest.raises(ZooError) as error:
        labelled_files(**{"train": "train.csv", **parameters})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def assert_complete(dataset):
    """Every image of the 20 is there once, with its own label."""
    check_contract(dataset)
    assert list(dataset.class_names) == ["cat", "dog"]
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    seen = {}
    for split in (dataset.train, dataset.test):
        for image, label in zip(split.images, split.labels, strict=True):
            seen[image.tobytes()] = label
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3)).astype(np.uint8)
        assert seen[pixels.tobytes()] == number % 2


def test_listed_images_are_read(photos):
    dataset = labelled_files(train="train.csv")
    assert_complete(dataset)
    assert (dataset.source, dataset.warning) == ("train.csv", "")
    assert dataset.train.names[0].startswith("photos/")


def test_list_without_rows_is_refused(photos):
    write(photos / "train.csv", [])
    refused("train.csv: expected rows with a label and an image, got none.")


@pytest.mark.parametrize(
    ("rows", "header", "parameters"),
    [
        (listed(form="{}.png"), ("filename", "class"), {"folder": "photos"}),
        (listed(form="{}"), ("id", "target"), {"folder": "photos", "suffix": ".png"}),
        (listed(form="photos\\{}.png"), ("Image", "Label"), {}),
        (listed(), None, {"header": False}),
        ([row[::-1] for row in listed()], ("label", "where"), {}),
        ([row[::-1] for row in listed()], None, {"header": False}),
        ([(*row, "x") for row in listed()], ("where", "what", "note"), {"label_column": "what"}),
        (listed(), ("a", "b"), {"image_column": "A", "label_column": 1}),
    ],
)
def test_columns_are_found(photos, rows, header, parameters):
    write(photos / "train.csv", rows, header)
    assert_complete(labelled_files(train="train.csv", **parameters))


def test_test_file_may_be_in_another_folder(photos):
    write(photos / "train.csv", listed(range(16)))
    write(photos / "photos" / "test.csv", listed(range(16, 20), "{}.png"), separator="\t")
    assert_complete(labelled_files(train="train.csv", test="photos/test.csv"))


def test_images_are_scaled_and_converted(photos):
    dataset = labelled_files(train="train.csv", image_size=4, color_mode="grayscale", classes=["dog", "cat"])
    assert dataset.train.images.shape == (16, 4, 4, 1)
    assert list(dataset.class_names) == ["dog", "cat"]


def test_other_columns_are_kept(photos):
    write(photos / "train.csv", [(*row, f"p{row[0]}") for row in listed()], ("path", "label", "person"))
    dataset = labelled_files(train="train.csv")
    assert all(
        person == f"p{name}"
        for person, name in zip(dataset.train.columns["person"], dataset.train.names, strict=True)
    )


@pytest.mark.parametrize("words", [("train", "val", "test"), ("Training", "valid", "TEST")])
def test_column_of_splits_decides_the_splits(photos, words):
    rows = [(*row, words[0 if number < 12 else 1 + number % 2]) for number, row in enumerate(listed())]
    rows = [rows[number] for number in np.random.default_rng(0).permutation(20)]
    write(photos / "train.csv", rows, ("path", "label", "subset"))
    dataset = labelled_files(train="train.csv", classes=["cat", "dog"])
    check_contract(dataset)
    assert dataset.warning == f"{photos}/train.csv: the column 'subset' decides the splits."
    of_split = {row[0]: row[2] for row in rows}
    for word, split in zip(words, (dataset.train, dataset.validation, dataset.test), strict=True):
        assert {of_split[name] for name in split.names} == {word}
        for name, image in zip(split.names, split.images, strict=True):
            assert np.array_equal(image, np.asarray(Image.open(photos / name)))


@pytest.mark.parametrize("words", [("train", "train"), ("test", "val"), ("train", "other")])
def test_other_columns_do_not_decide_the_splits(photos, words):
    rows = [(*row, words[number % 2]) for number, row in enumerate(listed())]
    write(photos / "train.csv", rows, ("path", "label", "subset"))
    dataset = labelled_files(train="train.csv")
    assert_complete(replace(dataset, warning=""))
    note = (
        f"{photos}/train.csv: the column 'subset' does not decide the splits, because it has "
        f"{', '.join(map(repr, sorted(words)))}. If it should, write only train, validation and test into it."
    )
    assert dataset.warning == (note if words != ("train", "train") else "")


@pytest.mark.parametrize("form", ["elsewhere/{}.png", "photos/{}"])
def test_list_without_any_file_names_the_parameters(photos, form):
    write(photos / "train.csv", listed(form=form))
    refused(
        f"{photos}/train.csv: none of the 20 listed files exists, such as {photos}/{form.format(0)}. Set "
        "folder to the folder in which the paths start, or suffix to what they lack, such as '.png'."
    )


def test_changed_image_is_read_again(photos, tmp_path):
    component = Registry.load(entry_points=[]).get("dataset", "labelled_files")
    before = prepare(component, {"train": "train.csv"}, FIFTH, tmp_path / "cache")
    assert prepare(component, {"train": "train.csv"}, FIFTH, tmp_path / "cache") == before
    Image.new("RGB", (6, 5)).save(photos / "photos/0.png")
    assert prepare(component, {"train": "train.csv"}, FIFTH, tmp_path / "cache").digest != before.digest


@pytest.mark.parametrize(
    ("rows", "header", "parameters", "text"),
    [
        (listed(), ("where", "what"), {}, "expected a column label, class, target or y, got 'where'"),
        (listed(), None, {}, "got 'photos/0.png, cat'. Set header = false if line 1 lists an image."),
        ([(1, 2)] * 5, ("a", "label"), {}, "expected a column path with image files, got 'a, label'."),
        (listed(), ("path", "label"), {"image_column": "x"}, "image_column: there is no column 'x'."),
        (listed(), ("path", "label"), {"image_size": 0}, "image_size = 0: expected"),
        (listed([*range(19), 90]), ("path", "y"), {}, "1 of 20 images in {root} cannot be read: photos/90"),
        ([("photos/0.png", "")], ("path", "label"), {}, "line 2, column 2 ('label'): expected an integer"),
        ([("photos/0.png",)], ("path", "label"), {}, "line 2: expected 2 values, got 1."),
    ],
)  # fmt: skip
def test_unreadable_lists_are_refused(photos, rows, header, parameters, text):
    write(photos / "train.csv", rows, header)
    refused(text.format(root=photos), **parameters)
