"""The built-in metrics against scikit-learn, and against values that are known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from zoo.builtin import metrics
from zoo.registry import Registry
from zoo.testing import check_metric

METRICS = [one for one in Registry.load([]).components() if one.kind == "metric"]


@pytest.fixture(params=[2, 3, 10], ids="{} classes".format)
def predictions(request):
    """Labels `(n,)` and probabilities `(n, classes)` that are better than chance."""
    random, num_classes = np.random.default_rng(0), request.param
    labels = random.choice(num_classes, 300, p=random.dirichlet(np.full(num_classes, 5)))
    labels[:num_classes] = range(num_classes)
    values = random.random((300, num_classes)) + 0.7 * np.eye(num_classes)[labels]
    values = (values / values.sum(axis=1, keepdims=True)).round(2)  # with ties
    return labels, values.astype("float32")


def test_balanced_accuracy_is_scikit_learns(predictions):
    labels, probabilities = predictions
    expected = sklearn_metrics.balanced_accuracy_score(labels, probabilities.argmax(axis=1))
    assert metrics.balanced_accuracy(*predictions) == pytest.approx(expected)


def test_macro_f1_is_scikit_learns(predictions):
    labels, probabilities = predictions
    expected = sklearn_metrics.f1_score(labels, probabilities.argmax(axis=1), average="macro")
    assert metrics.macro_f1(*predictions) == pytest.approx(expected)


def test_auc_is_scikit_learns_one_against_rest(predictions):
    labels, probabilities = predictions
    # One column for each class: `multi_class="ovr"` is the same, but refuses rounded probabilities.
    one_hot, scores = np.eye(probabilities.shape[1])[labels], probabilities
    if probabilities.shape[1] == 2:
        one_hot, scores = labels, probabilities[:, 1]
    expected = sklearn_metrics.roc_auc_score(one_hot, scores, average="macro")
    assert metrics.auc(*predictions) == pytest.approx(expected)


def test_auc_needs_every_class(predictions):
    labels, probabilities = predictions
    with pytest.raises(ValueError, match="expected an image of each class, got none with the label 0"):
        metrics.auc(np.where(labels == 0, 1, labels), probabilities)


def test_top5_accuracy_is_scikit_learns(predictions):
    labels, probabilities = predictions
    if probabilities.shape[1] <= 5:
        with pytest.raises(ValueError, match="expected more than 5 classes, got"):
            metrics.top5_accuracy(*predictions)
        return
    options = {"k": 5, "labels": range(probabilities.shape[1])}
    expected = sklearn_metrics.top_k_accuracy_score(labels, probabilities, **options)
    assert metrics.top5_accuracy(*predictions) == pytest.approx(expected)
    assert expected < 1


def test_calibration_error_is_the_weighted_gap():
    probabilities = np.array([[0.95, 0.05]] * 3 + [[0.35, 0.65]])
    # Confidence 0.95 with accuracy 2/3, three times; confidence 0.65 with accuracy 1.
    expected = (3 * (0.95 - 2 / 3) + (1 - 0.65)) / 4
    assert metrics.calibration_error(np.array([0, 0, 1, 1]), probabilities) == pytest.approx(expected)


@pytest.mark.parametrize("component", METRICS, ids=lambda component: component.name)
def test_conformance(component):
    check_metric(component.function, direction=component.direction)
