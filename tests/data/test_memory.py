"""`zoo.Dataset.from_arrays`: any usual arrays become a dataset; one line for the others."""

from __future__ import annotations

import numpy as np
import pytest

from zoo import Dataset, ZooError
from zoo.data.contract import check_contract

IMAGES = np.random.RandomState(0).randint(0, 256, (6, 4, 5, 1)).astype(np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def refused(*arrays, **options):
    with pytest.raises(ZooError) as error:
        Dataset.from_arrays(*arrays, **options)
    (line,) = str(error.value).splitlines()
    return line


def test_uint8_images_are_not_copied():
    dataset = Dataset.from_arrays(IMAGES, LABELS)
    assert np.shares_memory(dataset.train.images, IMAGES)
    assert (dataset.class_names, dataset.test, dataset.warning) == (["0", "1", "2"], None, "")
    check_contract(dataset)


@pytest.mark.parametrize(
    "x",
    [
        IMAGES[..., 0],
        IMAGES.transpose(0, 3, 1, 2),
        IMAGES.astype(float),
        IMAGES.tolist(),
        list(IMAGES),
    ],
    ids=["grey", "channels first", "floats", "lists", "list of arrays"],
)
def test_usual_forms_of_images_are_equal(x):
    assert np.array_equal(Dataset.from_arrays(x, LABELS).train.images, IMAGES)


def test_tensors_of_other_libraries_are_taken():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return IMAGES

    assert np.array_equal(Dataset.from_arrays(Tensor(), LABELS).train.images, IMAGES)


@pytest.mark.parametrize("scale", ["255", True, 0, float("nan")])
def test_scale_is_a_number_above_zero(scale):
    assert refused(IMAGES, LABELS, scale=scale).startswith(f"scale = {scale!r}: expected a number above 0")


def test_scale_converts_other_ranges():
    dataset = Dataset.from_arrays(IMAGES / 255, LABELS, scale=255)
    assert np.array_equal(dataset.train.images, IMAGES)


def test_dark_images_warn():
    assert "If 9 is white, set scale" in Dataset.from_arrays(np.full((6, 4, 5), 9), LABELS).warning


def test_splits_facts_and_names_are_kept():
    dataset = Dataset.from_arrays(
        *(IMAGES, LABELS),
        x_val=IMAGES[:2],
        y_val=LABELS[:2],
        x_test=IMAGES[:3],
        y_test=LABELS[:3, None],
        class_names=["ant", "bee", "cow"],
        source="my microscope",
        licence="CC0",
    )
    assert (len(dataset.validation), len(dataset.test)) == (2, 3)
    assert dataset.test.labels.shape == (3,)
    assert (dataset.class_names, dataset.source) == (["ant", "bee", "cow"], "my microscope")
    assert dataset.licence == "CC0"


class TestLabels:
    def test_text_becomes_classes_in_natural_order(self):
        y = ["c10", "c2", "c1", "c10", "c2", "c1"]
        for labels in (y, np.array(y), np.array(y, object), np.array(y, "S3")):
            dataset = Dataset.from_arrays(IMAGES, labels)
            assert dataset.class_names == ["c1", "c2", "c10"]
            assert dataset.train.labels.tolist() == [2, 1, 0, 2, 1, 0]

    def test_spellings_of_one_name_are_one_class(self):
        y = ["caf\u00e9", "cafe\u0301", "caf\u00e9 ", "the a", "the\n a", "the a"]
        assert Dataset.from_arrays(IMAGES, y).class_names == ["caf\u00e9", "the a"]
        named = Dataset.from_arrays(IMAGES, y, class_names=["the a", "cafe\u0301"])
        assert named.train.labels.tolist() == [1, 1, 1, 0, 0, 0]

    def test_class_names_give_the_order_of_text(self):
        dataset = Dataset.from_arrays(IMAGES, list("abcabc"), class_names=["c", "a", "b"])
        assert dataset.train.labels.tolist() == [1, 2, 0, 1, 2, 0]

    def test_integers_with_a_gap_become_classes(self):
        dataset = Dataset.from_arrays(IMAGES, [7, 3, 11, 7, 3, 11])
        assert dataset.class_names == ["3", "7", "11"]
        assert dataset.train.labels.tolist() == [1, 0, 2, 1, 0, 2]

    def test_integers_are_positions_in_class_names(self):
        dataset = Dataset.from_arrays(IMAGES, [0, 2, 2, 0, 2, 2], class_names=["ant", "bee", "cow"])
        assert dataset.train.labels.tolist() == [0, 2, 2, 0, 2, 2]

    def test_classes_are_those_of_all_splits(self):
        dataset = Dataset.from_arrays(IMAGES, list("ababab"), x_test=IMAGES[:2], y_test=["b", "a"])
        assert dataset.test.labels.tolist() == [1, 0]

    @pytest.mark.parametrize(
        ("labels", "problem"),
        [
            (LABELS[:-1], "y: expected one label per image of x, got 5 labels for 6 images."),
            (LABELS * 1.0, 'got float64. If they are integers: use `y.astype("int64")`.'),
            (LABELS > 1, "got bool. If they are integers"),
            (np.eye(3)[LABELS], "got the shape (6, 3). If they are one-hot: use `y.argmax(axis=1)`."),
            (np.zeros((6, 1, 1), int), "expected integers or text, shape (n,), got the shape (6, 1, 1)."),
            (["a", "b", None, "a", "b", "c"], "y[2]: expected text as in other rows, got None."),
            (["a", "b", 3.5, "a", "b", "c"], None),
            (None, "y: expected an array, got None."),
            (["a", "b", " ", "a", "b", "c"], "y[2]: expected the name of a class, got ' '. Complete it."),
            ([5] * 6, "y: expected labels of at least two classes, got only 5. Add images of another class."),
            (np.ma.masked_equal(LABELS, 2), "y: expected an array without a mask, got 2 masked of 6 values."),
        ],
    )
    def test_other_labels_are_refused(self, labels, problem):
        if problem is None:  # numpy.asarray makes text of it
            assert "3.5" in Dataset.from_arrays(IMAGES, labels).class_names
        else:
            assert problem in refused(IMAGES, labels)

    def test_labels_of_two_kinds_are_refused(self):
        line = refused(IMAGES, LABELS, x_test=IMAGES[:2], y_test=["a", "b"])
        assert line == "expected labels of one kind in all splits, got integers in y, text in y_test."

    @pytest.mark.parametrize(
        ("names", "problem"),
        [
            (["a", "a", "b"], "class_names: expected unique names, but 'a' occurs twice"),
            (["a", "b"], "y: class_names does not have the label 'c'. Add it."),
            ("abc", "class_names: expected a list of names, got 'abc'"),
        ],
    )
    def test_wrong_class_names_are_refused(self, names, problem):
        assert refused(IMAGES, list("abcabc"), class_names=names) == problem


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (IMAGES.reshape(6, 20), "got (6, 20). Use `x.reshape(-1, height, width, channels)`."),
        (IMAGES[:0], "with at least one image and pixel, got (0, 4, 5, 1)."),
        (IMAGES[0, 0, 0], "x: expected the shape"),
        (IMAGES / 255, "expected integers from 0 to 255, got 0."),
        (np.where(IMAGES < 9, np.nan, IMAGES), "got nan. Replace the values that are NaN or infinite."),
        (IMAGES - 300.0, ". Convert the values to 0 to 255."),
        (np.ma.masked_less(IMAGES, 90), "x: expected an array without a mask, got "),
        (IMAGES.astype(object), "x: expected numbers, got object. If each is an array: use `numpy.stack`"),
        ([[[1, 2]], [[1]]], "x: expected values for numpy.asarray, got list ("),
        (np.full((6, 4, 5), "x"), "x: expected numbers, got <U1."),
        (None, "x: expected an array, got None."),
    ],
    ids=["2-d", "empty", "1-d", "0-1", "NaN", "negative", "masked", "objects", "ragged", "text", "None"],
)
def test_other_images_are_refused(x, problem):
    assert problem in refused(x, LABELS)


