"""Batches of a split: every image once per epoch, in an order given by seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.data import Split


@pytest.fixture(scope="module")
def split():
    images = np.arange(10 * 2 * 3, dtype="uint8").reshape(10, 2, 3, 1)
    return Split(images, np.arange(10))


@pytest.fixture
def batches(keras, split):
    from zoo.training.loop import Batches

    return lambda seed=0: Batches(split, 4, seed=seed)


def labels_of(batches):
    return np.concatenate([labels for _, labels in (batches[i] for i in range(len(batches)))]).tolist()


def test_unshuffled_batches_have_the_order_of_the_split(batches, split):
    one = batches()
    assert len(one) == 3
    assert [len(one[i][1]) for i in range(3)] == [4, 4, 2]
    assert labels_of(one) == list(range(10))
    assert (one[1][0] == split.images[4:8]).all()
    assert one[1][0].dtype == np.uint8


def test_shuffled_epoch_has_every_image_once_with_label(batches, split):
    one = batches()
    one.shuffle(1)
    assert labels_of(one) != list(range(10))
    assert sorted(labels_of(one)) == list(range(10))
    for i in range(3):
        images, labels = one[i]
        assert (images == split.images[labels]).all()


def test_order_depends_on_seed_and_epoch_only(batches):
    def orders(seed, epochs):
        one, labels = batches(seed), {}
        for epoch in epochs:
            one.shuffle(epoch)
            labels[epoch] = labels_of(one)
        return labels

    assert orders(3, [1, 2, 3]) == orders(3, [3, 2, 1])
    assert orders(3, [1])[1] != orders(3, [2])[2]
    assert orders(3, [1]) != orders(4, [1])


def test_feed_yields_the_same_batches_each_epoch(batches, keras):
    from zoo.training import backend

    one = batches()
    fed = backend.as_training_data(one)
    assert len(fed) == 3  # the number of steps, for the progress of an epoch
    for epoch in (1, 2):
        one.shuffle(epoch)
        rows = fed if keras.backend.backend() == "tensorflow" else [fed[i] for i in range(len(fed))]
        labels = np.concatenate([np.asarray(labels) for _, labels in rows])
        assert labels.tolist() == labels_of(one)
