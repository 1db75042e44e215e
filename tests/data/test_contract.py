"""The dataset contract: sound datasets pass, and each mistake is named with its fix."""

import re

import numpy as np
import pytest

from zoo import Dataset, Split
from zoo.data.contract import absent_class_warning, check_contract
from zoo.errors import DataError

NAMES = ("cat", "dog", "bird")


def split(count=6, shape=(4, 5, 3)):
    return Split(np.zeros((count, *shape), np.uint8), np.arange(count) % 3)


def refused(dataset, message):
    with pytest.raises(DataError, match=re.escape(message)) as error:
        check_contract(dataset)
    assert "\n" not in str(error.value)


def test_sound_datasets_are_accepted(tmp_path):
    check_contract(Dataset(split(), class_names=NAMES))
    check_contract(
        Dataset(split(), validation=split(2), test=split(1), class_names=list(NAMES), source="here")
    )
    np.save(tmp_path / "images.npy", split().images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for labels in (np.arange(6, dtype=np.uint8) % 3, np.zeros(6, np.int8)):
        check_contract(Dataset(Split(mapped, labels), class_names=NAMES))


@pytest.mark.parametrize("dataset", [None, (1, 2), {}])
def test_other_return_values_are_refused(dataset):
    refused(dataset, f"expected a zoo.Dataset, got {type(dataset).__name__}")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", "class_names: expected a list of names, got 'abc'"),
        (None, "class_names: expected a list of names, got None"),
        ((), "class_names: expected at least two names, got []"),
        (np.array(["a", "b"]), "expected a list of names, got an array. Use `class_names.tolist()`."),
        (
            ("cat", 1, "bird"),
            "expected strings, but class_names[1] is 1. Use `[str(name) for name in class_names]`.",
        ),
        (("cat", "", "bird"), "class_names: expected strings, but class_names[1] is ''"),
        (("cat", "dog", "cat"), "class_names: expected unique names, but 'cat' occurs twice"),
    ],
)
def test_unsound_class_names_are_refused(names, message):
    refused(Dataset(split(), class_names=names), message)


RAMP = np.linspace(0, 1, 6 * 4 * 5 * 3).reshape(6, 4, 5, 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            [[1]],
            "expected an array (uint8, shape (n, height, width, channels)), got list. "
            "Use `numpy.asarray(images)`.",
        ),
        (
            np.zeros((6, 4, 5), np.uint8),
            "expected uint8, shape (n, height, width, channels), got shape (6, 4, 5). "
            "Use `images[..., None]` for grey images.",
        ),
        (
            np.zeros((6, 20), np.uint8),
            "got shape (6, 20). Use `images.reshape(-1, height, width, channels)`.",
        ),
        (np.zeros(6, np.uint8), "expected uint8, shape (n, height, width, channels), got shape (6,)"),
        (np.zeros((6, 3, 8, 9), np.uint8), "expected the channels last, got shape (6, 3, 8, 9). Use `images"),
        (np.zeros((6, 1, 8, 8)), "got shape (6, 1, 8, 8). Use `images.transpose(0, 2, 3, 1)`."),
        (
            RAMP.astype("float32"),
            'expected uint8 (0 to 255), got float32 from 0.0 to 1.0. Use `(images * 255).astype("uint8")`.',
        ),
        (RAMP > 0.5, 'got bool from False to True. Use `(images * 255).astype("uint8")`.'),
        (RAMP * 255, 'got float64 from 0.0 to 255.0. Use `images.astype("uint8")`.'),
        ((RAMP * 255).astype(int), 'got int64 from 0 to 255. Use `images.astype("uint8")`.'),
        (RAMP * 2 - 1, 'got float64 from -1.0 to 1.0. Use `((images + 1) * 127.5).astype("uint8")`.'),
        (
            (RAMP * 65535).astype("uint16"),
            'got uint16 from 0 to 65535. Use `(images // 256).astype("uint8")`.',
        ),
        (RAMP * -300, "got float64 from -300.0 to -0.0. Scale them to 0 to 255 first."),
        (RAMP.astype(str), "expected uint8 (0 to 255), got <U32"),
        (np.zeros((6, 0, 5, 3), np.uint8), "expected at least one image and pixel, got shape (6, 0, 5, 3)"),
        (np.zeros((0, 4, 5, 3), np.uint8), "expected at least one image and pixel, got shape (0, 4, 5, 3)"),
    ],
)
def test_unsound_images_are_refused_with_the_fix(images, message):
    with np.errstate(all="raise"), pytest.raises(DataError) as error:
        check_contract(Dataset(Split(images, split().labels), class_names=NAMES))
    assert str(error.value).startswith("train images: ")
    assert message in str(error.value)


@pytest.mark.parametrize("shape", [(1, 8, 12), (1, 784, 1), (28, 28, 12), (3, 3, 3), (1, 4, 4)])
def test_unusual_but_sound_shapes_are_accepted(shape):
    check_contract(Dataset(split(shape=shape), class_names=NAMES))


