"""A study while MLflow's server is away, and the delivery of its record afterwards."""

from __future__ import annotations

import pytest
from end_to_end_studies import TINY
from end_to_end_tools import epochs, mlflow_client

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def away(new_zoo):
    """A study of two trials that ran without MLflow; and `zoo sync`, when MLflow was there."""
    zoo = new_zoo("away", tiny=TINY)
    # `zoo sync` needs neither the setting nor the study file: both are recorded.
    zoo.tuned = zoo(
        "tune", "tiny", "--set", "training.batch_size=32", env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    )
    zoo.compared = zoo("compare", "tiny", env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    zoo.refused = zoo("sync", "tiny", env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    zoo.unpromoted = zoo("promote", "tiny", env={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    (zoo.folder / "studies" / "tiny.toml").unlink()
    zoo.synced = zoo("sync", "tiny")
    zoo.again = zoo("sync", "tiny")
    return zoo


def test_study_runs_and_says_so_once(away):
    assert away.tuned.stdout.startswith("best: trial "), away.tuned.stderr
    assert away.tuned.stderr.count("no MLflow server answers at http://127.0.0.1:9") == 1
    assert "zoo sync tiny" in away.tuned.stderr
    assert away.tuned.returncode == 1
    assert "comparing the best model" not in away.tuned.stderr
    assert "model: mlruns/zoo/tiny/trials/00" in away.tuned.stdout
    assert "Traceback" not in away.tuned.stderr


def test_table_is_that_of_the_record(away):
    assert away.compared.returncode == 0
    assert "complete" in away.compared.stdout


def test_sync_needs_mlflow(away):
    assert away.refused.returncode == 2
    assert away.refused.stderr.splitlines()[-1].startswith("error: no MLflow server answers at ")
    assert away.unpromoted.stderr.startswith("error: no MLflow server answers at ")
    for done in (away.refused, away.unpromoted):
        assert done.stderr.count("no MLflow server answers at ") == 1


def test_sync_delivers_everything_once(away):
    assert (away.synced.returncode, away.synced.stdout) == (0, "MLflow has the whole study\n"), (
        away.synced.stderr
    )
    assert away.again.returncode == 0
    client = mlflow_client(away.folder)
    (experiment,) = [one for one in client.search_experiments() if one.name == "tiny"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags["zoo.kind"] == "study"]
    assert parent.data.tags["zoo.best_trial"]
    children = [run for run in runs if run.data.tags["zoo.kind"] == "trial"]
    assert children
    for run in children:
        recorded = epochs(away.events("tiny", int(run.data.tags["zoo.trial"])))
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert sorted(point.step for point in history) == [event.epoch for event in recorded]
        assert run.info.status != "RUNNING"
