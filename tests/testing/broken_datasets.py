"""Datasets that each break the contract in one way, with the check that must fail."""

from __future__ import annotations

import os
import socket

import numpy as np

from zoo import Dataset, Split

NAMES = ("lying", "standing")


def splits(seed=0, train=40, test=20):
    """Return two sound splits: images `(n, 8, 8, 1)` and alternating labels."""
    random = np.random.default_rng(seed)
    return [
        Split(random.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8), np.arange(count) % 2)
        for count in (train, test)
    ]


def takes_a_positional_argument(count):
    """A dataset."""


def à_la_carte():
    """A dataset."""
    train, test = splits()
    return Dataset(train, test=test, class_names=NAMES)


def without_docstring():
    train, test = splits()
    return Dataset(train, test=test, class_names=NAMES)


def cannot_be_read():
    """A dataset."""
    raise FileNotFoundError("/nowhere/images.npz")


def two_arrays():
    """A dataset."""
    train, _ = splits()
    return train.images, train.labels


def float_images():
    """A dataset."""
    train, test = (Split(split.images / 255, split.labels) for split in splits())
    return Dataset(train, test=test, class_names=NAMES)


def labels_from_one():
    """A dataset."""
    train, test = (Split(split.images, split.labels + 1) for split in splits())
    return Dataset(train, test=test, class_names=NAMES)


def without_channels():
    """A dataset."""
    train, test = (Split(split.images[..., 0], split.labels) for split in splits())
    return Dataset(train, test=test, class_names=NAMES)


def a_class_missing_in_test():
    """A dataset."""
    train, test = splits()
    return Dataset(train, test=Split(test.images, test.labels * 0), class_names=NAMES)


def a_class_without_images():
    """A dataset."""
    train, test = splits()
    return Dataset(train, test=test, class_names=(*NAMES, "leaning"))


def test_images_to_train_on():
    """A dataset."""
    train, test = splits()
    train.images[:7] = test.images[:7]
    return Dataset(train, test=test, class_names=NAMES)


def other_images_every_time():
    """A dataset."""
    train, test = splits(seed=None)
    return Dataset(train, test=test, class_names=NAMES)


def other_labels_every_time():
    """A dataset."""
    train, test = splits()
    labels = np.random.default_rng().permutation(train.labels)
    return Dataset(Split(train.images, labels), test=test, class_names=NAMES)


def shuffled_without_a_seed():
    """A dataset."""
    train, test = splits()
    order = np.random.permutation(len(train))
    return Dataset(Split(train.images[order], train.labels[order]), test=test, class_names=NAMES)


KEPT = splits()[0]


def shuffled_in_place():
    """A dataset."""
    KEPT.images[:] = KEPT.images[::-1]
    return Dataset(KEPT, test=splits()[1], class_names=NAMES)


def other_images_in_every_process():
    """A dataset."""
    train, test = splits(seed=os.getpid())
    return Dataset(train, test=test, class_names=NAMES)


def always_from_the_network():
    """A dataset."""
    socket.create_connection(("localhost", int(os.environ["BROKEN_DATASETS_PORT"]))).close()
    train, test = splits()
    return Dataset(train, test=test, class_names=NAMES)


def too_few_for_a_validation_split():
    """A dataset."""
    train, test = splits()
    labels = np.zeros(len(train), int)
    labels[0] = 1
    return Dataset(Split(train.images, labels), test=test, class_names=NAMES)


# function, check that must fail
BROKEN = [
    (takes_a_positional_argument, "signature"),
    (à_la_carte, "signature"),
    (without_docstring, "docstring"),
    (cannot_be_read, "loads"),
    (two_arrays, "contract"),
    (float_images, "contract"),
    (labels_from_one, "contract"),
    (without_channels, "contract"),
    (a_class_missing_in_test, "classes"),
    (a_class_without_images, "classes"),
    (test_images_to_train_on, "separate_splits"),
    (other_images_every_time, "repeatable"),
    (other_labels_every_time, "repeatable"),
    (shuffled_without_a_seed, "repeatable"),
    (shuffled_in_place, "repeatable"),
    (other_images_in_every_process, "digest"),
    (always_from_the_network, "offline"),
    (too_few_for_a_validation_split, "cache"),
]
