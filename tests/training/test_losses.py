"""Label smoothing, focal loss and class weights, with integer and with soft labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from zoo.errors import StudyError
from zoo.training.class_weights import class_weights

NAMES = ("cat", "dog", "owl")
LABELS = np.array([0, 2, 1, 0])


@pytest.fixture
def probabilities():
    values = np.random.default_rng(0).random((4, 3)).astype("float32") + 0.1
    return values / values.sum(axis=1, keepdims=True)


@pytest.fixture
def loss(keras):
    """loss(labels, probabilities, label_smoothing=0.1) -> the training loss, a float."""
    from zoo.training.losses import training_loss

    def value(labels, probabilities, label_smoothing=0.0, focal_gamma=0.0, weights=None):
        function = training_loss(label_smoothing, focal_gamma, weights)
        return float(function(np.asarray(labels), probabilities))

    return value


class TestLoss:
    def test_without_settings_it_is_kerass_own(self, keras):
        from zoo.training.losses import training_loss

        assert training_loss(0.0, 0.0, None) == "sparse_categorical_crossentropy"

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    @pytest.mark.parametrize("gamma", [0.0, 2.0])
    def test_it_is_that_of_keras(self, keras, loss, probabilities, smoothing, gamma):
        weights = np.ones(3, "float32")
        losses = keras.losses
        expected = losses.CategoricalCrossentropy(label_smoothing=smoothing)
        if gamma:
            expected = losses.CategoricalFocalCrossentropy(1.0, gamma, label_smoothing=smoothing)
        value = loss(LABELS, probabilities, smoothing, gamma, weights)
        assert value == pytest.approx(float(expected(np.eye(3)[LABELS], probabilities)), rel=1e-5)

    @pytest.mark.parametrize(("smoothing", "gamma"), [(0.2, 0.0), (0.0, 2.0), (0.1, 1.5)])
    def test_integer_and_one_hot_labels_are_equal(self, loss, probabilities, smoothing, gamma):
        weights = np.array([1.0, 2.0, 3.0], "float32")
        values = [
            loss(labels, probabilities, smoothing, gamma, weights)
            for labels in (LABELS, LABELS[:, None], np.eye(3, dtype="float32")[LABELS])
        ]
        assert values == pytest.approx([values[0]] * 3)

    def test_mixed_labels_have_mixed_loss_and_weight(self, loss, probabilities):
        weights, one = np.array([1.0, 2.0, 5.0], "float32"), probabilities[:1]
        cat, owl = -np.log(one[0, 0]), -np.log(one[0, 2])
        value = loss([[0.25, 0.0, 0.75]], one, weights=weights)
        assert value == pytest.approx((0.25 * cat + 0.75 * owl) * (0.25 * 1 + 0.75 * 5), rel=1e-5)

    def test_focal_loss_lowers_easy_images(self, loss):
        easy, hard = np.array([[0.9, 0.05, 0.05]], "float32"), np.array([[0.2, 0.4, 0.4]], "float32")
        assert loss([0], easy, focal_gamma=2.0) == pytest.approx(-np.log(0.9) * 0.1**2, rel=1e-4)
        assert loss([0], hard, focal_gamma=2.0) == pytest.approx(-np.log(0.2) * 0.8**2, rel=1e-4)


class TestClassWeights:
    def test_balanced_is_scikit_learns(self):
        labels = np.array([0] * 95 + [1] * 4 + [2])
        expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
        assert class_weights("balanced", labels, NAMES) == pytest.approx(expected)

    def test_class_without_images_does_not_count(self):
        assert class_weights("balanced", np.array([0, 0, 0, 2]), NAMES) == pytest.approx([4 / 6, 1, 2])

    def test_table_sets_weights_by_name(self):
        assert class_weights({"owl": 2.5}, LABELS, NAMES).tolist() == [1, 1, 2.5]

    def test_none_is_no_weight(self):
        assert class_weights("none", LABELS, NAMES) is None

    def test_unknown_class_is_an_error(self):
        with pytest.raises(StudyError, match=r"has no class 'cats'\. Did you mean 'cat'\?"):
            class_weights({"cats": 2.0}, LABELS, NAMES)

    def test_class_without_training_images_is_an_error(self):
        with pytest.raises(StudyError, match="training split has no image of class 'owl'; remove its weight"):
            class_weights({"owl": 2.0}, np.array([0, 1]), NAMES)
