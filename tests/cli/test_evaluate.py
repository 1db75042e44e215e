"""`zoo evaluate`: scores on stdout, as text and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from zoo import evaluation
from zoo.cli import evaluate_command
from zoo.errors import StudyError
from zoo.evaluation import Evaluation

CLASSES = pd.DataFrame(
    {"images": [3, 1], "precision": [0.75, np.nan], "recall": [1.0, 0.0]},
    index=pd.Index(["cat", "dog"], name="class"),
)


@pytest.fixture
def calls(monkeypatch):
    """The calls of `zoo.evaluate`, which is replaced and returns scores for two classes."""
    calls = []

    def evaluate(study, trial, *, run, display):
        calls.append((study, trial, run))
        if study == "nothing":
            raise StudyError("There are no trials")
        metrics = {"test_accuracy": 0.75, "test_loss": 0.5}
        return Evaluation("pets", "trial 3", 4, metrics, CLASSES, "pets.zip", "only some of them")

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr("zoo.cli.common.start_loading_keras", lambda: None)
    return calls


def run(line):
    return CliRunner().invoke(evaluate_command.command, line.split(), catch_exceptions=False)


def test_scores_are_printed_as_text(calls):
    done = run("pets --trial 3")
    assert calls == [("pets", 3, None)]
    assert done.stdout.splitlines() == [
        "trial 3 of pets, 4 images of the test split",
        "test_accuracy 0.7500",
        "test_loss 0.5000",
        "",
        "class  images  precision  recall",
        "  cat       3     0.7500  1.0000",
        "  dog       1          -  0.0000",
    ]
    assert done.stderr.splitlines() == [
        "warning: only some of them",
        "next: zoo inspect confusion pets --trial 3   which classes it confuses",
    ]


def test_scores_are_printed_as_json(calls):
    done = run("--run some/folder --json")
    document = json.loads(done.stdout)
    assert done.stderr == "warning: only some of them\n"
    assert calls == [(None, None, "some/folder")]
    assert document == {
        "study": "pets",
        "run": "trial 3",
        "images": 4,
        "dataset.source": "pets.zip",
        "dataset.warning": "only some of them",
        "test_accuracy": 0.75,
        "test_loss": 0.5,
        "classes": [
            {"class": "cat", "images": 3, "precision": 0.75, "recall": 1.0},
            {"class": "dog", "images": 1, "precision": None, "recall": 0.0},
        ],
    }


def test_error_of_evaluate_is_raised(calls):
    with pytest.raises(StudyError, match="no trials"):
        run("--study nothing")
