"""What the commands that train and compare print of what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from click.testing import CliRunner

import zoo.tuning
from zoo.cli import common, compare_command, train_command, tune_command
from zoo.tuning import TrainResult, TuneResult


@pytest.fixture
def printed(monkeypatch):
    """printed(command, "tune", result, …) -> the lines on stdout and on stderr, and the exit status."""
    monkeypatch.setattr(common, "begin_loading_keras", lambda: None)
    monkeypatch.setenv("COLUMNS", "120")

    def run(command, function, result, *arguments):
        monkeypatch.setattr(zoo.tuning, function, lambda *_, **__: result)
        done = CliRunner().invoke(command, ["--study", "example", *arguments], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.stdout.splitlines(), done.stderr.splitlines(), done.return_value

    return run


def tuned(**changes):
    facts = {"study": "example", "objective": "val_accuracy", "best": (3, 0.5), "done": 4, "total": 4}
    return TuneResult(**{**facts, "test_metrics": {}, "model_uri": "models:/m-1", **changes})


def trained(epochs, folds=(), **summary):
    facts = {"best_val_accuracy": 0.5, "best_epoch": 2, **summary}
    return TrainResult("example", "val_accuracy", None, facts, epochs, Path("somewhere"), folds)


class TestTune:
    def test_of_one_objective_the_best(self, printed):
        front = {3: {"val_accuracy": 0.5}}
        result = tuned(objectives=["val_accuracy"], front=front, test_metrics={"test_accuracy": 0.25})
        stdout, stderr, status = printed(tune_command.command, "tune", result, "--quiet")
        assert stdout == [
            "best: trial 3, val_accuracy 0.5000, 0.2500 on the test split",
            "model: models:/m-1",
        ]
        assert (stderr, status) == ([], 0)

    def test_which_architecture_it_is_where_there_was_a_choice(self, printed):
        stdout, _, _ = printed(tune_command.command, "tune", tuned(architecture="small_net"))
        assert stdout[0] == "best: trial 3 (small_net), val_accuracy 0.5000"

    def test_of_several_the_front_too(self, printed):
        values = {
            3: {"val_accuracy": 0.5, "parameters": 12345.0},
            1: {"val_accuracy": 0.25, "parameters": 9.0},
        }
        result = tuned(objectives=["val_accuracy", "parameters"], front=values)
        stdout, _, _ = printed(tune_command.command, "tune", result)
        assert stdout == [
            "front: trial 3, val_accuracy 0.5000, parameters 12,345",
            "front: trial 1, val_accuracy 0.2500, parameters 9",
            "best: trial 3, val_accuracy 0.5000",
            "model: models:/m-1",
        ]

    @pytest.mark.parametrize(("best", "status"), [((3, 0.5), 0), (None, 1)])
    def test_how_many_were_too_large(self, printed, best, status):
        result = tuned(best=best, rejected=3, max_parameters=100_000)
        _, stderr, returned = printed(tune_command.command, "tune", result, "--quiet")
        assert returned == status
        too_large, *rest = stderr
        assert too_large == (
            "3 of 4 trials were not trained: "
            "their networks have more than 100,000 parameters (max_parameters)"
        )
        assert rest == (["no trial was completed"] if best is None else [])

    def test_what_has_to_be_known_of_the_data_is_said_again_at_the_end(self, printed):
        result = tuned(source="5,000 digits", warning="This is NOT the full MNIST.")
        stdout, stderr, _ = printed(tune_command.command, "tune", result, "--quiet")
        assert stdout == ["best: trial 3, val_accuracy 0.5000", "model: models:/m-1", "data: 5,000 digits"]
        assert stderr == ["warning: This is NOT the full MNIST."]


class TestTrain:
    def test_without_folds(self, printed):
        stdout, _, _ = printed(train_command.command, "train", trained([{}, {}, {}]), "--quiet")
        assert stdout == ["val_accuracy 0.5000 in epoch 2 of 3", "model: somewhere/model.keras"]

    def test_with_folds(self, printed):
        result = trained([{}] * 4, folds=[1, 1, 2, 2], best_val_accuracy_std=0.125)
        stdout, _, _ = printed(train_command.command, "train", result, "--quiet")
        assert stdout[0] == "val_accuracy 0.5000 ± 0.1250 over 2 folds"


class TestCurves:
    def test_have_a_row_for_every_epoch(self):
        curves = trained([{"loss": 2.0}, {"loss": 1.0}]).curves
        assert curves.index.names == ["epoch"]
        assert curves["loss"].to_dict() == {1: 2.0, 2: 1.0}

    def test_of_folds_for_every_epoch_of_every_fold(self):
        epochs = [{"loss": value} for value in (3.0, 2.0, 1.0, 4.0, 0.5)]
        curves = trained(epochs, folds=[1, 1, 2, 3, 3]).curves
        assert curves.index.names == ["fold", "epoch"]
        assert curves["loss"].to_dict() == {(1, 1): 3.0, (1, 2): 2.0, (2, 1): 1.0, (3, 1): 4.0, (3, 2): 0.5}


class TestCompare:
    dataset: ClassVar = {"dataset.source": "s", "dataset.warning": "", "dataset.digest": "d"}

    def row(self, trial, **values):
        facts = {"study": "example", "trial": trial, "state": "complete", "reason": ""}
        return {**facts, "best_val_accuracy": 0.5, "parameters": 9.0, **self.dataset, **values}

    def table(self, *rows):
        columns = {name: None for row in rows for name in row}
        return pd.DataFrame(list(rows), columns=list(columns))

    def test_the_front_has_a_star(self, printed):
        table = self.table(self.row(1, front=True, latency_ms=1.25), self.row(0, front=False, latency_ms=1.5))
        (head, first, second), _, _ = printed(compare_command.command, "compare", table)
        assert head.split() == ["trial", "state", "front", "best_val_accuracy", "parameters", "latency_ms"]
        assert first.split() == ["1", "complete", "*", "0.5", "9", "1.25"]
        assert second.split() == ["0", "complete", "0.5", "9", "1.5"]

    def test_a_study_with_one_objective_beside_one_with_several(self, printed):
        table = self.table(self.row(1, front=True), self.row(0, study="other"))
        (_, first, second), _, _ = printed(compare_command.command, "compare", table)
        assert first.split()[:4] == ["example", "1", "complete", "*"]
        assert second.split()[:4] == ["other", "0", "complete", "0.5"]

    def test_what_has_to_be_known_of_the_data_is_said_once(self, printed):
        warned = {"dataset.warning": "This is NOT the full MNIST.", "dataset.source": "5,000 digits"}
        table = self.table(self.row(1, **warned), self.row(0, **warned))
        (head, *_), stderr, _ = printed(compare_command.command, "compare", table)
        assert "dataset" not in head
        assert stderr[0] == "warning: This is NOT the full MNIST."
        assert "warning" not in "".join(stderr[1:])

    def test_names_that_differ_come_before_numbers_that_differ_more(self, printed):
        rows = [
            self.row(number, architecture=name, **{f"{name}.units": number, "training.rate": number / 10})
            for number, name in enumerate(["a", "b", "a"])
        ]
        (head, *_), _, _ = printed(compare_command.command, "compare", self.table(*rows))
        # b.units is the same wherever it counts.
        assert head.split()[4:] == ["architecture", "training.rate", "a.units"]
