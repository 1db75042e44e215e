"""Scores of a saved model on the test split."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.data.store import open_dataset
from zoo.models.recorded import find_run
from zoo.record import read_predictions
from zoo.training.saved import load_file, predict_splits, score_test_split, scores
from zoo.tuning.display import NoDisplay


def test_saved_model_is_scored_on_test_split(in_study, tmp_path):
    run = find_run("example", 1, None, NoDisplay())
    model, where = run.directory.model_path, (run.cache_dir, run.config.digest)
    test = open_dataset(*where).test
    expected = load_file(model).predict(np.asarray(test.images), verbose=0)
    probabilities, labels = predict_splits(model, *where)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(labels, test.labels)
    metrics = score_test_split(model, *where, tmp_path / "predictions.npz")
    recorded_labels, recorded = read_predictions(tmp_path / "predictions.npz")
    np.testing.assert_array_equal(recorded_labels, labels)
    np.testing.assert_array_equal(recorded, probabilities)
    assert set(metrics) == {"test_accuracy", "test_loss"}
    assert metrics["test_accuracy"] == (expected.argmax(axis=1) == test.labels).mean()
    of_label = expected[np.arange(len(test.labels)), test.labels]
    assert metrics["test_loss"] == pytest.approx(-np.log(of_label).mean(), rel=1e-3)


def test_scores_match_hand_computation():
    probabilities = np.array([[0.5, 0.5], [0.2, 0.8], [1.0, 0.0]])  # of equal ones, the first class counts
    result = scores(probabilities, np.array([0, 1, 1]))
    assert result["test_accuracy"] == pytest.approx(2 / 3)
    assert result["test_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.8) + np.log(1e-7)) / 3)
