"""Warnings about constant images, and about identical images in two splits or of two classes."""

import numpy as np
import pytest

from zoo import Dataset, Split
from zoo.data.quality import compare_images, image_warnings, imbalance_warning, without_followed_advice


def split(values, labels=None, names=None):
    """Return 2×2 images; an image with the value v has the pixels v, v, v, v + 1."""
    images = np.repeat(np.array(values, np.uint8), 4).reshape(-1, 2, 2, 1).copy()
    images[:, 1, 1, 0] += 1
    labels = np.zeros(len(values), int) if labels is None else np.array(labels)
    return Split(images, labels, names=names)


def dataset(train, **splits):
    return Dataset(train, **splits, class_names=("cat", "dog"))


def test_different_images_give_no_warning():
    assert image_warnings(dataset(split([1, 2, 3]), validation=split([4]), test=split([5, 6]))) == ""


def test_repeated_images_of_a_class_give_no_warning():
    assert image_warnings(dataset(split([1, 1, 2]))) == ""


def test_identical_images_across_splits_are_counted():
    found = dataset(split([1, 2, 3]), test=split([3, 4, 1, 1], names=["a", "b", "c", "d"]))
    assert image_warnings(found) == (
        "3 of 4 test images have the same pixels as a train image, such as a and image 2 of train."
    )
    found = dataset(split([1, 2]), validation=split([2, 3]), test=split([3]))
    assert image_warnings(found) == (
        "1 of 2 validation images has the same pixels as a train image, such as image 0 of validation and "
        "image 1 of train. 1 of 1 test image has the same pixels as a validation image, such as "
        "image 0 of test and image 1 of validation."
    )


def test_identical_images_with_two_labels_are_counted():
    found = dataset(split([1, 2, 1], [0, 0, 1], ["cat/1.png", "cat/2.png", "dog/1.png"]))
    assert image_warnings(found) == (
        "1 image has the same pixels as an image with another label, such as dog/1.png ('dog') and "
        "cat/1.png ('cat')."
    )


def test_constant_images_are_counted_and_not_compared():
    images = np.zeros((3, 2, 2, 3), np.uint8)
    images[2] = 200
    found = dataset(Split(images, np.array([0, 1, 0])), test=split([1]))
    assert image_warnings(found) == (
        "3 of 3 train images are constant, with the same value in every pixel, such as image 0 of train."
    )


def test_images_are_compared_across_blocks(monkeypatch):
    monkeypatch.setattr("zoo.data.quality.BLOCK_SIZE", 8)
    found = dataset(split(range(1, 8)), test=split([9, 8, 7, 6, 5]))
    assert image_warnings(found).startswith("3 of 5 test images have the same pixels as a train image")


def test_images_with_equal_checksums_are_compared(monkeypatch):
    monkeypatch.setattr("zlib.crc32", lambda _: 0)
    found = compare_images(dataset(split([1, 2, 1]), test=split([3, 2])))
    assert [[(one.split, one.position) for one in same] for same in found.identical.values()] == [
        [("train", 0), ("train", 2)],
        [("train", 1), ("test", 1)],
    ]


def test_identical_images_are_grouped_by_their_pixels():
    found = compare_images(dataset(split([1, 2, 1], [0, 0, 1]), test=split([2, 1, 7])))
    assert [[(one.split, one.position, one.label) for one in same] for same in found.identical.values()] == [
        [("train", 0, 0), ("train", 2, 1), ("test", 1, 0)],
        [("train", 1, 0), ("test", 0, 0)],
    ]
    assert all(len(digest) == 32 for digest in found.identical)
    assert found.constant == []


@pytest.mark.parametrize("counts", [(5, 5), (8, 1), (80, 9), (0, 4)])
def test_fairly_even_classes_give_no_warning(counts):
    labels = np.repeat([0, 1], counts)
    assert imbalance_warning(dataset(split(np.arange(len(labels)), labels))) == ""


def test_imbalanced_classes_are_named_with_the_cure():
    labels = np.repeat([0, 1], [190, 10])
    assert imbalance_warning(dataset(split(np.arange(200), labels))) == (
        "The training classes are imbalanced, from 10 images of 'dog' to 190 of 'cat': a model that answers "
        "'cat' for every image has an accuracy of 0.95. "
        'class_weight = "balanced" in [training] and objective = '
        '"val_balanced_accuracy" give every class the same weight.'
    )
    assert "from 1 image of 'dog' to 9 of 'cat'" in imbalance_warning(
        dataset(split(range(10), np.repeat([0, 1], [9, 1])))
    )


def test_followed_advice_is_left_out():
    labels = [0] * 18 + [1, 1]
    warning = imbalance_warning(dataset(split(range(20), labels)))
    both = f"Before. {warning} After."
    facts = warning.partition(" class_weight")[0]
    assert without_followed_advice(both, "none", "val_accuracy") == both
    assert without_followed_advice(both, "balanced", "val_auc") == "Before. After."
    assert without_followed_advice(warning, {"cat": 2.0}, "val_auc") == ""
    assert without_followed_advice(both, "balanced", "val_accuracy") == (
        f'Before. {facts} objective = "val_balanced_accuracy" gives every class the same weight. After.'
    )
    assert without_followed_advice(warning, None, "val_auc") == (
        f'{facts} class_weight = "balanced" in [training] gives every class the same weight.'
    )
