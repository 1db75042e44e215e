import re

import numpy as np
import pytest

from zoo import Dataset, Split
from zoo.data.contract import absent_classes, check_contract
from zoo.errors import DataError

NAMES = ("cat", "dog", "bird")


def split(count=6, shape=(4, 5, 3)):
    return Split(np.zeros((count, *shape), np.uint8), np.arange(count) % 3)


def refused(dataset, message):
    with pytest.raises(DataError, match=re.escape(message)) as told:
        check_contract(dataset)
    assert "\n" not in str(told.value)


def test_what_is_accepted(tmp_path):
    check_contract(Dataset(split(), class_names=NAMES))
    check_contract(
        Dataset(split(), validation=split(2), test=split(1), class_names=list(NAMES), source="here")
    )
    np.save(tmp_path / "images.npy", split().images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for labels in (np.arange(6, dtype=np.uint8) % 3, np.zeros(6, np.int8)):
        check_contract(Dataset(Split(mapped, labels), class_names=NAMES))


@pytest.mark.parametrize("dataset", [None, (1, 2), {}])
def test_no_dataset(dataset):
    refused(dataset, f"expected a zoo.Dataset, but got {type(dataset).__name__}")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", "class_names: expected a list of names, but got 'abc'"),
        (None, "class_names: expected a list of names, but got None"),
        ((), "class_names: expected at least two, but got []"),
        (("cat", 1, "bird"), "class_names: expected names, but number 1 is 1"),
        (("cat", "", "bird"), "class_names: expected names, but number 1 is ''"),
        (("cat", "dog", "cat"), "class_names: expected each name once, but 'cat' is there twice"),
    ],
)
def test_class_names(names, message):
    refused(Dataset(split(), class_names=names), message)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([[1]], "expected an array (uint8, shape (n, height, width, channels)), but got list"),
        (
            np.zeros((6, 4, 5), np.uint8),
            "expected uint8, shape (n, height, width, channels), but got shape (6, 4, 5)",
        ),
        (np.zeros((6, 4, 5, 3), np.float32), "expected uint8 (0 to 255), but got float32"),
        (
            np.zeros((6, 0, 5, 3), np.uint8),
            "expected at least one image and pixel, but got shape (6, 0, 5, 3)",
        ),
        (
            np.zeros((0, 4, 5, 3), np.uint8),
            "expected at least one image and pixel, but got shape (0, 4, 5, 3)",
        ),
    ],
)
def test_images(images, message):
    refused(Dataset(Split(images, split().labels), class_names=NAMES), f"train images: {message}")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], "train labels: expected an array (integers, shape (n,)), but got list"),
        (np.eye(6, 3, dtype=int), "train labels: expected integers, shape (n,), but got shape (6, 3)"),
        (np.zeros(6), "train labels: expected integers, but got float64"),
        (np.zeros(6, bool), "train labels: expected integers, but got bool"),
        (np.zeros(5, int), "train: expected as many labels as images, but got 5 for 6 images"),
        (np.full(6, 3), "train labels: expected 0 to 2 for 3 class names, but they go from 3 to 3"),
        (np.array([-1, 0, 1, 2, 0, 1]), "expected 0 to 2 for 3 class names, but they go from -1 to 2"),
    ],
)
def test_labels(labels, message):
    refused(Dataset(Split(split().images, labels), class_names=NAMES), message)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_other_splits(name):
    refused(Dataset(split(), class_names=NAMES, **{name: 1}), f"{name}: expected a zoo.Split, but got int")
    refused(
        Dataset(split(), class_names=NAMES, **{name: split(shape=(4, 4, 3))}),
        f"{name}: expected images of shape (4, 5, 3) as in train, but got (4, 4, 3)",
    )


def test_words_about_it():
    refused(Dataset(split(), class_names=NAMES, source=None), "source: expected text, but got None")


def labelled(*labels):
    return Split(np.zeros((len(labels), 1, 1, 1), np.uint8), np.array(labels))


def test_where_every_split_has_every_class_there_is_nothing_to_warn_of():
    assert absent_classes(Dataset(labelled(0, 1, 2), class_names=NAMES)) == ""
    whole = Dataset(labelled(2, 1, 0), labelled(0, 1, 2), labelled(1, 0, 2, 2), class_names=NAMES)
    assert absent_classes(whole) == ""


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint64, ">i8"])
def test_labels_of_every_integer_type_are_counted(kind):
    split = Split(np.zeros((3, 1, 1, 1), np.uint8), np.array([0, 2, 2]).astype(kind))
    assert "none of class 'dog'" in absent_classes(Dataset(split, class_names=NAMES))


def test_a_class_that_a_split_lacks_is_told_with_counts():
    dataset = Dataset(labelled(0, 0, 1, 1, 1), test=labelled(0, 2), class_names=NAMES)
    assert absent_classes(dataset) == (
        "Among the 5 images of the train split is none of class 'bird' (1 elsewhere). "
        "Among the 2 images of the test split is none of class 'dog' (3 elsewhere)."
    )


def test_of_many_absent_classes_five_are_named():
    dataset = Dataset(labelled(*range(9)), validation=labelled(8), class_names=list("abcdefghi"))
    assert absent_classes(dataset) == (
        "Among the 1 images of the validation split is none of class 'a' (1 elsewhere), 'b' (1 elsewhere), "
        "'c' (1 elsewhere), 'd' (1 elsewhere), 'e' (1 elsewhere) and 3 more."
    )
