"""`zoo.Dataset.from_frame`: images in columns of pixels, or in one column."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from zoo import Dataset, ZooError

IMAGES = np.random.RandomState(0).randint(0, 256, (12, 4, 4)).astype(np.uint8)
LABELS = ["cat", "ant", "bee"] * 4


def encoded(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def refused(frame, **options):
    with pytest.raises(ZooError) as error:
        Dataset.from_frame(frame, **options)
    (line,) = str(error.value).splitlines()
    return line


def check(dataset, images=IMAGES[..., None]):
    assert np.array_equal(dataset.train.images, images)
    assert dataset.class_names == ["ant", "bee", "cat"]
    assert dataset.train.labels.tolist() == [2, 0, 1] * 4


@pytest.fixture
def pixels():
    """Eleven columns of pixels are sorted by their numbers."""
    frame = pd.DataFrame(IMAGES.reshape(12, -1), columns=[f"pixel{number}" for number in range(16)])
    return frame.assign(label=LABELS)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(IMAGES):
        (tmp_path / "photos" / f"{number}.png").write_bytes(encoded(image))
    return tmp_path / "photos"


def test_pixel_columns_are_read(pixels):
    check(Dataset.from_frame(pixels))
    check(Dataset.from_frame(pixels[sorted(pixels)]))


def test_more_rows_than_are_read_at_once(pixels, monkeypatch):
    monkeypatch.setattr("zoo.data.frames.ROWS_AT_ONCE", 5)
    check(Dataset.from_frame(pixels))


@pytest.mark.parametrize(
    "cells",
    [
        list(IMAGES),
        list(IMAGES[..., None]),
        IMAGES.tolist(),
        [image.ravel() for image in IMAGES],
        [Image.fromarray(image) for image in IMAGES],
        [encoded(image) for image in IMAGES],
        [{"bytes": encoded(image), "path": None} for image in IMAGES],
    ],
    ids=["arrays", "with channels", "lists", "rows of pixels", "Pillow", "bytes", "Hugging Face"],
)
def test_one_column_has_the_images(cells):
    frame = pd.DataFrame({"label": LABELS, "image": cells})
    check(Dataset.from_frame(frame, color_mode="grayscale"))


def test_paths_are_read_and_name_the_images(files):
    names = [f"{number}.png" for number in range(12)]
    frame = pd.DataFrame({"file": names, "label": LABELS, "who": list("abcdefghijkl")})
    dataset = Dataset.from_frame(frame, folder="photos", color_mode="grayscale", licence="CC0")
    check(dataset)
    assert list(dataset.train.names) == names
    assert list(dataset.train.columns["who"]) == list("abcdefghijkl")
    assert dataset.licence == "CC0"
    paths = pd.DataFrame({"file": [files / name for name in names], "label": LABELS})
    resized = Dataset.from_frame(paths, image_size=[2, 3])
    assert resized.train.images.shape == (12, 2, 3, 3)


def test_images_of_pillow_are_not_changed():
    image = Image.fromarray(IMAGES[0])
    Dataset.from_frame(pd.DataFrame({"image": [image] * 3, "label": LABELS[:3]}), image_size=9)
    assert (image.size, image.mode) == ((4, 4), "L")


def test_splits_are_further_frames_or_a_column(pixels):
    dataset = Dataset.from_frame(pixels[:6], validation=pixels[6:9], test=pixels[9:])
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [6, 3, 3]
    assert np.array_equal(dataset.test.images[..., 0], IMAGES[9:])
    arrays = pd.DataFrame({"image": list(IMAGES), "label": LABELS, "split": ["train"] * 9 + ["test"] * 3})
    dataset = Dataset.from_frame(arrays)
    assert (len(dataset.train), len(dataset.test)) == (9, 3)
    assert "the column 'split' decides the splits" in dataset.warning


def test_classes_and_class_names_are_used(pixels):
    dataset = Dataset.from_frame(pixels, classes=["cat", "ant"], class_names=["Cat", "Ant"])
    assert (dataset.class_names, len(dataset.train)) == (["Cat", "Ant"], 8)


def test_arrays_from_0_to_1_are_scaled():
    frame = pd.DataFrame({"image": list(IMAGES / 255), "label": LABELS})
    check(Dataset.from_frame(frame, scale=255))
    assert refused(frame).endswith("If 1 is white, set scale = 255.")


@pytest.mark.parametrize(
    ("columns", "options", "problem"),
    [
        ({"image": [*IMAGES[:2], None]}, {}, "frame: row 3: expected an array, got None."),
        (
            {"image": [IMAGES[0], IMAGES[1, :2], IMAGES[2]]},
            {},
            "frame: row 2: expected the shape (4, 4, 1) as in row 1, got (2, 4, 1).",
        ),
        ({"image": list(IMAGES[:3])}, {"image_size": 8}, "image_size: arrays are not resized."),
        (
            {"image": list(IMAGES[:3]), "label": ["a", "b", None]},
            {},
            "frame: row 3, column 'label': expected",
        ),
        (
            {"file": ["1.png", "2.png", "no.png"]},
            {"folder": "photos"},
            "1 of 3 images in photos cannot be read",
        ),
        ({"x": [1, 2, 3]}, {"image_column": "y"}, "frame: image_column: there is no column 'y'."),
        ({"x": [1, 2, 3]}, {"image_column": "x"}, "frame: row 1: expected an image or its path, got 1."),
        ({"who": ["x", "y", "z"], "p1": [1, 2, 3]}, {}, 'Set drop_columns = ["who"]'),
        ({"p": [[1], [2], ["x"]]}, {}, "frame: row 3, column 'p': expected an integer from 0 to 255"),
        ({"p": [[1], [2], [3, 4]]}, {}, "column 'p': expected 1 pixels as in the rows before, got 2."),
        ({"p": [{"a": 1}] * 3}, {}, "frame: row 1, column 'p': expected an integer from 0 to 255"),
    ],
)
def test_other_cells_are_refused(files, columns, options, problem):
    assert problem in refused(pd.DataFrame({"label": LABELS[:3], **columns}), **options)


def test_other_objects_are_refused(pixels):
    assert refused(IMAGES) == "train: expected a pandas DataFrame, got ndarray."
    assert refused(pixels["label"]) == "train: expected a pandas DataFrame, got Series."
    assert refused(pixels[:0]) == "frame: expected rows with a label and pixels, got none."
