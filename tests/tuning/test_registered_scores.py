"""Scores of predictions by the registered metrics of a trial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shared_tools
from shared_tools import RecordingDisplay

from zoo.tuning import scoring
from zoo.tuning.scoring import score_registered

CONFIG = replace(
    shared_tools.CONFIG,
    objective="val_balanced_accuracy",
    measures=("val_gone",),
    plugins={"keras-zoo:metrics": "0.0.1", "zoo-gone:metrics": "1.0"},
)


def test_score_without_its_plugin_is_missing_alone(monkeypatch, tmp_path):
    """Neither another version of a plugin nor one that is gone costs the other scores."""
    monkeypatch.setattr(scoring, "call_in_worker", lambda function, *data, log_path: function(*data))
    labels, probabilities, display = np.array([0, 0, 1]), np.eye(2)[[0, 1, 1]], RecordingDisplay()
    scores = score_registered(CONFIG, labels, probabilities, tmp_path / "output.log", display)
    assert scores == {"test_balanced_accuracy": 0.75}
    (problem,) = display.problems
    assert problem.startswith("a score is missing: ")
    assert "'gone'" in problem
