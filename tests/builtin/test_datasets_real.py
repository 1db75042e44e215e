"""The real data: every array that was published, and loading of every kind."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from zoo.builtin import datasets
from zoo.builtin.datasets import _keras
from zoo.data.contract import absent_classes, check_contract

pytestmark = pytest.mark.real_data


def needs(name):
    """The real file or folder of that name, or a reason to skip."""
    folder = os.environ.get("ZOO_DATA_DIR", "")
    if not folder or not Path(folder, name).exists():
        pytest.skip(f"ZOO_DATA_DIR names no folder with the real {name}")


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def check(dataset, sizes):
    check_contract(dataset)
    assert dataset.warning == absent_classes(dataset) == ""
    splits = (dataset.train, dataset.validation, dataset.test)
    assert tuple(len(split) for split in splits if split is not None) == sizes


def test_mnist():
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


def test_fashion_mnist_of_debian(monkeypatch):
    """As the package `dataset-fashion-mnist` has it."""
    if not (_keras.SYSTEM_FOLDER / "fashion-mnist").is_dir():
        pytest.skip(f"there is no {_keras.SYSTEM_FOLDER / 'fashion-mnist'}")
    for other in ("_in_data_folder", "_in_keras_cache"):
        monkeypatch.setattr(_keras, other, lambda published: None)
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
def test_cifar(name, file, classes):
    needs(file)
    dataset = getattr(datasets, name)()
    check(dataset, (50_000, 10_000))
    assert np.bincount(dataset.train.labels).tolist() == [50_000 // classes] * classes


FASHION_TRAIN = "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"
FASHION_TEST = "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"
