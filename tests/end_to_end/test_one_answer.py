"""A trial that is deleted in MLflow: every command excludes it, until it is restored.

The tests of this module are the steps of one story, in this order.
"""

from __future__ import annotations

import json
import re
import sys
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
        study="tiny",
        predictions={},
    )


def best_by_command(story):
    """Return the best trial by `compare`, `evaluate`, `inspect confusion` and `tune`, and what each reported."""
    table = run(story, "compare", story.study, "--json")
    evaluated = run(story, "evaluate", story.study, "--json")
    confusion = run(story, "inspect", "confusion", story.study)
    tuned = run(story, "tune", "tiny", "--name", story.study)
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


def prediction(story, model):
    """Return what `zoo.load_model(model)` predicts for a gray image."""
    return run_python(story, LOAD_BEST, model)


def run_python(story, script, *arguments):
    python = type(story.zoo)(sys.executable, story.zoo.folder, story.zoo.environment)
    done = python("-c", script, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def all_same(best, number):
    return best == dict.fromkeys(best, number)


def test_every_command_names_the_same_best_trial(story):
    best, _ = best_by_command(story)
    assert all_same(best, story.best)
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
    table = json.loads(run(story, "compare", "tiny", "--json").stdout)
    assert [row["trial"] for row in table] == [story.second, story.worst]
    assert run(story, "inspect", "curves", "tiny").stderr.startswith("next: ")
    done = story.zoo("inspect", "curves", "tiny", "--trial", story.best)
    assert done.returncode == 2
    assert done.errors[0].startswith(f"error: There is no trial {story.best} of 'tiny'")


def test_deleted_trial_is_not_recorded_again(story):
    """`zoo tune` ran in the test above, and here with another trial."""
    run(story, "tune", "tiny", "--trials", 4)
    after = story.zoo.snapshot("tiny")
    assert [run.info.run_id for run in after.children][: len(story.run_ids) - 1] == [
        run_id for run_id in story.run_ids if run_id != story.run_ids[story.best]
    ]
    assert len(after.children) == 3
    assert story.client.get_run(story.run_ids[story.best]).info.lifecycle_stage == "deleted"


def test_restored_trial_is_included_everywhere(story):
    done = run(story, "delete", "tiny", "--trial", story.best, "--restore")
    assert done.stdout == f"trial {story.best} of 'tiny' was restored\n"
    best, messages = best_by_command(story)
    values = {trial.number: trial.value for trial in story.zoo.snapshot("tiny").optuna}
    story.best = max(values, key=values.get)  # the fourth trial may be better
    assert all_same(best, story.best)
    assert "deleted" not in "".join(messages)
    assert {run.info.run_id for run in story.zoo.snapshot("tiny").children} >= set(story.run_ids)


def test_renamed_study_keeps_its_trials(story):
    done = run(story, "rename", "tiny", "renamed")
    assert done.stdout == "study 'tiny' renamed to 'renamed'\n"
    story.study = "renamed"
    best, _ = best_by_command(story)
    assert all_same(best, story.best)
    assert story.client.get_experiment_by_name("tiny") is None
    assert story.zoo("compare", "tiny").returncode == 2


def test_deleted_study_is_unknown_to_every_command(story):
    done = run(story, "delete", "renamed", "--yes")
    assert done.stdout == "study 'renamed' deleted\n"
    for arguments in (
        ("compare", "renamed"),
        ("evaluate", "renamed"),
        ("inspect", "confusion", "renamed"),
        ("inspect", "curves", "renamed"),
    ):
        done = story.zoo(*arguments)
        assert (done.returncode, len(done.errors)) == (2, 1), arguments
        assert "renamed" in done.errors[0]
    assert not (story.zoo.folder / "mlruns" / "zoo" / "renamed").exists()
