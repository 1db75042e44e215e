"""The real data: every published array, and every format."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from zoo.builtin import datasets
from zoo.builtin.datasets import _keras
from zoo.data.contract import absent_class_warning, check_contract

pytestmark = pytest.mark.real_data


def needs(name):
    """Skip the test unless ZOO_DATA_DIR has the real file or folder."""
    folder = os.environ.get("ZOO_DATA_DIR", "")
    if not folder or not Path(folder, name).exists():
        pytest.skip(f"ZOO_DATA_DIR names no folder with the real {name}")


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def check(dataset, sizes):
    check_contract(dataset)
    assert dataset.warning == absent_class_warning(dataset) == ""
    splits = (dataset.train, dataset.validation, dataset.test)
    assert tuple(len(split) for split in splits if split is not None) == sizes


def test_mnist_file_is_the_published_dataset():
    needs("mnist.npz")
    dataset = datasets.mnist()
    check(dataset, (60_000, 10_000))
    assert dataset.source == "MNIST"
    parts = (dataset.train.images, dataset.train.labels, dataset.test.images, dataset.test.labels)
    assert [digest(part.astype(np.uint8)) for part in parts] == [
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ]


def test_fashion_mnist_of_debian_is_complete(monkeypatch):
    """The copy of Debian's package `dataset-fashion-mnist`."""
    if not (_keras.SYSTEM_FOLDER / "fashion-mnist").is_dir():
        pytest.skip(f"there is no {_keras.SYSTEM_FOLDER / 'fashion-mnist'}")
    for other in ("_find_in_data_folder", "_find_in_keras_cache"):
        monkeypatch.setattr(_keras, other, lambda published: "not searched")
    dataset = datasets.fashion_mnist()
    check(dataset, (60_000, 10_000))
    assert dataset.source == "Fashion-MNIST"
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    assert digest(dataset.train.images) == FASHION_TRAIN
    assert digest(dataset.test.images) == FASHION_TEST


@pytest.mark.parametrize(
    ("name", "file", "classes"),
    [("cifar10", "cifar-10-python.tar.gz", 10), ("cifar100", "cifar-100-python.tar.gz", 100)],
)
def test_cifar_archive_is_the_published_dataset(name, file, classes):
    needs(file)
    dataset = getattr(datasets, name)()
    check(dataset, (50_000, 10_000))
    assert np.bincount(dataset.train.labels).tolist() == [50_000 // classes] * classes


def test_notmnist_images_have_their_labels():
    needs("notMNIST_small.mat")
    dataset = datasets.notmnist()
    check(dataset, (8000, 2000))
    assert np.bincount(dataset.test.labels).tolist() == [200] * 10
    # An E has more ink on its left, a J on its right: images are upright and have their labels.
    left = dataset.train.images[:, :, :14].mean(axis=(1, 2, 3))
    right = dataset.train.images[:, :, 14:].mean(axis=(1, 2, 3))
    share = [float((left > right)[dataset.train.labels == label].mean()) for label in (4, 9)]
    assert share[0] > 0.7 > 0.3 > share[1]


def test_sign_digits_are_read_with_csv_images():
    needs("sign_digits_train.csv")
    files = {"train": "sign_digits_train.csv", "test": "sign_digits_test.csv"}
    dataset = datasets.csv_images(**files)
    check(dataset, (1649, 413))
    assert dataset.train.images.shape[1:] == (28, 28, 1)
    assert list(dataset.class_names) == list("0123456789")
    three = datasets.csv_images(**files, classes=[0, 1, 2], class_names=["zero", "one", "two"])
    check(three, (494, 123))
    kept = dataset.train.labels < 3
    assert np.array_equal(three.train.images, dataset.train.images[kept])
    assert np.array_equal(three.train.labels, dataset.train.labels[kept])


def test_cats_and_dogs_are_read_with_image_folder():
    needs("cats_and_dogs_small")
    dataset = datasets.image_folder(path="cats_and_dogs_small", image_size=64)
    check(dataset, (2000, 1000, 1000))
    assert dataset.train.images.shape[1:] == (64, 64, 3)
    assert dataset.class_names == ["cats", "dogs"]
    for split in (dataset.train, dataset.validation, dataset.test):
        assert len(set(np.bincount(split.labels).tolist())) == 1
    assert dataset.train.images.std() > 50  # photographs, not an empty file


FASHION_TRAIN = "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"
FASHION_TEST = "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"
