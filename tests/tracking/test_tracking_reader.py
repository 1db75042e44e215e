"""A study read back out of MLflow."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tracking_examples as examples
from tracking_examples import CONFIG

from zoo.study import Objective
from zoo.tracking import (
    Store,
    StudyTracker,
    TrackingError,
    ended_runs,
    leaderboard,
)
from zoo.tracking import (
    store as store_module,
)


def end(state: str, best: float = math.nan, reason: str = "") -> dict[str, object]:
    return examples.events(state, reason=reason, best=best)[-1]


@pytest.fixture
def folder(tmp_path: Path, model_file: Path) -> Path:
    return examples.make_folder(tmp_path / "trial", model_file)


@pytest.fixture
def study(store: Store, folder: Path, request: pytest.FixtureRequest) -> StudyTracker:
    """Five trials: complete, better, failed, pruned, still running."""
    tracker = StudyTracker(store, examples.facts(request.node.name))
    for number, said in enumerate(
        [
            end("complete", 0.8),
            end("complete", 0.9),
            end("failed", reason="killed by signal 9"),
            end("pruned"),
        ]
    ):
        tracker.handle(number, CONFIG, said, folder)
    tracker.handle(4, CONFIG, examples.events()[0], folder)
    return tracker


def test_best_first(study: StudyTracker) -> None:
    table = leaderboard(study.facts.name, study.store)
    assert list(table["trial"]) == [1, 0, 2, 3, 4]
    assert list(table["state"]) == ["complete", "complete", "failed", "pruned", "running"]
    assert list(table["reason"]) == ["", "", "killed by signal 9", "", ""]
    assert list(table.columns[:7]) == [
        "trial", "state", "reason", "best_val_accuracy", "best_epoch", "parameters", "train_seconds",
    ]  # fmt: skip
    assert list(table.columns[-3:]) == ["dataset.digest", "run_id", "model"]
    best = table.iloc[0]
    assert best["best_val_accuracy"] == 0.9
    assert best["conv_net.filters"] == [32, 64]
    assert best["training.optimizer"] == "adam"
    assert best["dataset.digest"] == examples.DIGEST
    assert best["dataset.source"] == study.facts.source
    assert best["dataset.warning"] == study.facts.warning
    assert best["run_id"] == examples.run_of(study, 1).info.run_id
    (model,) = study.store.client.search_logged_models(
        [study.experiment_id], filter_string=f"source_run_id = '{best['run_id']}'"
    )
    assert best["model"] == f"models:/{model.model_id}"
    assert table["model"].iloc[2] == ""


def test_the_least_first(local_store: Store, folder: Path) -> None:
    facts = examples.facts(objectives=[Objective("val_loss", "minimize")])
    tracker = StudyTracker(local_store, facts)
    for number, value in enumerate([0.3, 0.1, 0.2]):
        said = end("complete")
        tracker.handle(
            number,
            {**CONFIG, "objective": "val_loss", "direction": "minimize"},
            {**said, "summary": {"best_val_loss": value, "best_epoch": 1}},
            folder,
        )
    assert list(leaderboard(facts.name, local_store)["trial"]) == [1, 2, 0]
    study = local_store.client.get_run(tracker.run_id)
    assert study.data.metrics["best_val_loss"] == 0.1


def test_a_study_without_a_trial(local_store: Store) -> None:
    StudyTracker(local_store, examples.facts())
    table = leaderboard("digits_cnn")
    assert len(table) == 0
    assert "best_val_accuracy" in table.columns


def test_more_trials_than_a_page(study: StudyTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_PAGE", 2)
    assert len(leaderboard(study.facts.name, study.store)) == 5


def test_the_newest_life_of_a_study(study: StudyTracker, folder: Path) -> None:
    name = study.facts.name
    anew = StudyTracker(study.store, examples.facts(name, uid="def456"))
    anew.handle(0, CONFIG, end("complete", 0.5), folder)
    assert list(leaderboard(name, study.store)["best_val_accuracy"]) == [0.5]


def test_an_unknown_study(local_store: Store) -> None:
    StudyTracker(local_store, examples.facts())
    local_store.client.create_experiment("digits_cn")  # not a study's
    with pytest.raises(TrackingError, match=r"a study named 'digit_cnn' .* Did you mean 'digits_cnn'\?"):
        leaderboard("digit_cnn", local_store)
    with pytest.raises(TrackingError, match="a study named 'digits_cn'"):
        leaderboard("digits_cn", local_store)


def test_nothing_was_ever_recorded_here(working_folder: Path) -> None:
    with pytest.raises(TrackingError, match=r"no MLflow database .*mlflow\.db"):
        leaderboard("digits_cnn")
    assert list(working_folder.iterdir()) == []


def test_the_trials_of_which_mlflow_has_everything(study: StudyTracker, folder: Path) -> None:
    store, name = study.store, study.facts.name
    other = StudyTracker(store, examples.facts(name, uid="def456"))
    other.handle(0, CONFIG, examples.events()[0], folder)

    ended = ended_runs(name, "abc123", store)
    assert "abc123-4" not in ended  # it runs
    assert {"abc123-0", "abc123-1"} <= ended
    assert ended_runs(name, "def456", store) == set()
    assert ended_runs("unheard-of", "abc123", store) == set()

    study.replay(4, CONFIG, examples.events(), folder)
    assert "abc123-4" in ended_runs(name, "abc123", store)
    run = examples.run_of(study, 4)
    assert run.info.status == "FINISHED"
    assert run.data.tags["zoo.state"] == "complete"
    assert len(run.outputs.model_outputs) == 1
