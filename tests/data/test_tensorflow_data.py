"""`zoo.Dataset.from_tf_dataset`, with objects that have what zoo uses of `tf.data.Dataset`."""

from __future__ import annotations

import os
import tempfile

import numpy as np
import pytest
from PIL import Image

from zoo import Dataset, ZooError
from zoo.data import tensorflow_data
from zoo.data.store import digest_of

IMAGES = np.random.RandomState(0).randint(0, 256, (20, 4, 5, 3)).astype(np.uint8)
LABELS = np.arange(20) % 4


class Elements:
    """Elements such as a `tf.data.Dataset` yields them."""

    def __init__(self, elements, cardinality=None, class_names=None):
        self._elements = list(elements)
        self._cardinality = len(self._elements) if cardinality is None else cardinality
        if class_names is not None:
            self.class_names = class_names

    def as_numpy_iterator(self):
        return iter(self._elements)

    def cardinality(self):
        return np.int64(self._cardinality)


def batches(images=IMAGES, labels=LABELS, size=6, **options):
    starts = range(0, len(images), size)
    return Elements(
        [(images[start : start + size], labels[start : start + size]) for start in starts], **options
    )


def pairs_of(dataset):
    return sorted(
        (image.tobytes(), int(label))
        for image, label in zip(dataset.train.images, dataset.train.labels, strict=True)
    )


def refused(*datasets, **options):
    with pytest.raises(ZooError) as error:
        Dataset.from_tf_dataset(*datasets, **options)
    (line,) = str(error.value).splitlines()
    return line


def test_every_image_keeps_its_label():
    expected = sorted((image.tobytes(), int(label)) for image, label in zip(IMAGES, LABELS, strict=True))
    assert pairs_of(Dataset.from_tf_dataset(batches())) == expected
    single = Elements(zip(IMAGES, LABELS, strict=True))
    assert pairs_of(Dataset.from_tf_dataset(single)) == expected


def test_shuffled_dataset_has_the_same_digest():
    order = np.random.RandomState(1).permutation(20)
    one = Dataset.from_tf_dataset(batches(), test=batches())
    other = Dataset.from_tf_dataset(batches(IMAGES[order], LABELS[order], size=7), test=batches(size=3))
    assert digest_of(one) == digest_of(other)


def test_images_are_in_a_file_that_disappears(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert isinstance(Dataset.from_tf_dataset(batches()).train.images, np.memmap)
    assert list(tmp_path.iterdir()) == []


def test_fractions_are_rounded():
    dataset = Dataset.from_tf_dataset(batches((IMAGES - 0.4).clip(0).astype(np.float32)))
    assert sorted(map(int, dataset.train.images.reshape(-1))) == sorted(map(int, IMAGES.reshape(-1)))


def test_class_names_are_those_that_keras_sets():
    names = ["ant", "bee", "cow", "doe"]
    assert Dataset.from_tf_dataset(batches(class_names=names)).class_names == names
    text = Elements([(IMAGES, np.array([b"a", b"b"] * 10, object))])
    assert Dataset.from_tf_dataset(text).class_names == ["a", "b"]
    line = refused(batches(class_names=names), test=batches(class_names=names[::-1]))
    assert line.startswith("test: expected the class names of train, ['ant', ")


@pytest.mark.parametrize(
    ("dataset", "problem"),
    [
        (IMAGES, "train: expected a tf.data.Dataset, got ndarray."),
        (
            batches(cardinality=-1),
            "train: expected a finite dataset, got an infinite one. Remove `.repeat()`",
        ),
        (Elements([]), "train: expected images, got an empty dataset."),
        (Elements([IMAGES]), "train: expected pairs of images and labels, got no pair."),
        (Elements([(IMAGES, LABELS, LABELS)]), "got tuple of 3."),
        (Elements([{"image": IMAGES, "label": LABELS}]), "got a dict with 'image', 'label'."),
        (batches(IMAGES / 255.0), "got floats up to 1. If 1 is white, set scale = 255."),
        (batches(np.where(IMAGES > 9, np.nan, 1)), "train, element 0, images[0, 0, 0, 0]: expected integers"),
        (batches(labels=np.eye(4)[LABELS] * 0.9), 'use label_mode="int", or `.map('),
        (batches(labels=LABELS * 0.9), "train, element 0, labels: expected integers or text, shape (n,)"),
        (Elements([(IMAGES, LABELS[:3])]), "expected one label per image, got 3 labels for 20 images."),
        (
            Elements([(IMAGES, LABELS), (IMAGES[:, :2], LABELS)]),
            "element 1: expected images of shape (4, 5, 3)",
        ),
        (Elements([(IMAGES[0, 0, 0], LABELS)]), "expected (batch, height, width, channels), got the shape"),
    ],
)
def test_other_datasets_are_refused(dataset, problem):
    assert problem in refused(dataset)


@pytest.mark.parametrize("labels", [np.eye(4)[LABELS], LABELS * 1.0, LABELS[:, None] * np.float32(1)])
def test_labels_of_every_label_mode_are_integers(labels):
    assert pairs_of(Dataset.from_tf_dataset(batches(labels=labels))) == pairs_of(
        Dataset.from_tf_dataset(batches())
    )


def test_error_of_a_generator_is_one_line():
    class Failing(Elements):
        def as_numpy_iterator(self):
            yield from super().as_numpy_iterator()
            raise RuntimeError(
                "{{function_node}} ZeroDivisionError: zero\nTraceback:\n\nZeroDivisionError: zero\n"
            )

    line = refused(Failing([(IMAGES, LABELS)]))
    assert line == "train: the dataset raised ZeroDivisionError: zero. Iterate over it to find the cause."


def test_full_disk_is_one_line(monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(tensorflow_data.tempfile, "TemporaryFile", Full)
    assert "(No space left on device). Set TMPDIR to a folder with more space" in refused(batches())


@pytest.mark.slow
def test_folder_that_keras_reads_in_another_order_is_equal(tmp_path):
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        folder = tmp_path / f"class {label}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")

    def read(seed):
        return keras.utils.image_dataset_from_directory(
            tmp_path, image_size=(4, 5), batch_size=8, seed=seed, verbose=False
        )

    one, other = (Dataset.from_tf_dataset(read(seed)) for seed in (1, 2))
    assert digest_of(one) == digest_of(other)
    assert one.class_names == ["class 0", "class 1", "class 2", "class 3"]
    assert refused(read(1).repeat()).startswith("train: expected a finite dataset")
