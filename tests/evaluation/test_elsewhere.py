"""Scoring a model on a dataset with the same classes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from shared_tools import RecordingDisplay
from sklearn import metrics as sklearn_metrics

import zoo
from zoo.data.store import open_dataset
from zoo.errors import ModelError, StudyError
from zoo.evaluation import elsewhere, evaluate, recorded
from zoo.models import find_model
from zoo.record import run_in
from zoo.tuning.display import NoDisplay

TRIAL = "mlruns/zoo/example/trials/001"
ORDER = [
    "3",
    "1",
    "0",
    "2",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
]


@pytest.fixture
def digits(in_study, keras_in_process):
    """The test split of the digits, which the recorded study was trained on."""
    run = run_in(in_study / TRIAL)
    return open_dataset(run.cache_dir, run.config.digest).test


@pytest.fixture
def photos(digits, tmp_path, monkeypatch):
    """The first hundred test images as files of 16 × 16 pixels in folders, one per class."""
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
    for number, (image, label) in enumerate(zip(digits.images[:100], digits.labels[:100], strict=True)):
        file = tmp_path / "photos" / str(label) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)[..., 0]).resize((16, 16), Image.Resampling.NEAREST).save(file)
    return tmp_path / "photos"


class TestScores:
    def test_own_data_give_the_recorded_scores(self, digits):
        result = evaluate(TRIAL, dataset="digits", display=NoDisplay())
        probabilities = result.probabilities
        assert (result.images, result.split, result.study) == (len(digits), "test", "example")
        expected = {
            "accuracy": sklearn_metrics.accuracy_score(digits.labels, result.predicted),
            "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(digits.labels, result.predicted),
            "macro_f1": sklearn_metrics.f1_score(digits.labels, result.predicted, average="macro"),
            "log_loss": sklearn_metrics.log_loss(digits.labels, probabilities.astype("float64")),
        }
        assert {key: result.metrics[key] for key in expected} == pytest.approx(expected, rel=1e-4)
        assert result.interval[0] < result.metrics["accuracy"] < result.interval[1]
        assert result.confusion.to_numpy().sum() == len(digits)

    def test_folder_is_read_with_the_models_size(self, photos):
        display = RecordingDisplay()
        result = evaluate(
            TRIAL, dataset="image_folder", overrides=[f"path={photos}"], split="all", display=display
        )
        assert (result.images, result.dataset, result.source) == (100, "image_folder", "photos")
        assert result.class_names == tuple("0123456789")
        mistakes = result.mistakes
        assert len(mistakes) == (result.predicted != result.labels).sum()
        for image, label in zip(mistakes["image"], mistakes["label"], strict=True):
            assert image.startswith(f"{label}/")
            assert (photos / image).exists()
        assert list(mistakes["probability"]) == sorted(mistakes["probability"], reverse=True)

    def test_classes_may_have_another_order(self, digits, monkeypatch):
        expected = evaluate(TRIAL, dataset="digits", display=NoDisplay())
        found = find_model(TRIAL)
        info = replace(found.info, class_names=tuple(ORDER))  # the model's outputs, under other names
        monkeypatch.setattr(recorded, "find_model", lambda model, display: replace(found, info=info))
        result = evaluate(TRIAL, dataset="digits", display=NoDisplay())
        columns = [ORDER.index(name) for name in "0123456789"]
        np.testing.assert_array_equal(result.probabilities, expected.probabilities[:, columns])

    def test_mistakes_of_unnamed_images_have_rows(self, digits):
        result = evaluate(TRIAL, dataset="digits", display=NoDisplay())
        rows = list(result.mistakes["image"])
        assert sorted(rows) == list(np.flatnonzero(result.predicted != result.labels))
        of_all = evaluate(TRIAL, dataset="digits", split="all", display=NoDisplay()).mistakes
        assert {name.split(" ")[0] for name in of_all["image"]} == {"train", "test"}

    @pytest.mark.parametrize(
        "names", [{"study": "example"}, {"study": "example", "trial": 1}, {"run": TRIAL}], ids=str
    )
    def test_model_may_be_a_trial_or_run(self, digits, names):
        result = evaluate(**names, dataset="digits", display=NoDisplay())
        assert result.images == len(digits)


class TestOwnDataset:
    def test_file_is_scored_on_its_own_test_split(self, digits):
        result = evaluate(f"{TRIAL}/model.keras", display=NoDisplay())
        expected = evaluate(TRIAL, dataset="digits", display=NoDisplay())
        assert (result.dataset, result.split, result.is_recorded) == ("digits", "test", False)
        assert (result.metrics, result.source) == (expected.metrics, expected.source)

    def test_dataset_outside_the_cache_must_be_named(self, digits, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path))
        with pytest.raises(
            ModelError, match=r"^the cache of this folder does not have .* --dataset digits\.$"
        ):
            evaluate(f"{TRIAL}/model.keras", display=NoDisplay())


class TestErrors:
    def evaluate_on(self, dataset, monkeypatch, **options):
        """Evaluate the recorded model on a prepared dataset that is replaced."""
        monkeypatch.setattr(elsewhere, "prepare", lambda *_: SimpleNamespace(digest="d" * 64))
        monkeypatch.setattr(elsewhere, "open_dataset", lambda *_: dataset)
        evaluate(TRIAL, dataset="digits", display=NoDisplay(), **options)

    def dataset(self, names="0123456789", shape=(8, 8, 1)):
        split = zoo.Split(np.zeros((20, *shape), np.uint8), np.arange(20) % len(names))
        return zoo.Dataset(split, class_names=tuple(names))

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            ("012345678x", "the model does not know 'x'; the dataset does not have '9'"),
            ("012345678", r"the dataset does not have '9'\.$"),
            ("abcdefghij", r"know 'a', 'b', 'c', 'd', 'e' and 5 more; the .* '4' and 5 more\.$"),
        ],
    )
    def test_other_classes_are_named(self, digits, monkeypatch, names, message):
        with pytest.raises(StudyError, match=f"^the dataset 'digits' has other classes than .*{message}"):
            self.evaluate_on(self.dataset(names), monkeypatch, split="all")

    @pytest.mark.parametrize("shape", [(8, 8, 3), (9, 8, 1)])
    def test_other_images_are_refused(self, digits, monkeypatch, shape):
        text = "×".join(map(str, shape))
        with pytest.raises(StudyError, match=f"has images of {text} .* takes 8×8×1. Choose another dataset"):
            self.evaluate_on(self.dataset(shape=shape), monkeypatch, split="all")

    def test_missing_split_is_named(self, digits, monkeypatch):
        with pytest.raises(
            StudyError, match=r"^the dataset 'digits' has no test split. Available: train, all."
        ):
            self.evaluate_on(self.dataset(), monkeypatch)

    def test_model_without_class_names_is_refused(self, digits, monkeypatch):
        found = find_model(TRIAL)
        unnamed = replace(found, info=replace(found.info, class_names=None))
        monkeypatch.setattr(recorded, "find_model", lambda model, display: unnamed)
        with pytest.raises(ModelError, match="does not name its classes, so they cannot be compared"):
            self.evaluate_on(self.dataset(), monkeypatch)

    @pytest.mark.parametrize("options", [{"split": "train"}, {"overrides": ["path=photos"]}])
    def test_split_without_dataset_is_refused(self, digits, options):
        with pytest.raises(StudyError, match=r"belong to a dataset; name it with --dataset\.$"):
            evaluate("example", display=NoDisplay(), **options)

    def test_dataset_without_model_is_refused(self, digits):
        with pytest.raises(StudyError, match=r"^name a model, or the folder of a run"):
            evaluate(dataset="digits", display=NoDisplay())


class TestInMemory:
    def test_arrays_give_the_recorded_scores(self, digits, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
        data = zoo.Dataset.from_arrays(digits.images, digits.labels)
        result = evaluate(TRIAL, dataset=data, display=NoDisplay())
        own = evaluate(TRIAL, dataset="digits", display=NoDisplay())
        assert result.metrics == pytest.approx(own.metrics)
        assert (result.dataset, result.split, result.source) == ("in memory", "all", "passed in Python")
        with pytest.raises(StudyError, match=r"'in memory' has no test split\. Available: train, all\."):
            evaluate(TRIAL, dataset=data, split="test", display=NoDisplay())

    def test_test_split_is_scored_by_default(self, digits, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
        part = {"x_test": digits.images[:99], "y_test": digits.labels[:99]}
        data = zoo.Dataset.from_arrays(digits.images, digits.labels, **part)
        result = evaluate(TRIAL, dataset=data, display=NoDisplay())
        assert (result.split, result.images) == ("test", 99)

    @pytest.mark.parametrize(
        ("images", "options", "problem"),
        [
            (lambda x: x[:, :4], {}, "but the model .* takes 8×8×1. Resize the images."),
            (lambda x: x, {"overrides": ["count=9"]}, "data in memory has no parameters, got overrides"),
        ],
    )
    def test_other_arrays_are_refused(self, digits, tmp_path, monkeypatch, images, options, problem):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "cache"))
        data = zoo.Dataset.from_arrays(images(digits.images), digits.labels)
        with pytest.raises(StudyError, match=problem):
            evaluate(TRIAL, dataset=data, display=NoDisplay(), **options)

    def test_other_objects_are_refused(self, digits):
        with pytest.raises(zoo.ZooError, match=r"^dataset: expected a zoo\.Dataset, got tuple"):
            evaluate(TRIAL, dataset=(digits.images, digits.labels), display=NoDisplay())