def test_images_from_0_to_1_name_the_scale():
    assert refused(IMAGES / 255, LABELS).endswith(" If 1 is white, set scale = 255.")


def test_split_without_labels_is_refused():
    assert refused(IMAGES, LABELS, x_test=IMAGES) == "y_test: expected an array, got None."


class TestColumns:
    def test_columns_become_facts_about_the_images(self):
        person = ["ann", "ann", "bob", "bob", "cid", "cid"]
        dataset = Dataset.from_arrays(
            *(IMAGES, LABELS),
            x_test=IMAGES,
            y_test=LABELS,
            columns={"person": person, "year": range(6)},
            columns_test={"person": person},
        )
        assert dataset.train.columns["person"].tolist() == person
        assert list(dataset.test.columns) == ["person"]
        check_contract(dataset)

    @pytest.mark.parametrize(
        ("columns", "problem"),
        [
            (
                {"person": ["ann"]},
                "columns['person']: expected one value per image of x, shape (6,), got (1,).",
            ),
            ({"person": "ann"}, "columns['person']: expected one value per image of x, shape (6,), got ()."),
            (["ann"] * 6, 'columns: expected a dict such as {"person": […]}, got list.'),
        ],
    )
    def test_other_columns_are_refused(self, columns, problem):
        assert refused(IMAGES, LABELS, columns=columns) == problem
