"""`zoo evaluate`: figures on stdout, as text and as JSON."""

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
def asked(monkeypatch):
    """What `zoo.evaluate` was asked; it answers with two classes."""
    calls = []

    def evaluate(study, trial, *, run, display):
        calls.append((study, trial, run))
        if study == "nothing":
            raise StudyError("There are no trials")
        metrics = {"test_accuracy": 0.75, "test_loss": 0.5}
        return Evaluation("pets", "trial 3", 4, metrics, CLASSES, "pets.zip", "only some of them")

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr("zoo.cli.common.begin_loading_keras", lambda: None)
    return calls


def run(line):
    return CliRunner().invoke(evaluate_command.command, line.split(), catch_exceptions=False)


def test_as_text(asked):
    done = run("--study pets --trial 3")
    assert asked == [("pets", 3, None)]
    assert done.stdout.splitlines() == [
        "trial 3 of pets, 4 images of the test split",
        "test_accuracy 0.7500",
        "test_loss 0.5000",
        "",
        "class  images  precision  recall",
        "  cat       3     0.7500  1.0000",
        "  dog       1          -  0.0000",
    ]
    assert done.stderr == "warning: only some of them\n"


def test_as_json(asked):
    document = json.loads(run("--run some/folder --json").stdout)
    assert asked == [(None, None, "some/folder")]
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


def test_an_error_is_an_error(asked):
    with pytest.raises(StudyError, match="no trials"):
        run("--study nothing")
