"""`array_images`: arrays of any usual name, type and shape in `.npz` and `.npy` files."""

from __future__ import annotations

import os

import numpy as np
import pytest

from zoo import ZooError
from zoo.builtin.datasets import array_images
from zoo.data.contract import check_contract

X = np.random.default_rng(0).integers(0, 256, (20, 5, 6)).astype(np.uint8)
RGB = np.random.default_rng(0).integers(0, 256, (20, 5, 6, 3)).astype(np.uint8)
Y = np.arange(20) % 2


def refused(text, **parameters):
    with pytest.raises(ZooError) as error:
        array_images(**{"path": "data.npz", **parameters})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def assert_complete(dataset, pixels=X[..., None]):
    check_contract(dataset)
    assert dataset.train.images.dtype == np.uint8
    assert (len(dataset.train), len(dataset.test)) == (16, 4)
    seen = {
        image.tobytes(): label
        for split in (dataset.train, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert seen == {image.tobytes(): label for image, label in zip(pixels, Y, strict=True)}


@pytest.mark.parametrize(
    ("names", "parameters"),
    [
        (("x_train", "y_train"), {}),
        (("X_train", "Y_train"), {}),
        (("train_images", "train_labels"), {}),
        (("images", "labels"), {}),
        (("X", "y"), {}),
        (("data", "target"), {}),
        (("arr_0", "arr_1"), {}),
        (("trainX", "trainY"), {}),
        (("a", "b"), {"images": "a", "labels": "b"}),
        (("a", "y"), {"images": "a", "labels": "y"}),
    ],
)
def test_arrays_are_found_by_their_names(in_tmp, names, parameters):
    np.savez("data.npz", **dict(zip(names, (X, Y), strict=True)), other=np.zeros(3))
    dataset = array_images(path="data.npz", **parameters)
    assert_complete(dataset)
    assert (dataset.source, dataset.warning) == ("data.npz", "")
    assert list(dataset.class_names) == ["0", "1"]


@pytest.mark.parametrize(
    ("images", "expected", "parameters"),
    [
        (X.astype(np.int64), X[..., None], {}),
        (X.astype(np.float32), X[..., None], {}),
        (X / 255, X[..., None], {"scale": 255}),
        ((X / 255).astype(np.float32), X[..., None], {"scale": 255}),
        (X.astype(np.uint16) * 257, X[..., None], {"scale": 1 / 257}),
        (X > 127, (X > 127)[..., None].astype(np.uint8) * 255, {}),
        (X.reshape(20, 30), X[..., None], {"image_shape": [5, 6]}),
        (RGB, RGB, {}),
        (RGB.transpose(0, 3, 1, 2), RGB, {}),
        (X[:, None], X[..., None], {}),
        (
            RGB.transpose(0, 3, 1, 2).reshape(20, 90),
            RGB,
            {"image_shape": [5, 6, 3], "channels_first": True},
        ),
    ],
    ids=[
        "int",
        "float",
        "unit",
        "unit32",
        "16 bits",
        "bool",
        "rows",
        "RGB",
        "channels first",
        "grey first",
        "planar rows",
    ],
)
def test_images_of_every_type_and_shape_are_read(in_tmp, images, expected, parameters):
    np.savez_compressed("data.npz", x=images, y=Y)
    assert_complete(array_images(path="data.npz", **parameters), expected)


def test_damage_in_a_later_block_is_named(in_tmp, monkeypatch):
    monkeypatch.setattr("zoo.data.arrays.BLOCK_SIZE", 60)
    damaged = X.astype(float)
    damaged[7, 2, 3] = np.nan
    np.savez("data.npz", x=damaged, y=Y)
    refused("data.npz: x[7, 2, 3]: expected integers from 0 to 255, got nan.")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (Y[:, None], ["0", "1"]),
        (np.eye(2)[Y], ["0", "1"]),
        (Y.astype(float), ["0", "1"]),
        (np.where(Y, "dog", "cat"), ["cat", "dog"]),
        (np.where(Y, b"dog", b"cat"), ["cat", "dog"]),
    ],
    ids=["column", "one-hot", "float", "text", "bytes"],
)
def test_labels_of_every_type_are_read(in_tmp, labels, names):
    np.savez("data.npz", x=X, y=labels)
    dataset = array_images(path="data.npz")
    assert_complete(dataset)
    assert list(dataset.class_names) == names