@pytest.mark.parametrize(
    ("images", "fix"),
    [
        (RAMP, "(images * 255).astype('uint8')"),
        (RAMP * 255, "images.astype('uint8')"),
        (RAMP * 2 - 1, "((images + 1) * 127.5).astype('uint8')"),
        ((RAMP * 65535).astype("uint16"), "(images // 256).astype('uint8')"),
        (np.zeros((6, 4, 5), np.uint8), "images[..., None]"),
        (np.zeros((6, 3, 8, 9), np.uint8), "images.transpose(0, 2, 3, 1)"),
    ],
)
def test_fix_for_images_satisfies_the_contract(images, fix):
    with pytest.raises(DataError) as error:
        check_contract(Dataset(Split(images, split().labels), class_names=NAMES))
    assert fix.replace("'", '"') in str(error.value)
    fixed = eval(fix, {"images": images})
    check_contract(Dataset(Split(fixed, split().labels), class_names=NAMES))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0, 1],
            "train labels: expected an array (integers, shape (n,)), got list. Use `numpy.asarray(labels)`.",
        ),
        (
            np.eye(6, 3, dtype=int),
            "expected integers, shape (n,), got shape (6, 3). Use `labels.argmax(axis=1)`.",
        ),
        (np.zeros((6, 1), int), "expected integers, shape (n,), got shape (6, 1). Use `labels[:, 0]`."),
        (np.zeros((6, 1, 1), int), "train labels: expected integers, shape (n,), got shape (6, 1, 1)"),
        (
            np.array(["cat", "dog"] * 3),
            "expected integers, got <U3. "
            "Use `class_names, labels = numpy.unique(labels, return_inverse=True)`.",
        ),
        (np.zeros(6), 'train labels: expected integers, got float64. Use `labels.astype("int64")`.'),
        (np.zeros(6, bool), 'train labels: expected integers, got bool. Use `labels.astype("int64")`.'),
        (np.zeros(5, int), "train: expected as many labels as images, got 5 labels for 6 images"),
        (np.zeros(1, int), "train: expected as many labels as images, got 1 label for 6 images"),
        (
            np.array([1, 2, 3] * 2),
            "train labels: expected 0 to 2 for 3 class names, got 1 to 3. Use `labels - 1`.",
        ),
        (np.full(6, 3), "expected 0 to 2 for 3 class names, got 3 to 3. Renumber them, or add class names."),
        (np.array([-1, 0, 1, 2, 0, 1]), "expected 0 to 2 for 3 class names, got -1 to 2. Renumber them"),
    ],
)
def test_unsound_labels_are_refused_with_the_fix(labels, message):
    refused(Dataset(Split(split().images, labels), class_names=NAMES), message)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_validation_and_test_split_are_checked(name):
    refused(Dataset(split(), class_names=NAMES, **{name: 1}), f"{name}: expected a zoo.Split, got int")
    refused(
        Dataset(split(), class_names=NAMES, **{name: split(shape=(4, 4, 3))}),
        f"{name}: expected images of shape (4, 5, 3) as in train, got (4, 4, 3)",
    )


@pytest.mark.parametrize("fact", ["source", "warning", "licence"])
def test_fact_must_be_a_string(fact):
    refused(Dataset(split(), class_names=NAMES, **{fact: None}), f"{fact}: expected a string, got None")


def test_facts_of_other_length_are_refused():
    few = Split(split().images, split().labels, {"person": ["a", "b"]})
    text = "train columns['person']: expected one value per image, got 2 values for 6 images"
    refused(Dataset(few, class_names=NAMES), text)


def test_taken_images_keep_their_facts():
    named = Split(split().images, split().labels, {"person": np.arange(6)}, np.array(list("abcdef"), object))
    taken = named.take(np.array([4, 1]))
    assert taken.labels.tolist() == [1, 1]
    assert taken.columns["person"].tolist() == [4, 1]
    assert taken.names.tolist() == ["e", "b"]
    assert split().take([0, 2]).names is None


def labelled(*labels):
    return Split(np.zeros((len(labels), 1, 1, 1), np.uint8), np.array(labels))


def test_splits_with_every_class_give_no_warning():
    assert absent_class_warning(Dataset(labelled(0, 1, 2), class_names=NAMES)) == ""
    whole = Dataset(labelled(2, 1, 0), labelled(0, 1, 2), labelled(1, 0, 2, 2), class_names=NAMES)
    assert absent_class_warning(whole) == ""


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint64, ">i8"])
def test_labels_of_every_integer_type_are_counted(kind):
    split = Split(np.zeros((3, 1, 1, 1), np.uint8), np.array([0, 2, 2]).astype(kind))
    assert "no image of class 'dog'" in absent_class_warning(Dataset(split, class_names=NAMES))


def test_absent_class_is_reported_with_counts():
    dataset = Dataset(labelled(0, 0, 1, 1, 1), test=labelled(0, 2), class_names=NAMES)
    assert absent_class_warning(dataset) == (
        "The train split (5 images) has no image of class 'bird' (1 in other splits). "
        "The test split (2 images) has no image of class 'dog' (3 in other splits)."
    )


def test_of_many_absent_classes_five_are_named():
    dataset = Dataset(labelled(*range(9)), validation=labelled(8), class_names=list("abcdefghi"))
    assert absent_class_warning(dataset) == (
        "The validation split (1 image) has no image of class "
        + ", ".join(f"'{name}' (1 in other splits)" for name in "abcde")
        + " and 3 more."
    )


def test_names_are_as_many_as_images():
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1])
    with pytest.raises(DataError, match="train: expected as many names as images, got 1 name for 2 images"):
        check_contract(Dataset(Split(images, labels, names=["a.png"]), class_names=("x", "y")))
