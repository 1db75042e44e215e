"""The table of a dry run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.data.quality import OBJECTIVE, WEIGHTS
from zoo.data.store import PreparedDataset
from zoo.errors import StudyError, ZooError
from zoo.registry import given_files, plugin_file
from zoo.study import Objective
from zoo.training.timing import Timing
from zoo.tuning import DryRun, dry_run, estimating
from zoo.tuning.samplers import combinations_text

DATA = PreparedDataset("d" * 64, ("0", "1"), (8, 8, 1), {"train": 1150, "validation": 288}, "digits", "")
TIMING = Timing("cpu", 1500, batch_size=64, start=1.0, batch=0.004, epoch=2.25, trial=12.0)
RUN = DryRun(
    study="example",
    dataset=DATA,
    class_counts={"0": 700, "1": 738},
    searched=["conv_net.filters", "training.learning_rate"],
    combinations="continuous",
    architecture="conv_net",
    timing=TIMING,
    trials=20,
    timeout=None,
)


def test_table_has_data_space_and_times():
    assert str(RUN).splitlines() == [
        "dataset       digits",
        "images        train 1,150, validation 288",
        "image shape   8×8×1",
        "classes       2: 0 700, 1 738",
        "searched      2 parameters: conv_net.filters, training.learning_rate",
        "combinations  continuous",
        "baseline      conv_net, 1,500 weights, on cpu",
        "a batch       4 ms (64 images)",
        "an epoch      2.2s",
        "a trial       12s with all its epochs",
        "the study     4m at most: 20 trials, one at a time, none pruned",
    ]


def test_single_trial_and_parameter_have_singular_nouns():
    timing = replace(TIMING, batch_size=1)
    single = replace(RUN, searched=["training.learning_rate"], timing=timing, trials=1, timeout=60.0)
    rows = dict(single.rows())
    assert rows["searched"] == "1 parameter: training.learning_rate"
    assert rows["a batch"] == "4 ms (1 image)"
    assert rows["the study"] == "12s at most: 1 trial, one at a time, none pruned"
    assert rows["within 1m"] == "about 1 of 1 trial"


@pytest.mark.parametrize(("timeout", "number"), [(60.0, 5), (1.0, 1), (9000.0, 20)])
def test_timeout_has_its_number_of_trials(timeout, number):
    limited = replace(RUN, timeout=timeout)
    assert limited.trials_in_timeout == number
    assert limited.rows()[-1][1] == f"about {number} of 20 trials"


def test_many_classes_are_a_range():
    counts = {f"class {number}": 10 + number for number in range(40)}
    (text,) = [value for title, value in replace(RUN, class_counts=counts).rows() if title == "classes"]
    assert text == "40: from 10 images (class 0) to 49 (class 39)"


def test_combinations_are_counted(define):
    fixed = ("architecture.dropout=0.1", "training.learning_rate=0.01", "training.momentum=0.9")
    # [8], [16], [8, 8] …: 2 + 4 lists of filters; two optimizers
    assert combinations_text(define(*fixed)) == "12"
    assert combinations_text(define()) == "continuous"
    many = ("architecture.filters={low=8, high=128, length=[1, 3]}", *fixed)
    assert combinations_text(define(*many)) == "more than 20,000"


@pytest.fixture
def stage(define, in_tmp, monkeypatch):
    """stage(call, data, check) -> `dry_run` times the baseline with `call`, on the facts `data`."""

    def prepare(call, data=DATA, check=lambda *_: None, **changes):
        monkeypatch.setattr(estimating, "define_study", lambda *_: (replace(define(), **changes), 1, []))
        monkeypatch.setattr(estimating, "prepare_dataset", lambda *_: data)
        monkeypatch.setattr(estimating, "start_loading_keras", lambda: None)
        monkeypatch.setattr(estimating, "check_labels", check)
        monkeypatch.setattr(estimating, "call_in_worker", call)

    return prepare


def test_worker_process_gets_the_plugin_files_of_the_study(stage, tmp_path):
    path, used = tmp_path / "my_net.py", []
    path.write_text("")

    def call(*arguments, log_path):
        used.extend(given_files())
        raise ZooError("seen")

    stage(call, plugin_files=(plugin_file(str(path)),))
    with pytest.raises(StudyError, match="seen"):
        dry_run("example")
    assert [one.name for one in used] == ["my_net.py"]


def test_labels_are_checked_on_the_split_into_groups(stage):
    grouped, seen = {"fraction": 0.1, "seed": 0, "group": "patient", "group_digest": "g"}, []

    def check(definition, cache_dir, digest):
        seen.append(definition.validation)
        raise StudyError("seen")

    stage(None, replace(DATA, validation=grouped), check)
    with pytest.raises(StudyError, match="seen"):
        dry_run("example")
    assert seen == [grouped]


def test_warning_has_no_advice_that_the_study_follows(stage, capsys):
    def fail(*arguments, log_path):
        raise ZooError("seen")

    text = "The training classes are imbalanced, 9 to 1."
    warning = f"{text} {WEIGHTS} and {OBJECTIVE} give every class the same weight."
    stage(fail, replace(DATA, warning=warning), objectives=(Objective("val_balanced_accuracy", "maximize"),))
    with pytest.raises(StudyError, match="seen"):
        dry_run("example")
    assert f"warning: {text} {WEIGHTS} gives every class the same weight.\n" in capsys.readouterr().err


def test_baseline_that_cannot_be_trained_is_named(stage, in_tmp):
    def fail(*arguments, log_path):
        raise ZooError("too deep")

    stage(fail)
    with pytest.raises(StudyError, match=r"^the baseline of 'example' cannot be trained: too deep$"):
        dry_run("example")
    assert list(in_tmp.iterdir()) == []
