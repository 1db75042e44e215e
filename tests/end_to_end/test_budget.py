"""A search that ends before its last trial: a timeout shorter than an epoch, then a target."""

from __future__ import annotations

import pytest
from end_to_end_studies import TINY

LONG = ("--trials", 3, "--set", "training.epochs=500", "--set", "training.patience=500")


@pytest.fixture(scope="module")
def limited(new_zoo):
    """The dry run, the study with a timeout, and the same study with a target that trial 0 has reached."""
    zoo = new_zoo("limited", tiny=TINY)
    zoo.dry = zoo("tune", "tiny", "--dry-run", *LONG)
    zoo.dry_files = sorted(path.name for path in zoo.folder.glob("mlruns/zoo/*"))
    zoo.late = zoo("tune", "tiny", "--timeout", "0.001s", *LONG)
    zoo.good = zoo("tune", "tiny", "--set", "search.target=0.001", *LONG)
    zoo.after = zoo.snapshot("tiny")
    return zoo


def test_dry_run_shows_data_and_times_and_records_nothing(limited):
    assert limited.dry.returncode == 0, limited.dry.stderr
    rows = dict(line.split("  ", 1) for line in limited.dry.stdout.splitlines())
    assert rows["images"].strip() == "train 1,150, validation 288, test 359"
    assert rows["the study"].strip().endswith(" at most: 3 trials, one at a time, none pruned")
    assert limited.dry_files == [".cache"]


def test_trial_at_the_timeout_has_one_epoch_and_a_model(limited):
    assert limited.late.returncode == 0, limited.late.stderr
    assert "(stopped by timeout)  [1/3]" in limited.late.stderr
    command = (
        "zoo tune tiny --timeout 0.001s --trials 3 --set training.epochs=500 --set training.patience=500"
    )
    assert f"timeout of 0.001s reached after 1 of 3 trials; resume with: {command}\n" in limited.late.stderr
    assert limited.late.stdout.startswith("best: trial 0, val_accuracy ")
    assert "on the test split\nmodel: models:/" in limited.late.stdout
    (run,) = limited.after.children
    assert (run.data.tags["zoo.state"], run.data.tags["zoo.stopped"]) == ("complete", "timeout")
    assert run.data.metrics["best_epoch"] == 1


def test_target_that_is_reached_starts_no_trial(limited):
    assert limited.good.returncode == 0, limited.good.stderr
    assert "target 0.001 reached by trial 0 after 1 of 3 trials\n" in limited.good.stderr
    assert [trial.state.name for trial in limited.after.optuna] == ["COMPLETE"]
    assert limited.after.parents[0].info.status == "FINISHED"
