"""`zoo evaluate`: scores on stdout, as text and as JSON."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner

from zoo import evaluation
from zoo.cli import evaluate_command
from zoo.errors import StudyError, ZooError
from zoo.evaluation import Evaluation

CLASSES = ("cat", "dog")
# Three cats and a dog; the model predicts "cat" for all four.
LABELS = np.array([0, 0, 1, 0])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])


@pytest.fixture
def calls(monkeypatch):
    """The calls of `zoo.evaluate`, which is replaced and returns scores for two classes."""
    calls = []

    def evaluate(study, trial, *, run, dataset, split, overrides, display):
        calls.append((study, trial, run, *([dataset, split, overrides] if dataset else [])))
        if study == "nothing":
            raise StudyError("there are no trials")
        metrics = {"test_accuracy": 0.75, "test_loss": 0.5} if dataset is None else {"accuracy": 0.75}
        facts = {"dataset": dataset or "pets", "split": split, "source": "pets.zip"}
        warning = "only some of them"
        names = ["a.png", "b.png", "c.png", "d.png"]
        facts |= {"warning": warning, "is_recorded": dataset is None and "@" not in str(study)}
        return Evaluation("pets", "trial 3", metrics, CLASSES, LABELS, PROBABILITIES, names, **facts)

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


def test_scores_on_a_dataset_have_interval_and_matrix(calls):
    done = run("pets@champion --dataset image_folder --set path=photos --split all")
    assert calls == [("pets@champion", None, None, "image_folder", "all", ("path=photos",))]
    assert done.stdout.splitlines() == [
        "trial 3 on image_folder (pets.zip), 4 images of all splits",
        "accuracy  0.7500  95 % interval 0.3006 to 0.9544",
        "",
        "class  images  precision  recall",
        "  cat       3     0.7500  1.0000",
        "  dog       1          -  0.0000",
        "",
        "confusion matrix: a row for each label, a column for each prediction",
        "     cat  dog",
        "cat    3    0",
        "dog    1    0",
    ]
    assert done.stderr == ""  # the display has shown the warning


def test_model_without_a_run_is_scored_on_its_dataset(calls):
    done = run("pets@champion")
    assert calls == [("pets@champion", None, None)]
    assert done.stdout.splitlines()[0] == "trial 3 on pets (pets.zip), 4 images of the test split"
    assert done.stderr == "warning: only some of them\n"  # no run, so no next command about it


def test_json_of_a_dataset_has_interval_and_matrix(calls):
    document = json.loads(run("pets --dataset image_folder --json").stdout)
    assert {key: document[key] for key in ("model", "dataset", "split", "images", "accuracy")} == {
        "model": "trial 3",
        "dataset": "image_folder",
        "split": "test",
        "images": 4,
        "accuracy": 0.75,
    }
    assert document["accuracy_interval"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert document["confusion"] == [[3, 0], [1, 0]]


@pytest.mark.parametrize("arguments", ["pets", "pets --dataset image_folder"])
def test_mistakes_are_written_to_a_file(calls, in_tmp, arguments):
    done = run(f"{arguments} --mistakes wrong.csv --quiet")
    lines = (in_tmp / "wrong.csv").read_text().splitlines()
    expected = ["image,label,prediction,probability,probability_of_label", "c.png,dog,cat,0.7,0.3"]
    assert lines == expected
    assert "1 of 4 images is wrong: wrong.csv" in done.stderr


def test_full_disk_leaves_the_old_file(calls, in_tmp, monkeypatch):
    (in_tmp / "wrong.csv").write_text("old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("zoo.files.flush_to_disk", full)
    with pytest.raises(ZooError, match=r"^--mistakes wrong.csv: cannot be written \(No space left"):
        run("pets --mistakes wrong.csv")
    assert [(path.name, path.read_text()) for path in in_tmp.glob("*.csv")] == [("wrong.csv", "old")]


def test_unwritable_mistakes_are_an_error_at_once(calls, in_tmp):
    with pytest.raises(ZooError, match=r"^--mistakes no/wrong.csv: cannot be written \(No such file"):
        run("pets --mistakes no/wrong.csv")
    assert calls == []
