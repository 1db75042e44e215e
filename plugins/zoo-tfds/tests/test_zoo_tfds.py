import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets
import tiny
from zoo import ZooError
from zoo.testing import parametrize_with_checks

import zoo_tfds
from zoo_tfds import tfds

# Created at import, because the conformance kit needs it at collection.
FOLDER = tempfile.TemporaryDirectory()
HERE = {"data_dir": FOLDER.name}


@pytest.fixture(scope="module", autouse=True)
def prepared():
    tiny.prepare(FOLDER.name, *tiny.CONFIGURATIONS)


@parametrize_with_checks(tfds, kind="dataset", builder="tiny/digits", **HERE)
def test_prepared_dataset_conforms(check):
    check()


def in_order(split):
    """Return images and labels of a split in a sorted order; they are stored in another one."""
    order = np.lexsort(split.images.reshape(len(split), -1).T)
    return split.images[order], split.labels[order]


def test_each_image_has_its_label():
    images, labels = tiny.digits()
    dataset = tfds(builder="tiny/digits", **HERE)
    for name, (start, end) in tiny.SPLITS.items():
        found, labelled = in_order(getattr(dataset, name))
        order = np.lexsort(images[start:end].reshape(end - start, -1).T)
        np.testing.assert_array_equal(found, images[start:end][order])
        np.testing.assert_array_equal(labelled, labels[start:end][order])
    assert dataset.class_names[3] == "a 3"
    assert dataset.source == "TensorFlow Datasets' tiny/digits/1.10.0"


def test_tfrecord_gives_the_same_arrays(tmp_path):
    tiny.prepare(tmp_path, "digits", file_format="tfrecord")
    other = tfds(builder="tiny/digits", data_dir=str(tmp_path))
    dataset = tfds(builder="tiny/digits", **HERE)
    for name in tiny.SPLITS:
        for one, two in zip(in_order(getattr(dataset, name)), in_order(getattr(other, name)), strict=True):
            np.testing.assert_array_equal(one, two)


READ = """
import sys
import zoo_tfds

print(zoo_tfds.tfds(builder="tiny/digits", data_dir=sys.argv[1]).train.images.shape)
assert "tensorflow" not in sys.modules
"""


def test_array_record_is_read_without_tensorflow():
    command = [sys.executable, "-c", READ, FOLDER.name]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout == "(100, 8, 8, 1)\n"


def test_newest_version_is_read(tmp_path):
    """1.10 is newer than 1.9, although it sorts before it."""
    source = Path(FOLDER.name, "tiny", "digits", "1.10.0")
    for version in ("1.9.0", "1.10.0", "incomplete.x_2.0.0"):
        place = tmp_path / "tiny" / "digits" / version
        place.mkdir(parents=True)
        for file in source.iterdir():
            (place / file.name).write_bytes(file.read_bytes().replace(b'"1.10.0"', f'"{version}"'.encode()))
    assert tfds(builder="tiny/digits", data_dir=str(tmp_path)).source.endswith("/1.10.0")


def test_folder_from_environment_or_home(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", FOLDER.name)
    assert len(tfds(builder="tiny/digits").train) == 100
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ZooError, match=rf"is not prepared in {tmp_path}/tensorflow_datasets\."):
        tfds(builder="kmnist")


def test_image_size_scales_images():
    dataset = tfds(builder="tiny/mixed", image_size=4, **HERE)
    assert dataset.train.images.shape == (100, 4, 4, 1)
    plain = tfds(builder="tiny/digits", image_size=4, **HERE)
    wide = tfds(builder="tiny/digits", **HERE).train.images.astype(float)
    assert plain.train.images.mean() == pytest.approx(wide.mean(), rel=0.05)


NOT_PREPARED = (
    rf"the dataset 'kmnist' is not prepared in {FOLDER.name}\. Run this with a network connection: "
    rf"tfds build kmnist --file_format=array_record --data_dir={FOLDER.name}$"
)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"builder": "kmnist"}, NOT_PREPARED),
        ({"builder": "tiny"}, r"but tiny/digits, tiny/mixed, tiny/pairs is\. Run this"),
        ({"builder": "kminst"}, r"has no dataset 'kminst', and none is in .*\. Did you mean 'kmnist'\?$"),
        ({"builder": "???"}, r"has no dataset '\?\?\?', .*tensorflow\.org/datasets lists them\.$"),
        (
            {"builder": "tiny/mixed"},
            r"different sizes, such as (8×8×1 and 10×12×1|10×12×1 and 8×8×1)\. Set image_size to scale",
        ),
        (
            {"builder": "tiny/pairs"},
            r"expected uint8 images with one label each, got (other|picture) \(Image\), \w+ \(Image\)\.",
        ),
        (
            {"builder": "tiny/digits", "image_size": 0},
            r"image_size: expected an integer >= 1 \(pixels\), got 0\.",
        ),
    ],
)
def test_errors_are_one_line(parameters, message):
    with pytest.raises(ZooError, match=message) as caught:
        tfds(**parameters, **HERE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dataset", zoo_tfds.NAMED, ids=lambda dataset: dataset.__name__)
def test_named_datasets_have_images_and_labels(dataset, monkeypatch, tmp_path):
    """The command in the error names a dataset of images with one label each."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(ZooError) as caught:
        dataset()
    name = str(caught.value).partition("tfds build ")[2].partition(" ")[0]
    info = tensorflow_datasets.builder(name, data_dir=tmp_path).info
    image, label = (info.features[key] for key in info.supervised_keys)
    assert "×".join(map(str, image.shape[:2])) in dataset.__doc__
    assert {10: "ten"}[label.num_classes] in dataset.__doc__
