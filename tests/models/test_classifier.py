"""Predicting the classes of image files and arrays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data.store import open_dataset
from zoo.errors import ModelError, StudyError
from zoo.models import Classifier, find_model
from zoo.record import run_in
from zoo.training.info import ModelInfo, add_info
from zoo.training.model import predict

TRIAL = "mlruns/zoo/example/trials/001"


@pytest.fixture
def classifier(in_study):
    return zoo.Classifier(TRIAL)


@pytest.fixture
def images(in_study):
    """Twenty images of the test split, `uint8`, `(20, 8, 8, 1)`."""
    run = run_in(in_study / TRIAL)
    return np.asarray(open_dataset(run.cache_dir, run.config.digest).test.images[:20])


@pytest.fixture
def files(images, tmp_path):
    """The same images as files."""
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image[..., 0]).save(path)
    return paths


@pytest.fixture
def saved(tmp_path):
    """saved(shape, info) -> the file of a small model for images of that shape."""
    import keras

    def save(shape, info, num_classes=2):
        pixels = keras.Input(shape)
        hidden = keras.layers.GlobalAveragePooling2D()(pixels)
        outputs = keras.layers.Dense(num_classes, activation="softmax")(hidden)
        keras.Model(pixels, outputs).save(tmp_path / "model.keras")
        add_info(tmp_path / "model.keras", info)
        return tmp_path / "model.keras"

    return save


class TestResult:
    def test_classes_are_those_of_keras(self, classifier, images):
        expected = predict(classifier.model, images)
        frame = classifier.predict(images)
        assert list(frame.columns) == ["image", "class", "probability"]
        assert list(frame["image"]) == list(range(20))
        assert list(frame["class"]) == [str(label) for label in expected.argmax(axis=1)]
        np.testing.assert_allclose(frame["probability"], expected.max(axis=1), rtol=1e-5)

    def test_files_and_arrays_give_the_same(self, classifier, images, files):
        of_files, of_arrays = classifier.predict(files), classifier.predict(images)
        assert list(of_files["image"]) == [str(file) for file in files]
        assert of_files.drop(columns="image").equals(of_arrays.drop(columns="image"))

    def test_content_of_a_file_is_read_like_the_file(self, classifier, files):
        of_content = classifier.predict([file.read_bytes() for file in files])
        assert list(of_content["image"]) == list(range(20))
        of_files = classifier.predict(files)
        assert of_content.drop(columns="image").equals(of_files.drop(columns="image"))
        one = classifier.predict(files[3].read_bytes())
        assert list(one["class"]) == [of_files["class"][3]]

    def test_top_classes_are_in_order(self, classifier, images):
        frame = classifier.predict(images, top=3)
        expected = ["image", "class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
        assert list(frame.columns) == expected
        assert (frame["probability"] >= frame["probability_2"]).all()
        assert (frame["class"] != frame["class_2"]).all()

    def test_top_is_at_most_the_number_of_classes(self, classifier, images):
        frame = classifier.predict(images[:2], top=99)
        assert len(frame.columns) == 21
        total = frame[[name for name in frame if name.startswith("probability")]].sum(axis=1)
        np.testing.assert_allclose(total, 1, atol=1e-5)

    @pytest.mark.parametrize("batch_size", [1, 3, 20, 64])
    def test_batch_size_changes_nothing(self, classifier, images, batch_size):
        frame, expected = classifier.predict(images, batch_size=batch_size), classifier.predict(images)
        assert list(frame["class"]) == list(expected["class"])
        np.testing.assert_allclose(frame["probability"], expected["probability"], rtol=1e-5)

    def test_facts_of_the_model_are_public(self, classifier):
        assert classifier.class_names == tuple("0123456789")
        assert (classifier.info.dataset, classifier.info.image_shape) == ("digits", (8, 8, 1))
        assert Classifier(find_model(TRIAL)).info == classifier.info

    def test_no_images_give_an_empty_table(self, classifier):
        assert classifier.predict([]).empty


class TestArrays:
    @pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
    def test_integers_and_floats_are_accepted(self, classifier, images, dtype):
        assert classifier.predict(images.astype(dtype)).equals(classifier.predict(images))

    def test_channel_axis_may_be_missing(self, classifier, images):
        expected = classifier.predict(images)
        assert classifier.predict(images[..., 0]).equals(expected)
        assert classifier.predict(list(images[..., 0])).equals(expected)
        assert classifier.predict(images[0, ..., 0]).equals(expected[:1])

    def test_single_image_is_a_row(self, classifier, images):
        assert len(classifier.predict(images[3])) == 1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda images: images / 255, r"got 0 to 1\. Multiply them by 255\.$"),
            (lambda images: images - 128.0, r"got -128.0 to "),
            (lambda images: images * np.nan, r"got nan to nan"),
            (lambda images: images * 2.0, r"to 510\.0\.$|to \d+\.0\.$"),
            (
                lambda images: images[:, :4],
                r"got an array of shape \(4, 8, 1\)\. Resize it: zoo resizes image files only",
            ),
            (lambda images: np.repeat(images, 3, -1), r"expected pixels from 0 to 255, 8×8×1 .* \(8, 8, 3\)"),
            (lambda images: images > 99, r"got bool\.$"),
        ],
    )
    def test_other_arrays_are_refused(self, classifier, images, change, message):
        bright = np.where(images == images.max(), 255, images)  # digits have 16 levels
        with pytest.raises(StudyError, match=message):
            classifier.predict(change(bright))


class TestFiles:
    def test_single_path_is_a_row(self, classifier, files):
        assert len(classifier.predict(files[0])) == 1
        assert classifier.predict(str(files[0])).equals(classifier.predict([files[0]]))

    def test_photograph_is_scaled_as_in_training(self, classifier, tmp_path):
        pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photo.png")
        scaled = zoo.read_image(tmp_path / "photo.png", "grayscale", (8, 8))
        of_file, of_array = classifier.predict(tmp_path / "photo.png"), classifier.predict(scaled)
        assert of_file.drop(columns="image").equals(of_array.drop(columns="image"))

    def test_broken_file_is_skipped_with_a_warning(self, classifier, files):
        files[5].write_bytes(b"no image")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            frame = classifier.predict(files, top=2, batch_size=4)
        messages = [str(one.message) for one in caught if one.filename == __file__]
        assert messages == [f"{files[5]} is skipped: not an image"]
        assert len(frame) == 20
        assert list(frame.index[frame["class"].isna()]) == [5]

    def test_other_files_of_its_batch_are_predicted(self, classifier, files):
        files[1].unlink()
        predictions = list(classifier.predictions(files[:3], batch_size=3))
        assert [one.problem for one in predictions] == ["", "No such file or directory", ""]

    def test_later_files_are_not_read_ahead_without_end(self, classifier, files):
        read = []

        def paths():
            for file in files:
                read.append(file)
                yield file

        next(classifier.predictions(paths(), batch_size=2))
        assert len(read) < 10


class TestModels:
    def test_decoding_is_that_of_training(self, saved, tmp_path):
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
        info = ModelInfo(("a", "b"), 4, 4, 3, background="#ff0000")
        classifier = Classifier(saved((4, 4, 3), info))
        red = np.broadcast_to(np.array([255, 0, 0], np.uint8), (4, 4, 3))
        of_file, of_array = classifier.predict(tmp_path / "clear.png"), classifier.predict(red)
        assert of_file.drop(columns="image").equals(of_array.drop(columns="image"))

    def test_model_without_names_numbers_its_classes(self, saved):
        classifier = Classifier(saved((4, 4, 1), ModelInfo()))
        assert classifier.class_names == ("0", "1")

    def test_wrong_number_of_names_is_an_error(self, saved):
        with pytest.raises(ModelError, match="has 2 outputs, but names 3 classes"):
            Classifier(saved((4, 4, 1), ModelInfo(("a", "b", "c"))))

    def test_files_need_one_or_three_channels(self, saved, files):
        classifier = Classifier(saved((4, 4, 2), ModelInfo(("a", "b"))))
        with pytest.raises(
            ModelError, match=r"takes images with 2 channels, but image files are read with 1"
        ):
            classifier.predict(files)
        assert len(classifier.predict(np.zeros((3, 4, 4, 2)))) == 3

    def test_model_for_any_size_is_refused(self, saved):
        message = (
            r"takes inputs of shape \(None, None, None, 3\) and returns \(None, 2\); expected images of one"
        )
        with pytest.raises(ModelError, match=message):
            Classifier(saved((None, None, 3), ModelInfo(("a", "b"))))

    def test_model_that_returns_images_is_refused(self, tmp_path):
        import keras

        pixels = keras.Input((4, 4, 1))
        keras.Model(pixels, keras.layers.Rescaling(2)(pixels)).save(tmp_path / "model.keras")
        with pytest.raises(ModelError, match=r"returns \(None, 4, 4, 1\); expected images .* probabilities"):
            Classifier(tmp_path / "model.keras")

    def test_batch_size_below_one_is_refused(self, classifier, images):
        with pytest.raises(StudyError, match="batch_size: expected an integer >= 1, got 0"):
            classifier.predict(images, batch_size=0)
