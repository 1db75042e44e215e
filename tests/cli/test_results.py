"""The output of `zoo tune`, `zoo train` and `zoo compare`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from click.testing import CliRunner

import zoo.cli
import zoo.results
import zoo.tracking
import zoo.tuning
from zoo.cli import common, compare_command, train_command, tune_command
from zoo.record import StudyDirectory
from zoo.registry import PluginFile
from zoo.tuning import TrainResult, TuneResult


@pytest.fixture
def printed(monkeypatch):
    """printed(command, "tune", result, …) -> lines on stdout, lines on stderr, exit status."""
    monkeypatch.setattr(common, "start_loading_keras", lambda: None)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.argv", ["zoo", "example", "--storage", "postgresql://ada:secret@host/db"])
    calls = []

    def run(command, function, result, *arguments):
        package = {"compare": zoo.tracking, "tune": zoo.results}.get(function, zoo.tuning)
        monkeypatch.setattr(zoo.tracking, "disk_space", lambda studies: 12_345_678)
        monkeypatch.setattr(package, function, lambda *_, **options: calls.append(options) or result)
        done = CliRunner().invoke(command, ["example", *arguments], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.stdout.splitlines(), done.stderr.splitlines(), done.return_value

    run.calls = calls
    return run


def tuned(**changes):
    facts = {"study": "example", "objective": "val_accuracy", "best": (3, 0.5), "done": 4, "total": 4}
    return TuneResult(**{**facts, "test_metrics": {}, "model_uri": "models:/m-1", **changes})


def trained(epochs, folds=(), **summary):
    facts = {"best_val_accuracy": 0.5, "best_epoch": 2, **summary}
    return TrainResult("example", "val_accuracy", None, facts, epochs, Path("somewhere"), folds)


class TestTune:
    def test_next_steps_name_plugin_files_of_the_study(self, printed, in_tmp):
        files = [PluginFile(in_tmp / "nets" / "my_net.py", b"")]
        _, stderr, _ = printed(tune_command.command, "tune", tuned(plugin_files=files))
        ends = [" ".join(line.split()) for line in stderr[-2:]]
        assert ends[0].startswith("zoo predict example IMAGE --plugin nets/my_net.py ")
        assert ends[1].startswith("zoo serve example --plugin nets/my_net.py ")

    def test_best_trial_is_printed(self, printed):
        front = {3: {"val_accuracy": 0.5}}
        result = tuned(objectives=["val_accuracy"], front=front, test_metrics={"test_accuracy": 0.25})
        stdout, stderr, status = printed(tune_command.command, "tune", result, "--quiet")
        assert stdout == [
            "best: trial 3, val_accuracy 0.5000, 0.2500 on the test split",
            "model: models:/m-1",
        ]
        assert (stderr, status) == ([], 0)

    def test_model_that_mlflow_lacks_is_a_file(self, printed, in_tmp):
        (_, line), _, _ = printed(tune_command.command, "tune", tuned(model_uri=""), "--quiet")
        assert line == "model: neither in MLflow nor in the trial directory"
        path = StudyDirectory(in_tmp, "example").trial(3).model_path
        path.parent.mkdir(parents=True)
        path.touch()
        (_, line), _, _ = printed(tune_command.command, "tune", tuned(model_uri=""), "--quiet")
        assert line == "model: mlruns/zoo/example/trials/003/model.keras"

    def test_searched_architecture_is_named(self, printed):
        stdout, _, _ = printed(tune_command.command, "tune", tuned(architecture="small_net"))
        assert stdout[0] == "best: trial 3 (small_net), val_accuracy 0.5000"

    def test_report_is_printed(self, printed, in_tmp):
        stdout, _, _ = printed(tune_command.command, "tune", tuned(report_path=in_tmp / "report.html"))
        assert stdout[-1] == "report: report.html"

    def test_front_of_several_objectives_is_printed(self, printed):
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
    def test_number_of_rejected_trials_is_printed(self, printed, best, status):
        result = tuned(best=best, rejected=3, max_parameters=100_000)
        _, stderr, returned = printed(tune_command.command, "tune", result, "--quiet")
        assert returned == status
        too_large, *rest = stderr
        assert too_large == (
            "3 of 4 trials were not trained: "
            "their networks have more than 100,000 parameters (max_parameters)"
        )
        assert rest == (["no trial was completed; see why with: zoo compare example"] if best is None else [])

    def test_single_rejected_trial_has_singular_nouns(self, printed):
        result = tuned(rejected=1, max_parameters=100_000)
        _, (too_large, *_), _ = printed(tune_command.command, "tune", result, "--quiet")
        assert too_large == (
            "1 of 4 trials was not trained: its network has more than 100,000 parameters (max_parameters)"
        )

    def test_deleted_trials_are_said(self, printed):
        result = tuned(best=None, deleted=[1, 3], done=5)
        stdout, stderr, status = printed(tune_command.command, "tune", result, "--quiet")
        assert (stdout, status) == ([], 1)
        assert stderr == [
            "no complete trial of 'example' is left; deleted: 1, 3. "
            "`zoo delete example --trial 3 --restore` restores one of them.",
            "To add a trial, run this command with --trials 6.",
        ]

    def test_warning_about_the_data_is_repeated(self, printed):
        result = tuned(source="5,000 digits", warning="This is NOT the full MNIST.")
        stdout, stderr, _ = printed(tune_command.command, "tune", result, "--quiet")
        assert stdout == ["best: trial 3, val_accuracy 0.5000", "model: models:/m-1", "dataset: 5,000 digits"]
        assert stderr == ["warning: This is NOT the full MNIST."]

    def test_next_commands_are_printed_below_each_other(self, printed):
        _, stderr, _ = printed(tune_command.command, "tune", tuned())
        assert stderr == [
            "next: zoo compare example         the trials, best first",
            "      zoo ui example              the same in MLflow's UI, with curves and figures",
            "      zoo predict example IMAGE   the classes of images",
            "      zoo serve example           a page for images, and a server",
        ]

    def test_stopped_study_names_the_command_that_resumes_it(self, printed):
        stdout, stderr, status = printed(tune_command.command, "tune", tuned(interrupted=130, done=2))
        assert (stdout, status) == ([], 130)
        assert stderr == [
            "stopped with 2 of 4 trials done; resume with: zoo example --storage postgresql://ada:***@host/db"
        ]

    def test_stopped_study_of_one_trial_has_singular_noun(self, printed):
        _, (line,), _ = printed(tune_command.command, "tune", tuned(interrupted=130, done=0, total=1))
        assert line.startswith("stopped with 0 of 1 trial done; resume with: ")

    def test_typed_command_is_recorded_without_passwords(self, printed):
        printed(tune_command.command, "tune", tuned())
        assert printed.calls[0]["command"] == "zoo example --storage postgresql://ada:***@host/db"
        assert printed.calls[0]["study"] == "example"


class TestTrain:
    def test_result_names_the_best_epoch(self, printed):
        stdout, _, _ = printed(train_command.command, "train", trained([{}, {}, {}]), "--quiet")
        assert stdout == ["val_accuracy 0.5000 in epoch 2 of 3", "model: somewhere/model.keras"]

    def test_result_of_folds_has_its_spread(self, printed):
        result = trained([{}] * 4, folds=[1, 1, 2, 2], best_val_accuracy_std=0.125)
        stdout, _, _ = printed(train_command.command, "train", result, "--quiet")
        assert stdout[0] == "val_accuracy 0.5000 ± 0.1250 over 2 folds"

    def test_typed_command_is_recorded(self, printed):
        _, stderr, _ = printed(train_command.command, "train", trained([{}, {}]))
        assert printed.calls[0]["command"].startswith("zoo example ")
        assert [line[6:].split("   ")[0].rstrip() for line in stderr] == [
            "zoo ui example",
            "zoo evaluate --run somewhere",
        ]

    def test_next_command_names_plugin_files_of_the_study(self, printed, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = replace(trained([{}]), plugin_files=[PluginFile(tmp_path / "nets" / "my_net.py", b"")])
        _, stderr, _ = printed(train_command.command, "train", result)
        assert "zoo evaluate --run somewhere --plugin nets/my_net.py " in stderr[1]


class TestCurves:
    def test_curves_have_a_row_per_epoch(self):
        curves = trained([{"loss": 2.0}, {"loss": 1.0}]).curves
        assert curves.index.names == ["epoch"]
        assert curves["loss"].to_dict() == {1: 2.0, 2: 1.0}

    def test_curves_of_folds_have_a_row_per_fold_and_epoch(self):
        epochs = [{"loss": value} for value in (3.0, 2.0, 1.0, 4.0, 0.5)]
        curves = trained(epochs, folds=[1, 1, 2, 3, 3]).curves
        assert curves.index.names == ["fold", "epoch"]
        assert curves["loss"].to_dict() == {(1, 1): 3.0, (1, 2): 2.0, (2, 1): 1.0, (3, 1): 4.0, (3, 2): 0.5}


class TestCompare:
    dataset: ClassVar = {
        "dataset.source": "s",
        "dataset.warning": "",
        "dataset.splits": "",
        "dataset.digest": "d",
    }

    def row(self, trial, **values):
        facts = {"study": "example", "trial": trial, "state": "complete", "reason": "", "model": ""}
        return {**facts, "best_val_accuracy": 0.5, "parameters": 9.0, **self.dataset, **values}

    def table(self, *rows):
        columns = {name: None for row in rows for name in row}
        return pd.DataFrame(list(rows), columns=list(columns))

    def test_front_is_marked_with_a_star(self, printed):
        table = self.table(self.row(1, front=True, latency_ms=1.25), self.row(0, front=False, latency_ms=1.5))
        (head, first, second), _, _ = printed(compare_command.command, "compare", table)
        assert head.split() == ["trial", "state", "front", "best_val_accuracy", "parameters", "latency_ms"]
        assert first.split() == ["1", "complete", "*", "0.5", "9", "1.25"]
        assert second.split() == ["0", "complete", "0.5", "9", "1.5"]

    def test_study_without_front_has_an_empty_cell(self, printed):
        table = self.table(self.row(1, front=True), self.row(0, study="other"))
        (_, first, second), _, _ = printed(compare_command.command, "compare", table)
        assert first.split()[:4] == ["example", "1", "complete", "*"]
        assert second.split()[:4] == ["other", "0", "complete", "0.5"]

    def test_warning_about_the_data_is_printed_once(self, printed):
        warned = {"dataset.warning": "This is NOT the full MNIST.", "dataset.source": "5,000 digits"}
        table = self.table(self.row(1, **warned), self.row(0, **warned))
        (head, *_), stderr, _ = printed(compare_command.command, "compare", table)
        assert "dataset" not in head
        assert stderr[0] == "warning: This is NOT the full MNIST."
        assert "warning" not in "".join(stderr[1:])

    def test_varied_components_come_before_parameters(self, printed):
        rows = [
            self.row(number, architecture=name, **{f"{name}.units": number, "training.rate": number / 10})
            for number, name in enumerate(["a", "b", "a"])
        ]
        (head, *_), _, _ = printed(compare_command.command, "compare", self.table(*rows))
        # b.units has one value in all trials where it is active.
        assert head.split()[4:] == ["architecture", "training.rate", "a.units"]

    def test_missing_integer_is_blank(self, printed):
        table = self.table(self.row(1, parameters=2060), self.row(0, parameters=None))
        table = table.astype({"parameters": "Int64"})
        (_, first, second), _, _ = printed(compare_command.command, "compare", table)
        assert first.split() == ["1", "complete", "0.5", "2060"]
        assert second.split() == ["0", "complete", "0.5"]

    def test_disk_space_and_models_are_printed(self, printed):
        table = self.table(self.row(1, model="models:/m-1"), self.row(0, model=""))
        _, stderr, _ = printed(compare_command.command, "compare", table)
        assert stderr[0] == "disk: 12.3 MB, 1 model"
        _, stderr, _ = printed(compare_command.command, "compare", table[::-1], "--top", "1")
        assert stderr[0] == "disk: 12.3 MB, 1 model"  # of the whole study

    def test_searched_parameters_are_shown_most_important_first(self, printed, monkeypatch):
        monkeypatch.delenv("COLUMNS")  # a pipe has room for every column
        names = [f"net.parameter_with_a_long_name_{number}" for number in range(9)]
        table = self.table(
            self.row(1, **dict.fromkeys(names, 1), fixed=3), self.row(0, **{names[0]: 2}, fixed=4)
        )
        table.attrs["searched"] = [*names[::-1], "net.never_active"]
        (head, first, second, *_), _, _ = printed(compare_command.command, "compare", table)
        assert head.split()[4:] == names[::-1]
        assert (len(first.split()), len(second.split())) == (13, 5)  # an inactive parameter is blank


@pytest.mark.parametrize("stream", ["stdout", "both"])
def test_output_that_nobody_reads_does_not_change_the_status(monkeypatch, stream, in_tmp):
    """`zoo tune … 2>&1 | head -1`: a search that is complete ends with status 0."""
    monkeypatch.setattr(common, "start_loading_keras", lambda: None)
    monkeypatch.setattr(zoo.results, "tune", lambda *_, **options: tuned())
    monkeypatch.setattr("sys.argv", ["zoo", "tune", "example"])
    reader, writer = os.pipe()
    os.close(reader)
    closed = os.fdopen(writer, "w")
    for name in ("stdout", "stderr") if stream == "both" else ("stdout",):
        monkeypatch.setattr(sys, name, closed)
    with pytest.raises(SystemExit) as ended:
        zoo.cli.main()
    with suppress(BrokenPipeError):
        closed.close()
    assert ended.value.code == 0
