"""Metrics of predictions, compared with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from zoo.metrics import (
    all_metrics,
    calibration,
    class_table,
    confident_mistakes,
    confusion_table,
    label_issues,
    log_loss,
    mcnemar_p_value,
    randomization_p_value,
    wilson_interval,
)


@pytest.fixture
def predictions(seed):
    """Labels and probabilities of 200 images of five classes; no image is of class 4."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 4, 200)
    probabilities = chance.dirichlet(np.ones(5), 200)
    probabilities[np.arange(100), labels[:100]] += 1
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_metrics_equal_those_of_scikit_learn(predictions):
    labels, probabilities = predictions
    predicted = probabilities.argmax(axis=1)
    found = all_metrics(labels, probabilities)
    assert found["accuracy"] == sklearn_metrics.accuracy_score(labels, predicted)
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, predicted)
    )
    f1 = sklearn_metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1)
    assert found["log_loss"] == pytest.approx(
        sklearn_metrics.log_loss(labels, probabilities, labels=range(5))
    )


def test_probability_of_zero_has_a_finite_loss():
    assert log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(1e-7))


def test_confident_correct_predictions_are_calibrated():
    labels = np.array([0, 1, 1, 0])
    assert calibration(labels, np.eye(2)[labels]).error == 0
    half = np.full((4, 2), [0.75, 0.25])  # always class 0, which is right half the time
    assert calibration(labels, half).error == pytest.approx(0.25)


def test_tables_have_a_row_for_each_class(predictions):
    labels, probabilities = predictions
    predicted = probabilities.argmax(axis=1)
    names = list("abcde")
    classes, confusion = class_table(labels, predicted, names), confusion_table(labels, predicted, names)
    assert list(classes.index) == list(confusion.index) == list(confusion.columns) == names
    assert list(classes["images"]) == list(confusion.sum(axis=1)) == [*np.bincount(labels), 0]
    assert np.isnan(classes["recall"]["e"])


@pytest.mark.parametrize(
    ("accuracy", "num_images", "expected"),
    [(0.5, 100, (0.4038, 0.5962)), (1.0, 10, (0.7225, 1.0)), (0.0, 10, (0.0, 0.2775))],
)
def test_wilson_interval_equals_published_values(accuracy, num_images, expected):
    assert wilson_interval(accuracy, num_images) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (3, 3), (9, 1), (2, 17), (400, 500), (3000, 2800)])
def test_mcnemar_test_is_a_binomial_test(counts):
    from scipy.stats import binomtest

    expected = binomtest(counts[0], sum(counts)).pvalue if sum(counts) else 1.0
    assert mcnemar_p_value(*counts) == pytest.approx(expected, rel=1e-6)


def test_mistakes_are_sorted_by_confidence():
    labels = np.array([0, 1, 1, 0, 1])
    of_class_0 = np.array([0.9, 0.6, 0.8, 0.2, 0.8])  # the first image is right
    assert list(confident_mistakes(labels, np.stack([of_class_0, 1 - of_class_0], axis=1))) == [2, 3, 4, 1]


def test_label_issues_are_found_by_the_thresholds_of_the_classes():
    labels = np.array([0, 0, 0, 1, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.61, 0.39], [0.3, 0.7], [0.65, 0.35]])
    # The thresholds are 0.6 and 0.48: image 5 belongs to class 0 although 0.65 is less than 0.9.
    assert label_issues(labels, probabilities) == [(2, 1), (5, 0), (3, 0)]


def test_uncertain_images_are_no_label_issues():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.95, 0.05], [0.45, 0.55], [0.05, 0.95], [0.1, 0.9]])
    assert label_issues(labels, probabilities) == []  # 0.55 is below the threshold of class 1, 0.925


def test_class_without_images_is_never_probable():
    assert label_issues(np.array([0, 0]), np.array([[0.2, 0.8], [0.9, 0.1]])) == []


def test_planted_label_noise_is_found():
    stream = np.random.RandomState(0)
    true = stream.randint(0, 5, 500)
    probabilities = np.full((500, 5), 0.05)
    probabilities[np.arange(500), true] = 0.8
    probabilities += stream.uniform(0, 0.1, probabilities.shape)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = true.copy()
    planted = stream.choice(500, 40, replace=False)
    labels[planted] = (true[planted] + 1) % 5
    found = label_issues(labels, probabilities)
    assert {row for row, _ in found} <= set(planted.tolist())
    assert len(found) >= 36  # the others are not confident enough for their class
    assert all(probable == true[row] for row, probable in found)


class TestRandomization:
    """The paired randomization test, of the accuracy of two models."""

    @staticmethod
    def accuracy(labels, probabilities):
        return float((probabilities.argmax(axis=1) == labels).mean())

    def p_value(self, gained, lost, num_equal=40):
        """Return the p value if each model alone is right on that number of images."""
        labels = np.zeros(gained + lost + num_equal, int)
        rows = np.arange(len(labels))
        one = np.eye(2)[(rows >= gained).astype(int) * (rows < gained + lost)]
        other = np.eye(2)[(rows < gained).astype(int)]
        return randomization_p_value(self.accuracy, labels, one, other)

    @pytest.mark.parametrize(("gained", "lost"), [(10, 2), (7, 3), (5, 5)])
    def test_it_agrees_with_the_exact_mcnemar_test(self, gained, lost):
        assert self.p_value(gained, lost) == pytest.approx(mcnemar_p_value(gained, lost), abs=0.1)

    def test_equal_models_do_not_differ(self):
        assert self.p_value(0, 0) == 1.0

    def test_large_difference_has_the_smallest_p_value(self):
        assert self.p_value(40, 0) == 0.001
