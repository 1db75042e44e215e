"""The best trial of a study against the champion; MLflow's registry and the worker process are replaced."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from shared_tools import RecordingDisplay

from zoo.record import StudyDirectory
from zoo.study import Objective
from zoo.tracking import ModelVersion, TrackingError
from zoo.tuning import champion
from zoo.tuning.champion import compare, promote_best
from zoo.tuning.interrupts import Interrupts

DIGEST = "d" * 64
LABELS = np.zeros(20, int)
TAGS = {"zoo.kind": "trial", "zoo.trial": "0", "zoo.uid": "5f0c-0", "zoo.dataset.digest": DIGEST}


def predictions(num_correct):
    """Probabilities of two classes; the first `num_correct` of 20 images are correct."""
    return np.eye(2)[(np.arange(20) >= num_correct).astype(int)]


class Registry:
    """The versions of one registered model, and the predictions of models by the name of their file."""

    def __init__(self):
        self.versions = []
        self.predictions = {}
        self.computed = []
        self.error = None

    def champion(self, store, name):
        if self.error:
            raise self.error
        return next((one for one in self.versions if "champion" in one.aliases), None)

    def find_version(self, store, name, address):
        return next((one for one in self.versions if one.address == address), None)

    def promote(self, store, name, address, info, num_test_images):
        assert (info, num_test_images) == ("the info", 20)
        self.versions = [
            replace(one, aliases=["previous"]) for one in self.versions if one.address != address
        ]
        new = ModelVersion(name, len(self.versions) + 1, address, aliases=["champion"], was_promoted=True)
        self.versions.append(new)
        return new

    def add(self, address, **changes):
        number = len(self.versions) + 1
        values = {"aliases": ["champion"], "was_promoted": True, "tags": TAGS, **changes}
        self.versions.append(ModelVersion("example", number, address, **values))

    def predict(self, function, path, cache_dir, digest, *, log_path):
        self.computed.append(path.name)
        return self.predictions[path.name], LABELS


@pytest.fixture
def registry(monkeypatch):
    registry = Registry()
    for name in ("champion", "promote"):
        monkeypatch.setattr(champion.tracking, name, getattr(registry, name))
    monkeypatch.setattr(champion, "find_version", registry.find_version)
    monkeypatch.setattr(champion, "call_in_worker", registry.predict)
    monkeypatch.setattr(champion, "read_info", lambda path: "the info")
    monkeypatch.setattr(champion, "fetch_model_file", lambda store, address, folder: folder / "fetched.keras")
    return registry


@pytest.fixture
def study(tmp_path):
    """An open study with trials 0 and 1, whose test predictions are recorded: 10 and 19 of 20 are correct."""
    directory = StudyDirectory(tmp_path, "example")
    directory.create()
    directory.assign("5f0c", [Objective("val_accuracy", "maximize")])
    for number, num_correct in ((0, 10), (1, 19)):
        trial = directory.trial(number)
        trial.create({"plugins": {}})
        trial.model_path.touch()
        np.savez(trial.test_predictions_path, labels=LABELS, probabilities=predictions(num_correct))
    return SimpleNamespace(
        definition=SimpleNamespace(
            name="example", epoch_objective=Objective("val_accuracy", "maximize"), metrics={}
        ),
        directory=directory,
        dataset=SimpleNamespace(digest=DIGEST, sizes={"train": 9, "test": 20}),
        store=SimpleNamespace(is_away=False, result=lambda: "a store"),
        display=RecordingDisplay(),
        interrupts=Interrupts(),
    )


def test_first_champion_is_registered_without_test(study, registry):
    assert promote_best(study, 1, "models:/m-1") == "example/1 (trial 1)"
    assert registry.computed == []


def test_same_best_trial_is_not_registered_again(study, registry):
    promote_best(study, 1, "models:/m-1")
    assert promote_best(study, 1, "models:/m-1") == "example/1 (trial 1)"
    assert len(registry.versions) == 1


def test_better_trial_replaces_the_champion(study, registry):
    registry.add("models:/m-0")
    assert promote_best(study, 1, "models:/m-1") == (
        "example/2: trial 1 has 0.9500 on the test split, example/1 0.5000; 9 images gained, 0 lost, "
        "p = 0.0039 < 0.05 (exact McNemar test)"
    )
    assert [list(one.aliases) for one in registry.versions] == [["previous"], ["champion"]]
    assert registry.computed == []  # the predictions of both were recorded


def test_trial_within_the_noise_is_not_promoted(study, registry):
    registry.add("models:/m-0")
    path = study.directory.trial(0).test_predictions_path
    np.savez(path, labels=LABELS, probabilities=predictions(14))
    assert promote_best(study, 1, "models:/m-1") == (
        "example/1 stays: trial 1 has 0.9500 on the test split, example/1 0.7000; 5 images gained, 0 lost, "
        "p = 0.062 >= 0.05 (exact McNemar test); `zoo promote example` replaces it"
    )
    assert len(registry.versions) == 1


@pytest.mark.parametrize(("other", "is_better"), [(0, True), (12, False)])
def test_registered_objective_is_compared_in_place_of_accuracy(
    study, registry, monkeypatch, other, is_better
):
    """The champion answers "class 0" always; the challenger finds the rare class, with as many mistakes."""
    labels = np.array([0] * 90 + [1] * 10)
    for number, wrong in ((0, [*range(90 + other // 2, 100)]), (1, [*range(10)])):
        predicted = labels.copy()
        predicted[wrong] = 1 - predicted[wrong]
        path = study.directory.trial(number).test_predictions_path
        np.savez(path, labels=labels, probabilities=np.eye(2)[predicted])
    component = SimpleNamespace(name="balanced_accuracy")
    study.definition.epoch_objective = Objective("val_balanced_accuracy", "maximize")
    study.definition.metrics = {"val_balanced_accuracy": component}
    monkeypatch.setattr(
        champion, "call_in_worker", lambda function, *arguments, log_path: function(*arguments)
    )
    registry.add("models:/m-0")
    text = promote_best(study, 1, "models:/m-1")
    value = 0.5 + other / 40
    assert f"trial 1 has test_balanced_accuracy 0.9444, example/1 {value:.4f}; p = " in text
    assert text.startswith("example/2: " if is_better else "example/1 stays: ")
    assert ("< 0.05 (paired randomization test)" in text) == is_better


@pytest.mark.parametrize("uid", ["5f0c-0", "other-0"])
def test_missing_predictions_are_computed(study, registry, uid):
    registry.add("models:/m-0", tags={**TAGS, "zoo.uid": uid})
    study.directory.trial(0).delete_copies()
    study.directory.trial(1).test_predictions_path.write_bytes(b"PK cut off")
    registry.predictions = {"fetched.keras": predictions(10), "model.keras": predictions(20)}
    assert "10 images gained, 0 lost" in promote_best(study, 1, "models:/m-1")
    assert registry.computed == ["model.keras", "fetched.keras"]


def test_champion_of_other_data_is_not_compared(study, registry):
    registry.add("models:/m-0", tags={**TAGS, "zoo.dataset.digest": "e" * 64})
    assert promote_best(study, 1, "models:/m-1") == (
        "example/1 stays: it was trained on other data (eeeeeeeeeeee…, the study's are dddddddddddd…), "
        "so trial 1 was not compared; `zoo promote example` replaces it"
    )
    registry.versions.clear()
    registry.add("models:/m-9", tags={})
    assert "other data (unknown, the study's" in promote_best(study, 1, "models:/m-1")


def test_without_test_split_nothing_is_compared(study, registry):
    registry.add("models:/m-0")
    del study.dataset.sizes["test"]
    result = promote_best(study, 1, "models:/m-1")
    assert result.startswith("example/1 stays: the dataset has no test split, so trial 1 was not compared; ")


def test_replaced_champion_is_not_promoted_again(study, registry):
    registry.add("models:/m-1", aliases=["previous"])
    registry.add("models:/m-0")
    assert promote_best(study, 1, "models:/m-1") == (
        "example/2 stays: trial 1 is example/1, which was replaced; `zoo promote example` replaces it"
    )


def test_interrupted_promotion_is_repeated(study, registry):
    registry.add("models:/m-0")
    registry.add("models:/m-1", aliases=[], was_promoted=False)
    assert promote_best(study, 1, "models:/m-1").startswith("example/2: trial 1 has 0.9500")


@pytest.mark.parametrize(
    ("address", "error", "reason"),
    [
        ("", None, "MLflow does not have its model, or does not answer"),
        ("models:/m-1", TrackingError("MLflow refused a request: no."), "MLflow refused a request: no"),
        ("models:/m-1", RuntimeError("of another library"), "of another library"),
    ],
)
def test_failure_is_shown_and_not_raised(study, registry, address, error, reason):
    registry.error = error
    assert promote_best(study, 1, address) == ""
    assert study.display.problems == [
        f"trial 1 was not promoted: {reason}; the next run of the study tries again"
    ]


@pytest.mark.parametrize("address", ["", "models:/m-1"])
def test_comparison_is_shown_only_if_mlflow_has_the_model(study, registry, address):
    promote_best(study, 1, address)
    assert study.display.phases == (["comparing the best model with the champion …"] if address else [])


def test_nothing_is_promoted_after_a_signal(study, registry):
    study.interrupts.signum = 2
    assert promote_best(study, 1, "models:/m-1") == ""
    assert (registry.versions, study.display.problems) == ([], [])


def test_worse_model_is_never_better():
    worse = compare(predictions(2).argmax(1) == 0, predictions(20).argmax(1) == 0, "example/1")
    assert (worse.is_better, worse.p_value < 0.05) == (False, True)
