"""A trial that is deleted in MLflow: every command excludes it, until it is restored.

The tests of this module are the steps of one story, in this order.
"""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from end_to_end_studies import TINY
from end_to_end_tools import mlflow_client

pytestmark = pytest.mark.slow

STUDY = TINY.replace("epochs = 2", "epochs = 1").replace("trials = 2", "trials = 3")
DELETED = "was deleted in MLflow and will be excluded; `zoo delete tiny --trial N --restore` restores a trial"
LOAD_BEST = """
import sys
import numpy as np
import zoo

print(zoo.load_model(sys.argv[1]).predict(np.full((1, 8, 8, 1), 99, "uint8"), verbose=0).tolist())
"""


@pytest.fixture(scope="module")
def story(new_zoo):
    """A finished study of three trials: their numbers from best to worst, and the run of the best."""
    zoo = new_zoo("story", tiny=STUDY)
    done = zoo("tune", "tiny")
    assert done.returncode == 0, done.stderr
    after = zoo.snapshot("tiny")
    ranked = sorted(after.optuna, key=lambda trial: trial.value, reverse=True)
    best, second, worst = (trial.number for trial in ranked)
    run_ids = [run.info.run_id for run in after.children]
    return SimpleNamespace(
        zoo=zoo,
        client=mlflow_client(zoo.folder),
        best=best,
        second=second,
        worst=worst,
        run_ids=run_ids,
        predictions={},
    )


def best_by_command(story):
    """Return the best trial of `compare`, `evaluate`, `inspect confusion` and `tune`, and their stderr."""
    table = run(story, "compare", "tiny", "--json")
    evaluated = run(story, "evaluate", "tiny", "--json")
    confusion = run(story, "inspect", "confusion", "tiny")
    tuned = run(story, "tune", "tiny")
    best = {
        "compare": json.loads(table.stdout)[0]["trial"],
        "evaluate": int(json.loads(evaluated.stdout)["run"].removeprefix("trial ")),
        "inspect": int(re.search(r"trials/(\d+)/figures/", confusion.stdout)[1]),
        "tune": int(re.search(r"best: trial (\d)", tuned.stdout)[1]),
    }
    return best, [done.stderr for done in (table, evaluated, confusion, tuned)]


def run(story, *arguments):
    done = story.zoo(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def compared(story, study="tiny"):
    """Return the numbers of the trials in the table of `zoo compare`, best first."""
    return [row["trial"] for row in json.loads(run(story, "compare", study, "--json").stdout)]


def prediction(story, model):
    """Return what `zoo.load_model(model)` predicts for a gray image."""
    done = story.zoo.python(LOAD_BEST, model)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def all_same(best, number):
    return best == dict.fromkeys(best, number)


def test_best_trial_is_the_first_of_compare(story):
    assert compared(story) == [story.best, story.second, story.worst]
    story.predictions[story.best] = prediction(story, "tiny")


def test_deleted_best_trial_is_excluded_everywhere(story):
    story.client.delete_run(story.run_ids[story.best])
    best, messages = best_by_command(story)
    assert all_same(best, story.second)
    assert sum(message.count(f"trial {story.best} of 'tiny' {DELETED}") for message in messages) == 1


def test_deleted_trial_is_not_loaded(story):
    story.predictions[story.second] = prediction(story, "tiny")
    assert story.predictions[story.second] != story.predictions[story.best]


def test_deleted_trial_has_no_row_and_no_curves(story):
    assert compared(story) == [story.second, story.worst]
    done = story.zoo("inspect", "curves", "tiny", "--trial", story.best)
    assert done.returncode == 2
    assert done.errors[0].startswith(f"error: trial {story.best} of 'tiny' was deleted.")


def test_deleted_trial_is_not_recorded_again(story):
    """`zoo tune` has run since it was deleted."""
    remaining = [run.info.run_id for run in story.zoo.snapshot("tiny").children]
    assert remaining == [run_id for run_id in story.run_ids if run_id != story.run_ids[story.best]]
    assert story.client.get_run(story.run_ids[story.best]).info.lifecycle_stage == "deleted"


def test_restored_trial_is_included_everywhere(story):
    done = run(story, "delete", "tiny", "--trial", story.best, "--restore")
    assert done.stdout == f"trial {story.best} of 'tiny' was restored\n"
    best, messages = best_by_command(story)
    assert all_same(best, story.best)
    assert "deleted" not in "".join(messages)
    assert [run.info.run_id for run in story.zoo.snapshot("tiny").children] == story.run_ids


def test_renamed_study_keeps_its_trials(story):
    done = run(story, "rename", "tiny", "renamed")
    assert done.stdout == "study 'tiny' renamed to 'renamed'\n"
    assert compared(story, "renamed") == [story.best, story.second, story.worst]
    tuned = run(story, "tune", "tiny", "--name", "renamed")
    assert tuned.stdout.startswith(f"best: trial {story.best}, ")
    assert "3 trials, maximize val_accuracy; all done" in tuned.stderr
    assert story.client.get_experiment_by_name("tiny") is None


def test_deleted_study_is_unknown(story):
    done = run(story, "delete", "renamed", "--yes")
    assert done.stdout == "study 'renamed' deleted\n"
    for arguments in (
        ("compare", "renamed"),
        ("report", "renamed"),
        ("inspect", "curves", "renamed"),
    ):
        done = story.zoo(*arguments)
        assert (done.returncode, len(done.errors)) == (2, 1), arguments
        assert "renamed" in done.errors[0]
    assert not (story.zoo.folder / "mlruns" / "zoo" / "renamed").exists()