def test_splits_of_medmnist_are_read(in_tmp):
    arrays = {}
    for split, count in (("train", 12), ("val", 4), ("test", 4)):
        arrays |= {f"{split}_images": RGB[:count], f"{split}_labels": Y[:count, None]}
    np.savez("data.npz", **arrays)
    dataset = array_images(path="data.npz", class_names=["no", "yes"])
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (12, 4, 4)
    assert np.array_equal(dataset.validation.images, RGB[:4])
    assert dataset.class_names == ["no", "yes"]


def test_unlabelled_split_is_not_used_with_a_note(in_tmp):
    np.savez("data.npz", x_train=X, y_train=Y, x_test=X, y_val=Y)
    assert array_images(path="data.npz").warning == (
        f"{in_tmp}/data.npz: x_test, y_val are not used, because their labels or images are missing."
    )


def test_folder_of_npy_files_is_read(in_tmp):
    (in_tmp / "arrays").mkdir()
    np.save("arrays/images.npy", X)
    np.save("arrays/labels.npy", Y)
    np.save("arrays/holdout.npy", X[:3])
    np.save("arrays/holdout_y.npy", Y[:3])
    assert_complete(array_images(path="arrays"))
    dataset = array_images(path="arrays", test_images="holdout", test_labels="holdout_y")
    assert (len(dataset.train), len(dataset.test)) == (20, 3)
    refused("images.npy is one array. Set path to its folder", path="arrays/images.npy")


def test_dark_images_give_a_warning_with_the_parameter(in_tmp):
    np.savez("data.npz", x=X // 16, y=Y)
    assert "is above 15 of 255. If 15 is white, set scale = 17." in array_images(path="data.npz").warning
    assert array_images(path="data.npz", scale=17).warning == ""


@pytest.mark.parametrize(
    ("arrays", "parameters", "text"),
    [
        ({"a": X, "b": Y}, {}, "expected images and labels, such as x_train and y_train, got a, b. Set"),
        ({"x": X, "y": Y}, {"images": "z"}, "data.npz has no array 'z'. Available: x, y."),
        ({"x": X, "y": Y}, {"test_images": "x"}, "Set test_images and test_labels to the names."),
        ({"x": X, "y": Y[:7]}, {}, "data.npz: y: expected one label per image, got 7 labels for 20 images."),
        ({"x": X / 255, "y": Y}, {}, "data.npz: x[0, 0, 0]: expected integers from 0 to 255, got 0."),
        ({"x": X / 255, "y": Y}, {}, "If 1 is white, set scale = 255."),
        ({"x": X * 16, "y": Y}, {"scale": -1.0}, "scale = -1.0: expected a number above 0"),
        ({"x": X - 200.0, "y": Y}, {}, "expected integers from 0 to 255, got "),
        ({"x": X.reshape(20, 30), "y": Y}, {}, "30 pixels are not a square"),
        ({"x": X[0, 0], "y": Y}, {}, "expected the shape (n, height, width) or"),
        ({"x": X[:0], "y": Y[:0]}, {}, "data.npz: x has no image: expected at least one, got the shape (0, "),
        ({"x": X.astype(str), "y": Y}, {}, "data.npz: x: expected numbers, got <U3."),
        ({"x": X, "y": Y + 0.5}, {}, "label 0: expected an integer or the name of a class, got '0.5'."),
        ({"x": X, "y": np.ones((20, 3))}, {}, "expected one label per image, shape (n,), got (20, 3)."),
        ({"x": X.astype(object), "y": Y}, {}, "data.npz has Python objects, which can run code"),
        ({"x_train": X, "y_train": Y, "x_test": RGB, "y_test": Y}, {}, "of shape (5, 6, 1) as in train, got"),
    ],
)  # fmt: skip
def test_other_arrays_are_refused(in_tmp, arrays, parameters, text):
    np.savez("data.npz", **arrays)
    refused(text, **parameters)


def test_truncated_file_is_refused(in_tmp):
    np.savez("data.npz", x=X, y=Y)
    content = (in_tmp / "data.npz").read_bytes()
    for length in range(0, len(content), 97):
        (in_tmp / "data.npz").write_bytes(content[:length])
        refused(f"{in_tmp}/data.npz")


def test_named_pipe_in_a_folder_is_not_opened(tmp_path):
    for name in ("x", "y"):
        os.mkfifo(tmp_path / f"{name}.npy")
    with pytest.raises(ZooError, match=r"x.npy is a pipe, a socket or a device, not a file"):
        array_images(path=str(tmp_path))
