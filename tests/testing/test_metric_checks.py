"""The conformance kit finds the mistakes of metrics."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.testing import CheckFailed, check_metric, parametrize_with_checks

COUNTER = itertools.count()


def kappa(y_true, probabilities):
    """Cohen's kappa."""
    from sklearn.metrics import cohen_kappa_score

    return cohen_kappa_score(y_true, probabilities.argmax(axis=1))


def per_class(y_true, probabilities):
    """One value for each class."""
    return probabilities.mean(axis=0)


def undefined(y_true, probabilities):
    """Not a number."""
    return float("nan")


def destructive(y_true, probabilities):
    """Sorts in place."""
    probabilities.sort(axis=1)
    return probabilities[:, -1].mean()


def restless(y_true, probabilities):
    """Different at each call."""
    return float(next(COUNTER))


def error_rate(y_true, probabilities):
    """Share of wrong predictions."""
    return (probabilities.argmax(axis=1) != y_true).mean()


def tunable(y_true, probabilities, *, beta: float = 1.0):
    """With a parameter."""
    return beta


def accuracy(y_true, probabilities):
    """Named like a metric of Keras."""
    return 1.0


def test_sound_metric_passes():
    check_metric(kappa)
    check_metric(error_rate, direction="minimize", num_classes=2)


@pytest.mark.parametrize(
    ("metric", "check", "text"),
    [
        (per_class, "value", r"expected a number, got ndarray of shape \(10,\)"),
        (undefined, "value", "expected a finite number, got nan; a trial with such a value fails"),
        (
            destructive,
            "inputs",
            "expected an unchanged probabilities, but the metric changes it; copy it first",
        ),
        (restless, "repeatable", "expected the same value for the same predictions, got"),
        (error_rate, "better", 'higher is better, but perfect .*register it with direction="minimize"'),
        (tunable, "signature", "expected no parameters of a study, got 'beta'; write the value"),
        (accuracy, "signature", "a metric cannot be named 'accuracy', because zoo measures val_accuracy"),
    ],
)
def test_mistake_is_found(metric, check, text):
    with pytest.raises(CheckFailed, match=text) as raised:
        check_metric(metric)
    assert check in raised.value.failed


def test_invalid_option_is_an_error():
    with pytest.raises(ZooError, match="direction: expected 'maximize' or 'minimize', got 'up'"):
        check_metric(kappa, direction="up")
    with pytest.raises(ZooError, match="num_classes: expected >= 2, got 1"):
        check_metric(kappa, num_classes=1)
    with pytest.raises(ZooError, match=r"there is no option 'classes'\. Did you mean 'num_classes'"):
        check_metric(kappa, classes=3)


def test_value_of_random_predictions_is_shown():
    from zoo.testing.metrics import MetricSubject

    result = MetricSubject(kappa, {}).result("value")
    assert result.state == "passed"
    assert result.text.endswith("for random predictions")
    assert np.isfinite(float(result.text.partition(" ")[0]))


@parametrize_with_checks(kappa)
def test_kind_follows_from_the_signature(check):
    check()
