"""Promoting a model by hand; MLflow is replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from zoo import tracking
from zoo.errors import ModelError, StudyError
from zoo.models import FoundModel, finding, promoting
from zoo.models.promoting import promote
from zoo.tracking import ModelVersion, StoreAway
from zoo.training.info import ModelInfo

MODEL = "models:/m-" + "0" * 32
INFO = ModelInfo(study="pets")


@pytest.fixture
def registry(monkeypatch, in_tmp):
    """The calls of `tracking.promote`, and the former champion."""
    registry = SimpleNamespace(calls=[], former=None)

    def register(store, name, address, info, num_test_images):
        registry.calls.append((name, address, num_test_images))
        return ModelVersion(name, 3, address, tags={"zoo.dataset.digest": "d"})

    monkeypatch.setattr(tracking, "connect", lambda create: SimpleNamespace(address="sqlite:///x"))
    monkeypatch.setattr(tracking, "champion", lambda store, name: registry.former)
    monkeypatch.setattr(tracking, "promote", register)
    return registry


@pytest.fixture
def found(monkeypatch):
    """found(FoundModel(…)) -> what `find_model` returns."""

    def set_found(**values):
        model = FoundModel(**{"name": "the model", "path": Path("x.keras"), "info": INFO, **values})
        monkeypatch.setattr(promoting, "find_model", lambda name, display: model)

    return set_found


def test_logged_model_is_promoted_under_its_study(registry, found):
    found(address=MODEL)
    result = promote(MODEL)
    assert registry.calls == [("pets", MODEL, None)]
    assert (result.version.title, result.former, result.is_on_other_data) == ("pets/3", None, False)


def test_unreachable_server_is_an_error_without_a_warning(monkeypatch, in_tmp):
    def connect(create):
        raise StoreAway("no MLflow server answers")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "connect", connect)
    monkeypatch.setattr(promoting, "find_model", lambda *_: pytest.fail("it would warn"))
    with pytest.raises(StoreAway, match="no MLflow server answers"):
        promote("pets")


@pytest.mark.parametrize("address", ["models:/cats/2", "models:/cats@best"])
def test_registered_version_keeps_its_name(registry, found, monkeypatch, address):
    monkeypatch.setattr(tracking, "registered_address", lambda store, name, **which: f"models:/{name}/2")
    monkeypatch.setattr(tracking, "registered_version", lambda *_: ModelVersion("cats", 2, MODEL))
    found(address=address)
    promote("cats/2")
    promote("cats/2", "dogs")
    assert [name for name, *_ in registry.calls] == ["cats", "dogs"]


def test_folder_of_mlflow_leads_to_its_model(registry, found):
    found(path=Path("mlruns/1/models") / MODEL.removeprefix("models:/") / "artifacts/data/model.keras")
    promote("folder")
    assert registry.calls == [("pets", MODEL, None)]


def test_trial_is_promoted_with_number_of_test_images(registry, found, in_study, monkeypatch):
    run = promoting.find_model("example").run
    monkeypatch.setattr(tracking, "model_address", lambda store, study, uid: {"5f0c-1": MODEL}[uid])
    found(run=run, info=ModelInfo(study="example", digest=run.config.digest))
    promote("example")
    assert registry.calls == [("example", MODEL, 359)]


def test_dataset_is_not_prepared_to_count_images(registry, found, in_study, monkeypatch):
    run = promoting.find_model("example").run
    monkeypatch.setattr(finding, "dataset_of", lambda *_: pytest.fail("prepared"))
    monkeypatch.setattr(tracking, "model_address", lambda store, study, uid: MODEL)
    found(run=replace(run, cache_dir=in_study / "empty"), info=ModelInfo(study="example"))
    promote("example")
    assert registry.calls == [("example", MODEL, None)]


@pytest.mark.parametrize("values", [{}, {"address": "s3://bucket/model"}])
def test_model_outside_of_mlflow_is_an_error(registry, found, values):
    found(**values)
    with pytest.raises(ModelError, match=r"^the model the model is not recorded in MLflow at sqlite:///x\. "):
        promote("x.keras")


def test_model_without_study_needs_a_name(registry, found):
    found(address=MODEL, info=ModelInfo())
    with pytest.raises(
        StudyError,
        match=r"does not say which study trained it\. Give the name .* with --as NAME\.$",
    ):
        promote(MODEL)
    promote(MODEL, "pets")
    assert registry.calls == [("pets", MODEL, None)]


def test_name_is_checked_first(registry):
    with pytest.raises(StudyError, match=r"^a registered model cannot be named 'a/b'\."):
        promote("no such model", "a/b")


def test_empty_name_is_refused(registry):
    with pytest.raises(StudyError, match=r"^a registered model cannot be named ''\."):
        promote(MODEL, "")


@pytest.mark.parametrize(("digest", "is_other"), [("d", False), ("e", True)])
def test_champion_of_other_data_is_noticed(registry, found, digest, is_other):
    registry.former = ModelVersion("pets", 1, "models:/m-1", tags={"zoo.dataset.digest": digest})
    found(address=MODEL)
    result = promote(MODEL)
    assert (result.former.title, result.is_on_other_data) == ("pets/1", is_other)


def test_present_champion_is_not_its_own_predecessor(registry, found):
    registry.former = ModelVersion("pets", 3, MODEL)
    found(address=MODEL)
    assert promote(MODEL).former is None
